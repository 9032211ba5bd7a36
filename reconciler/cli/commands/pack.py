# SPDX-License-Identifier: Apache-2.0
"""`tinyfleet pack`: packs as single files, without a fleet repository."""

from __future__ import annotations

import hashlib
from pathlib import Path

import click
import numpy as np
import numpy.typing as npt
import rich
from rich.table import Table

from reconciler.compiler.errors import BuildFailed, PackMalformed
from reconciler.compiler.evaluation.datasets import read_table
from reconciler.compiler.pack.checker import check_pack
from reconciler.compiler.pack.inspect import Sheet, describe
from reconciler.compiler.pack.pack_format import Descriptor, SectionId, decode_io, decode_parameters, disassemble
from reconciler.compiler.payload.encodings import candidates
from reconciler.compiler.recipe import File, Recipe, target_of
from reconciler.compiler.runner import ExecutionTarget, execute
from reconciler.compiler.sandbox import BuildJob, run_job
from reconciler.load.document_check import check_file
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
@click.option(
    "--scheme",
    type=click.Choice(["int8", "int16"]),
    default="int8",
    show_default=True,
    help="How fine the thresholds of trees are.",
)
@click.option("-o", "--output", type=click.Path(path_type=Path, dir_okay=False), required=True, help="The pack.")
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
    built = run_job(BuildJob(recipe, files), lambda step: click.echo(f"{step} ...", err=True))
    output.write_bytes(built.pack)
    for note in built.report.notes:
        click.echo(f"note: {note}", err=True)
    click.echo(f"{output}: {len(built.pack)} bytes, arena {built.report.arena_bytes}, sha256 {built.report.digest}")


def _device_type(path: Path) -> DeviceType:
    checked, _ = check_file(path.read_bytes())
    if checked.problems:
        raise BuildFailed("; ".join(f"{path}:{problem.line}: {problem.message}" for problem in checked.problems))
    found = [document.value for document in checked.documents if isinstance(document.value, DeviceType)]
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


@command.command("run")
@click.argument("file", type=_FILE)
@click.option(
    "--input", "source", type=_FILE, required=True, metavar="X.npy", help="Rows of integers, one an inference."
)
@click.option(
    "--output",
    "target",
    type=click.Path(path_type=Path, dir_okay=False),
    required=True,
    metavar="Y.npy",
    help="The first output of each inference.",
)
@click.option(
    "--on",
    "place",
    type=click.Choice([each.value for each in ExecutionTarget]),
    default="host",
    show_default=True,
    help="Here, or on an emulated board.",
)
def run(file: Path, source: Path, target: Path, place: str) -> None:
    """Run inferences on the device's own C engine, here or on an emulated board.

    X.npy holds the integers that a device would see (quantized), a row for each inference; Y.npy gets the first
    output's. Decisions and scores are shown, and instructions where they are counted.
    """
    data = file.read_bytes()
    pack = disassemble(data)
    inputs, outputs = decode_io(pack.section(SectionId.IO))
    rows = _rows(source, inputs)
    given = [row.astype(inputs[0].type.code).tobytes() for row in rows]
    defaults = [entry.default for entry in decode_parameters(pack.section(SectionId.PARAMETERS))]
    execution = execute(ExecutionTarget(place), data, given, parameters=defaults)
    if execution.verdict != 0:
        raise PackMalformed(f"the device's engine refuses the pack: error {execution.verdict}")
    made = []
    for number, each in enumerate(execution.inferences):
        if each.error != 0:
            raise BuildFailed(f"inference {number} ended with error {each.error}")
        made.append(np.frombuffer(each.outputs[: outputs[0].nbytes], outputs[0].type.code).reshape(outputs[0].shape))
        counted = f", {each.instructions} instructions" if each.instructions else ""
        click.echo(f"{number}: decision {each.decision}, score {each.score}{counted}")
    with target.open("wb") as stream:
        np.save(stream, np.array(made))


def _rows(source: Path, inputs: list[Descriptor]) -> npt.NDArray[np.float64]:
    if len(inputs) != 1:
        raise BuildFailed(f"the model has {len(inputs)} inputs; one array can't hold them")
    rows = read_table(source.name, source.read_bytes()).rows
    limits = np.iinfo(np.dtype(inputs[0].type.code))
    if rows.shape[1] != inputs[0].elements or rows.min() < limits.min or rows.max() > limits.max:
        raise BuildFailed(f"{source} must hold rows of {inputs[0].elements} values from {limits.min} to {limits.max}")
    return rows


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
