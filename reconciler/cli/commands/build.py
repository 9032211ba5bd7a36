# SPDX-License-Identifier: Apache-2.0
"""`tinyfleet build`: build the artifacts of a fleet repository's models."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from reconciler.cli.inputs.artifact_store import default_store, store_option
from reconciler.cli.inputs.known_names import require_known
from reconciler.cli.inputs.name_completion import names_of
from reconciler.cli.inputs.options import output_option
from reconciler.cli.inputs.repositories import open_tree
from reconciler.cli.interruption import ended_by_one_interrupt
from reconciler.cli.leaf_command import LeafCommand
from reconciler.cli.problem_report import report_problems
from reconciler.cli.result import as_json
from reconciler.cli.verbosity import progress_printer
from reconciler.compiler.artifact_store import ArtifactStore
from reconciler.compiler.build_result import BuildResult
from reconciler.compiler.recipe import Recipe, recipe_of
from reconciler.compiler.service import BuildService
from reconciler.compiler.source_fetcher import fetcher
from reconciler.errors import FleetError
from reconciler.load import load
from reconciler.model import Desired, DeviceType, Model, ModelRef
from reconciler.tree import Tree


@click.command(cls=LeafCommand)
@click.argument("model", required=False, metavar="[MODEL[@VERSION]]", shell_complete=names_of("Model"))
@click.argument("path", type=click.Path(path_type=Path, exists=True, file_okay=False), default=".")
@click.option(
    "--for", "kind", metavar="TYPE", shell_complete=names_of("DeviceType"), help="Build only for this device type."
)
@click.option("--commit", "revision", metavar="REV", help="Build from this commit instead of the files in PATH.")
@click.option("--dry-run", is_flag=True, help="Show what would be built, and build nothing.")
@store_option
@output_option
@click.pass_context
def command(  # noqa: PLR0913 (one parameter for each option)
    context: click.Context, model: str | None, path: Path, *, kind: str | None, revision: str | None, dry_run: bool,
    store: str | None, output: str,
) -> None:  # fmt: skip
    """Build the models of the fleet repository in PATH, each for every device type that can run it.

    With MODEL, build all versions of that model, or only VERSION. Artifacts that the store already has are
    not built again. Exits with 1 if a build fails or misses a gate. Ctrl-C ends a build at once.
    """
    if model is not None and path == Path() and Path(model).is_dir():  # `tinyfleet build PATH`
        path, model = Path(model), None
    service = BuildService(ArtifactStore(store or default_store()))
    rows: list[dict[str, Any]] = []
    with open_tree(path, revision) as (tree, commit), ended_by_one_interrupt():
        loaded = load(tree, commit=commit)
        if loaded.desired is None:
            report_problems(loaded.errors, tree)
            context.exit(1)
        for each, device_type in build_jobs(loaded.desired, model, kind):
            job = _Job(service, tree, each, device_type)
            fields, text = job.preview() if dry_run else job.run()
            rows.append(fields)
            if "message" in fields:
                click.echo(text, err=True)
            elif output == "text":
                click.echo(text)
    service.close()
    if output == "json":
        click.echo(as_json(rows))
    context.exit(int(any(row["result"] == "failed" for row in rows)))


def build_jobs(desired: Desired, model: str | None, kind: str | None) -> list[tuple[Model, DeviceType]]:
    """Pair models with device types: the given ones, or all that fit together."""
    name, _, version = (model or "").partition("@")
    if name:
        require_known("model", name, {ref.name for ref in desired.models})
    if version:
        require_known("model", f"{name}@{version}", map(str, desired.models))
    if kind is not None:
        require_known("device type", kind, desired.types)
    found = list(_pairs(desired, model, kind))
    if not found:
        chosen = [
            each for ref, each in sorted(desired.models.items(), key=lambda item: str(item[0])) if _is(ref, model)
        ]
        reasons = [_why_not(each, desired) for each in chosen] or ["the repository has no models"]
        raise click.ClickException("\n".join(["no device type can run the models:", *(f"  {why}" for why in reasons)]))
    return found


def _is(ref: ModelRef, model: str | None) -> bool:
    name, _, version = (model or "").partition("@")
    return name in {"", ref.name} and version in {"", ref.version}


def _why_not(model: Model, desired: Desired) -> str:
    needs = model.needs
    if not needs.operators:
        return f"{model.ref}: spec.needs.operators is left out: add it, or name a device type with --for"
    if not desired.types:
        return f"{model.ref}: the repository has no device types"
    reasons = []
    for name, each in sorted(desired.types.items()):
        missing = sorted(needs.operators - each.operators)
        lacks = f"lacks {', '.join(missing)}" if missing else f"has a slot of {each.slot_bytes} bytes"
        reasons.append(f"{name} {lacks}")
    slot = f" and a slot of {needs.slot_bytes} bytes" if needs.slot_bytes else ""
    return f"{model.ref} needs {', '.join(sorted(needs.operators))}{slot}: {'; '.join(reasons)}"


def _pairs(desired: Desired, model: str | None, kind: str | None) -> Iterator[tuple[Model, DeviceType]]:
    for ref, each in sorted(desired.models.items(), key=lambda item: str(item[0])):
        if not _is(ref, model):
            continue
        for type_name, device_type in sorted(desired.types.items()):
            named = kind == type_name
            could = kind is None and each.needs.operators <= device_type.operators and each.needs.operators
            if named or (could and each.needs.slot_bytes <= device_type.slot_bytes):
                yield each, device_type


class _Job:
    """One model for one device type. Each method returns the fields of the result, and its text."""

    def __init__(self, service: BuildService, tree: Tree, model: Model, device_type: DeviceType) -> None:
        self._service, self._tree, self._model, self._type = service, tree, model, device_type
        self._recipe = recipe_of(model, device_type)
        self._label = f"{model.ref} for {device_type.name}"

    def preview(self) -> tuple[dict[str, Any], str]:
        """Look into the store, and build nothing."""
        built = self._service.cached(self._recipe)
        if built is None:
            return self._fields("would-build"), f"{self._label}: would be built"
        return self._built(built, fresh=False)

    def run(self) -> tuple[dict[str, Any], str]:
        """Take the artifact from the store, or build it."""
        try:
            built = self._service.cached(self._recipe)
            fresh = built is None
            if built is None:
                fetch, progress = fetcher(self._model, self._tree), progress_printer(f"{self._label}: ")
                built = self._service.build(self._recipe, fetch, progress)
        except FleetError as error:
            return self._fields("failed", message=str(error)), f"{self._label}: FAILED: {error}"
        return self._built(built, fresh=fresh)

    def _built(self, built: BuildResult, *, fresh: bool) -> tuple[dict[str, Any], str]:
        fields = self._fields("built" if fresh else "cached", **_facts(built))
        return fields, "\n".join(_lines(self._label, self._recipe, built, fresh=fresh))

    def _fields(self, result: str, **more: object) -> dict[str, Any]:
        return {"model": str(self._model.ref), "type": self._type.name, "result": result, **more}


def _lines(label: str, recipe: Recipe, built: BuildResult, *, fresh: bool) -> Iterator[str]:
    report = built.report
    result = "built" if fresh else "cached"
    yield f"{label}: {result}: {report.pack_bytes} bytes, arena {report.arena_bytes}, sha256 {report.digest}"
    for gate in report.gates:
        yield f"  {gate.metric} {gate.value:g} ({gate.limit})"
    for note in report.notes:
        yield f"  note: {note}"
    took = f", {report.figures['inference_ms']:.3g} ms" if "inference_ms" in report.figures else ""
    if "instructions" in report.figures:  # estimated for the engine in C only
        instructions = round(report.figures["instructions"])
        yield f"  about {instructions} instructions{took} per inference on {recipe.target.architecture}"


def _facts(built: BuildResult) -> dict[str, Any]:
    report = built.report
    return {
        "digest": report.digest,
        "packBytes": report.pack_bytes,
        "arenaBytes": report.arena_bytes,
        "gates": [{"metric": gate.metric, "value": gate.value, "limit": gate.limit} for gate in report.gates],
        "notes": list(report.notes),
        "figures": dict(report.figures),
    }
