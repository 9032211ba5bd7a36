# SPDX-License-Identifier: Apache-2.0
"""`tinyfleet build`: make the artifacts of a fleet repository's models."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import click

from reconciler.cli.inputs.trees import opened
from reconciler.compiler.artifact_store import ArtifactStore
from reconciler.compiler.build_result import BuildResult
from reconciler.compiler.recipe import Recipe, recipe_of
from reconciler.compiler.service import BuildService
from reconciler.compiler.source_fetcher import fetcher
from reconciler.errors import FleetError
from reconciler.load import load
from reconciler.model import Desired, DeviceType, Model


def default_store() -> str:
    """Return where artifacts are kept on a developer's machine."""
    cache = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return os.environ.get("TINYFLEET_STORE") or str(Path(cache) / "tinyfleet" / "artifacts")


@click.command("build", short_help="Build the artifacts of models")
@click.argument("model", required=False, metavar="[MODEL[@VERSION]]")
@click.argument("path", type=click.Path(path_type=Path, exists=True, file_okay=False), default=".")
@click.option("--for", "kind", metavar="TYPE", help="Build for this device type only.")
@click.option("--commit", "revision", metavar="REV", help="Build from this commit, not from the files in PATH.")
@click.option("--store", metavar="URL", help="Where artifacts are kept: a folder or any fsspec address.")
@click.option("--quiet", is_flag=True, help="Show no progress.")
@click.pass_context
def command(  # noqa: PLR0913, PLR0917 (the options of the command)
    context: click.Context, model: str | None, path: Path, kind: str | None, revision: str | None, store: str | None,
    *, quiet: bool,
) -> None:  # fmt: skip
    """Build the models of the fleet repository in PATH, each for the device types that could take it.

    With a MODEL all its versions are built, or just one. What the store has is not built again.
    Exits with 1 if a build fails or a gate is missed.
    """
    if model is not None and path == Path() and Path(model).is_dir():  # `tinyfleet build PATH`
        path, model = Path(model), None
    service = BuildService(ArtifactStore(store or default_store()))
    failed = False
    with opened(path, revision) as (tree, commit):
        loaded = load(tree, commit=commit)
        if loaded.desired is None:
            for problem in loaded.errors:
                click.echo(str(problem), err=True)
            context.exit(1)
        jobs = list(wanted(loaded.desired, model, kind))
        if not jobs:
            raise click.UsageError("no model matches, or no device type could take it")
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
                click.echo(f"{label}: FAILED: {error}", err=True)
                continue
            _tell(label, recipe, built, fresh=fresh)
    service.close()
    context.exit(int(failed))


def wanted(desired: Desired, model: str | None, kind: str | None) -> Iterator[tuple[Model, DeviceType]]:
    """Pair models with device types: those that are named, or all that could go together."""
    name, _, version = (model or "").partition("@")
    for ref, each in sorted(desired.models.items(), key=lambda item: str(item[0])):
        if (name and ref.name != name) or (version and ref.version != version):
            continue
        for type_name, device_type in sorted(desired.types.items()):
            named = kind == type_name
            could = kind is None and each.needs.operators <= device_type.operators and each.needs.operators
            if named or (could and each.needs.slot_bytes <= device_type.slot_bytes):
                yield each, device_type


def _tell(label: str, recipe: Recipe, built: BuildResult, *, fresh: bool) -> None:
    report = built.report
    state = "built" if fresh else "had it"
    click.echo(f"{label}: {state}: {report.pack_bytes} bytes, arena {report.arena_bytes}, sha256 {report.digest}")
    for gate in report.gates:
        click.echo(f"  {gate.metric} {gate.value:g} ({gate.limit})")
    for note in report.notes:
        click.echo(f"  note: {note}")
    took = f", {report.figures['inference_ms']:.3g} ms" if "inference_ms" in report.figures else ""
    instructions = round(report.figures["instructions"])
    click.echo(f"  about {instructions} instructions{took} an inference on {recipe.target.architecture}")


def _silent(_step: str) -> None:
    """Nobody watches."""
