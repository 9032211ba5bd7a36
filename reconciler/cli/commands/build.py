# SPDX-License-Identifier: Apache-2.0
"""`tinyfleet build`: build the artifacts of a fleet repository's models."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from reconciler.cli.inputs.artifact_store import default_store, store_option
from reconciler.cli.inputs.options import output_option
from reconciler.cli.inputs.repositories import open_tree
from reconciler.compiler.artifact_store import ArtifactStore
from reconciler.compiler.build_result import BuildResult
from reconciler.compiler.recipe import Recipe, recipe_of
from reconciler.compiler.service import BuildService
from reconciler.compiler.source_fetcher import fetcher
from reconciler.errors import FleetError
from reconciler.load import load
from reconciler.model import Desired, DeviceType, Model


@click.command("build")
@click.argument("model", required=False, metavar="[MODEL[@VERSION]]")
@click.argument("path", type=click.Path(path_type=Path, exists=True, file_okay=False), default=".")
@click.option("--for", "kind", metavar="TYPE", help="Build only for this device type.")
@click.option("--commit", "revision", metavar="REV", help="Build from this commit instead of the files in PATH.")
@store_option
@click.option("--quiet", is_flag=True, help="Do not show progress.")
@output_option
@click.pass_context
def command(  # noqa: PLR0913, PLR0917 (one parameter for each option)
    context: click.Context, model: str | None, path: Path, kind: str | None, revision: str | None, store: str | None,
    output: str, *, quiet: bool,
) -> None:  # fmt: skip
    """Build the models of the fleet repository in PATH, each for every device type that can run it.

    With MODEL, build all versions of that model, or only VERSION. Artifacts that the store already has are
    not built again. Exits with 1 if a build fails or misses a gate.
    """
    if model is not None and path == Path() and Path(model).is_dir():  # `tinyfleet build PATH`
        path, model = Path(model), None
    service = BuildService(ArtifactStore(store or default_store()))
    failed = False
    rows: list[dict[str, Any]] = []
    with open_tree(path, revision) as (tree, commit):
        loaded = load(tree, commit=commit)
        if loaded.desired is None:
            for problem in loaded.errors:
                click.echo(str(problem), err=True)
            context.exit(1)
        jobs = list(build_jobs(loaded.desired, model, kind))
        if not jobs:
            raise click.UsageError("no model matches, or no device type can run it")
        for each, device_type in jobs:
            recipe = recipe_of(each, device_type)
            label = f"{each.ref} for {device_type.name}"
            try:
                built = service.cached(recipe)
                fresh = built is None
                if built is None:
                    progress = (
                        _silent if quiet else (lambda step, label=label: click.echo(f"{label}: {step} ...", err=True))
                    )
                    built = service.build(recipe, fetcher(each, tree), progress)
            except FleetError as error:
                failed = True
                rows.append(
                    {"model": str(each.ref), "type": device_type.name, "result": "failed", "message": str(error)}
                )
                click.echo(f"{label}: FAILED: {error}", err=True)
                continue
            rows.append(_fields(each, device_type, built, fresh=fresh))
            if output == "text":
                click.echo("\n".join(_lines(label, recipe, built, fresh=fresh)))
    service.close()
    if output == "json":
        click.echo(json.dumps(rows, indent=2))
    context.exit(int(failed))


def build_jobs(desired: Desired, model: str | None, kind: str | None) -> Iterator[tuple[Model, DeviceType]]:
    """Pair models with device types: the given ones, or all that fit together."""
    name, _, version = (model or "").partition("@")
    for ref, each in sorted(desired.models.items(), key=lambda item: str(item[0])):
        if (name and ref.name != name) or (version and ref.version != version):
            continue
        for type_name, device_type in sorted(desired.types.items()):
            named = kind == type_name
            could = kind is None and each.needs.operators <= device_type.operators and each.needs.operators
            if named or (could and each.needs.slot_bytes <= device_type.slot_bytes):
                yield each, device_type


def _lines(label: str, recipe: Recipe, built: BuildResult, *, fresh: bool) -> Iterator[str]:
    report = built.report
    result = "built" if fresh else "cached"
    yield f"{label}: {result}: {report.pack_bytes} bytes, arena {report.arena_bytes}, sha256 {report.digest}"
    for gate in report.gates:
        yield f"  {gate.metric} {gate.value:g} ({gate.limit})"
    for note in report.notes:
        yield f"  note: {note}"
    took = f", {report.figures['inference_ms']:.3g} ms" if "inference_ms" in report.figures else ""
    instructions = round(report.figures["instructions"])
    yield f"  about {instructions} instructions{took} per inference on {recipe.target.architecture}"


def _fields(model: Model, device_type: DeviceType, built: BuildResult, *, fresh: bool) -> dict[str, Any]:
    report = built.report
    return {
        "model": str(model.ref),
        "type": device_type.name,
        "result": "built" if fresh else "cached",
        "digest": report.digest,
        "packBytes": report.pack_bytes,
        "arenaBytes": report.arena_bytes,
        "gates": [{"metric": gate.metric, "value": gate.value, "limit": gate.limit} for gate in report.gates],
        "notes": list(report.notes),
        "figures": dict(report.figures),
    }


def _silent(_step: str) -> None:
    """Discard progress."""
