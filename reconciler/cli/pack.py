# SPDX-License-Identifier: Apache-2.0
"""`tinyfleet pack`: packs as single files, without a fleet repository."""

from __future__ import annotations

import hashlib
from pathlib import Path

import click
import rich
from rich.table import Table

from reconciler.build.checker import check_pack
from reconciler.build.describe import Sheet, describe
from reconciler.build.errors import BuildFailed
from reconciler.build.payload import candidates
from reconciler.build.recipe import File, Recipe, target_of
from reconciler.build.sandbox import Job, run_job
from reconciler.load.files import check
from reconciler.model import Decide, DeviceType

_FILE = click.Path(path_type=Path, exists=True, dir_okay=False)


@click.group("pack", short_help="Make, look into, run and compare packs")
def command() -> None:
    """Packs are what devices store and run; see docs/specs/pack.md."""


@command.command("make")
@click.argument("file", type=_FILE)
@click.option("--for", "kind", type=_FILE, required=True, metavar="TYPE.yaml", help="The document of a DeviceType.")
@click.option("--data", type=_FILE, help="Representative samples (.npy or .csv), for a float model.")
@click.option("--decide", type=click.Choice([mode.value for mode in Decide]), help="How outputs become a decision.")
@click.option("--threshold", type=float, help="The parameter `threshold`.")
@click.option("--scheme", type=click.Choice(["int8", "int16"]), default="int8", show_default=True)
@click.option("-o", "--output", type=click.Path(path_type=Path, dir_okay=False), required=True)
def make(  # noqa: PLR0913, PLR0917 (the options of the command)
    file: Path, kind: Path, data: Path | None, decide: str | None, threshold: float | None, scheme: str, output: Path
) -> None:
    """Make a pack of FILE: .tflite, .keras, a zipped SavedModel, or trees as .json."""
    contents = {path: path.read_bytes() for path in (file, data) if path is not None}
    named = {path: File(path.name, hashlib.sha256(content).hexdigest()) for path, content in contents.items()}
    recipe = Recipe(
        model=f"{file.stem}@0",
        source=named[file],
        target=target_of(_device_type(kind)),
        decide=Decide(decide) if decide else None,
        scheme=scheme,
        representative=named[data] if data else None,
        parameters={} if threshold is None else {"threshold": threshold},
    )
    files = {named[path].sha256: content for path, content in contents.items()}
    built = run_job(Job(recipe, files), lambda step: click.echo(f"{step} ...", err=True))
    output.write_bytes(built.pack)
    for note in built.report.notes:
        click.echo(f"note: {note}", err=True)
    click.echo(f"{output}: {len(built.pack)} bytes, arena {built.report.arena_bytes}, sha256 {built.report.digest}")


def _device_type(path: Path) -> DeviceType:
    checked, _ = check(path.read_bytes())
    if checked.problems:
        raise BuildFailed("; ".join(f"{path}:{problem.line}: {problem.message}" for problem in checked.problems))
    found = [item.value for item in checked.items if isinstance(item.value, DeviceType)]
    if len(found) != 1:
        raise BuildFailed(f"{path} holds {len(found)} documents of kind DeviceType; one is needed")
    return found[0]


@command.command("inspect")
@click.argument("file", type=_FILE)
def inspect(file: Path) -> None:
    """Show operators, bytes by section and the map of the arena; refuse a pack that a device would refuse."""
    data = file.read_bytes()
    check_pack(data)
    for sheet in describe(data):
        rich.print(_table(sheet))


def _table(sheet: Sheet) -> Table:
    table = Table(title=sheet.title, title_justify="left", show_header=any(sheet.header))
    for place, name in enumerate(sheet.header):
        table.add_column(name, justify="left" if place == 0 else "default")
    for row in sheet.rows:
        table.add_row(*row)
    return table


@command.command("diff")
@click.argument("old", type=_FILE)
@click.argument("new", type=_FILE)
def diff(old: Path, new: Path) -> None:
    """Tell how many bytes travel to a device that runs OLD and shall run NEW."""
    base, pack = old.read_bytes(), new.read_bytes()
    check_pack(base)
    check_pack(pack)
    if base == pack:
        click.echo("the same pack: nothing but an envelope travels")
        return
    for payload in candidates(pack, base):
        what = {0: "raw", 1: "compressed", 2: "coded alone"}[payload.encoding]
        name = "delta" if payload.against_base else what
        click.echo(f"{name:12} {len(payload.data):8} bytes {100 * len(payload.data) / len(pack):6.1f} %")
