# SPDX-License-Identifier: Apache-2.0
"""`tinyfleet pack`: work with single pack files, without a fleet repository."""

from __future__ import annotations

import hashlib
import io
import json
from pathlib import Path

import click
import numpy as np
import numpy.typing as npt

from reconciler.cli import terminal
from reconciler.cli.inputs.options import FILE, out_option, output_option
from reconciler.cli.interruption import ended_by_one_interrupt
from reconciler.cli.ordered_group import OrderedGroup
from reconciler.cli.output_file import write_output
from reconciler.cli.result import print_result
from reconciler.cli.verbosity import note, progress_printer
from reconciler.cli.views.table import table
from reconciler.compiler.datasets import read_dataset
from reconciler.compiler.engine_runner import ExecutionTarget, execute
from reconciler.compiler.errors import BuildFailed, PackMalformed
from reconciler.compiler.foreign_models import saved_model_of_onnx
from reconciler.compiler.pack.checker import check_pack
from reconciler.compiler.pack.inspect import inspect_pack
from reconciler.compiler.pack.io_section import Descriptor, decode_io
from reconciler.compiler.pack.pack_format import SectionId, disassemble
from reconciler.compiler.pack.tunable_parameters_section import decode_parameters
from reconciler.compiler.payload.payload_encodings import candidates
from reconciler.compiler.recipe import File, Recipe, target_of
from reconciler.compiler.sandbox import BuildJob, run_job
from reconciler.load.document_check import check_file
from reconciler.model import Decide, DeviceType

ENCODINGS = {0: "raw", 1: "compressed", 2: "packed"}


@click.group("pack", cls=OrderedGroup)
def command() -> None:
    """Make, inspect, run and compare packs.

    A pack is the file that a device stores and runs (docs/specs/pack.md).
    """


@command.command("make")
@click.argument("file", type=FILE)
@click.option("--for", "kind", type=FILE, required=True, metavar="TYPE.yaml", help="DeviceType document of the target.")
@click.option("--data", type=FILE, help="Representative samples (.npy or .csv) to quantize a float model with.")
@click.option("--decide", type=click.Choice([mode.value for mode in Decide]), help="How the outputs become a decision.")
@click.option("--threshold", type=float, help="Default of the parameter `threshold`.")
@click.option(
    "--scheme",
    type=click.Choice(["int8", "int16"]),
    default="int8",
    show_default=True,
    help="Resolution of the thresholds of trees.",
)
@click.option(
    "--onnx2tf",
    type=FILE,
    metavar="PROGRAM",
    help="The program onnx2tf in an environment of its own, which converts an .onnx model first.",
)
@out_option("Pack file to write.", required=True)
@output_option
def make(  # noqa: PLR0913, PLR0917 (one parameter for each option)
    file: Path,
    kind: Path,
    data: Path | None,
    decide: str | None,
    threshold: float | None,
    scheme: str,
    onnx2tf: Path | None,
    out: Path,
    output: str,
) -> None:
    """Make a pack from a model file.

    FILE is a .tflite, .lite or .keras model, a zipped SavedModel, trees as .json, or with --onnx2tf an .onnx model.
    """
    contents = {path: path.read_bytes() for path in (file, data) if path is not None}
    names = {path: path.name for path in contents}
    if onnx2tf is not None and file.suffix == ".onnx":
        contents[file] = saved_model_of_onnx(onnx2tf, file.name, contents[file])
        names[file] = f"{file.stem}.zip"
        note("note: onnx2tf puts the channels of inputs last; so must the rows of --data")
    named = {path: File(names[path], hashlib.sha256(content).hexdigest()) for path, content in contents.items()}
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
    with ended_by_one_interrupt():
        built = run_job(BuildJob(recipe, files), progress_printer())
    write_output(out, built.pack)
    report = built.report
    for each in report.notes:
        note(f"note: {each}")
    fields = {
        "file": str(out),
        "digest": report.digest,
        "packBytes": len(built.pack),
        "arenaBytes": report.arena_bytes,
        "notes": list(report.notes),
    }
    text = f"{out}: {len(built.pack)} bytes, arena {report.arena_bytes}, sha256 {report.digest}"
    print_result(output, fields, text)


def _device_type(path: Path) -> DeviceType:
    checked, _ = check_file(path.read_bytes())
    if checked.problems:
        raise BuildFailed("; ".join(f"{path}:{problem.line}: {problem.message}" for problem in checked.problems))
    found = [document.value for document in checked.documents if isinstance(document.value, DeviceType)]
    if len(found) != 1:
        raise BuildFailed(f"{path} has {len(found)} documents of kind DeviceType; exactly one is expected")
    return found[0]


@command.command("inspect")
@click.argument("file", type=FILE)
@output_option
def inspect(file: Path, output: str) -> None:
    """Show the sections, operators and arena map of a pack. Refuses a pack that a device would refuse."""
    data = file.read_bytes()
    check_pack(data)
    sheets = inspect_pack(data)
    if output == "json":
        rows = [{"title": each.title, "columns": each.header, "rows": each.rows} for each in sheets]
        click.echo(json.dumps(rows, indent=2))
        return
    for number, sheet in enumerate(sheets):
        headings = sheet.header if any(sheet.header) else ()
        lines = table(headings, sheet.rows, terminal.terminal_width())
        terminal.print_lines([*([""] if number else []), sheet.title, *lines])


@command.command("run")
@click.argument("file", type=FILE)
@click.option(
    "--input",
    "sources",
    type=FILE,
    required=True,
    multiple=True,
    metavar="X.npy",
    help="Quantized input: one row of integers per inference. Repeat it for each input of the model, in their order.",
)
@out_option("File to write the first output of each inference to.", required=True, metavar="Y.npy")
@click.option(
    "--on",
    "place",
    type=click.Choice([each.value for each in ExecutionTarget]),
    default="host",
    show_default=True,
    help="Run on this machine, or on an emulated board.",
)
@output_option
def run(file: Path, sources: tuple[Path, ...], out: Path, place: str, output: str) -> None:
    """Run inferences with the device engine.

    The C engine runs on this machine or on an emulated board. X.npy has one row of quantized integers for each
    inference, and a model with several inputs takes a file for each; Y.npy receives the first output of each
    inference. Prints the decision and score of each inference, and the number of instructions where it is counted.
    """
    data = file.read_bytes()
    pack = disassemble(data)
    inputs, outputs = decode_io(pack.section(SectionId.IO))
    given = _inferences(sources, inputs)
    defaults = [entry.default for entry in decode_parameters(pack.section(SectionId.PARAMETERS))]
    execution = execute(ExecutionTarget(place), data, given, parameters=defaults)
    if execution.verdict != 0:
        raise PackMalformed(f"the device engine refuses the pack: error {execution.verdict}")
    made: list[npt.NDArray[np.generic]] = []
    decisions: list[dict[str, object]] = []
    lines: list[str] = []
    for number, each in enumerate(execution.inferences):
        if each.error != 0:
            raise BuildFailed(f"inference {number} failed with error {each.error}")
        made.append(np.frombuffer(each.outputs[: outputs[0].nbytes], outputs[0].type.code).reshape(outputs[0].shape))
        counted = f", {each.instructions} instructions" if each.instructions else ""
        lines.append(f"{number}: decision {each.decision}, score {each.score}{counted}")
        decisions.append({"decision": each.decision, "score": each.score, "instructions": each.instructions or None})
    content = io.BytesIO()
    np.save(content, np.array(made))
    write_output(out, content.getvalue())
    print_result(output, decisions, "\n".join(lines))


def _inferences(sources: tuple[Path, ...], inputs: list[Descriptor]) -> list[bytes]:
    """Return the bytes of all inputs for each inference."""
    if len(sources) != len(inputs):
        raise BuildFailed(
            f"the model has {len(inputs)} inputs, but --input names {len(sources)} files: name one for each"
        )
    columns = [_rows(source, each) for source, each in zip(sources, inputs, strict=True)]
    counts = [len(rows) for rows in columns]
    if len(set(counts)) > 1:
        raise BuildFailed(
            f"the files of --input have {' and '.join(map(str, counts))} rows; all must have the same number"
        )
    return [b"".join(parts) for parts in zip(*columns, strict=True)]


def _rows(source: Path, described: Descriptor) -> list[bytes]:
    rows = read_dataset(source.name, source.read_bytes()).rows
    limits = np.iinfo(np.dtype(described.type.code))
    if rows.shape[1] != described.elements or rows.min() < limits.min or rows.max() > limits.max:
        raise BuildFailed(f"{source} must hold rows of {described.elements} values from {limits.min} to {limits.max}")
    return [row.astype(described.type.code).tobytes() for row in rows]


@command.command("diff")
@click.argument("old", type=FILE)
@click.argument("new", type=FILE)
@output_option
def diff(old: Path, new: Path, output: str) -> None:
    """Show the payload sizes of an update.

    The sizes are those for a device that runs OLD and receives NEW.
    """
    base, pack = old.read_bytes(), new.read_bytes()
    check_pack(base)
    check_pack(pack)
    payloads = [] if base == pack else candidates(pack, base)
    sizes = [("patch" if each.against_base else ENCODINGS[each.encoding], len(each.data)) for each in payloads]
    if output == "json":
        click.echo(json.dumps({"identical": base == pack, "payloads": dict(sizes)}, indent=2))
        return
    if base == pack:
        click.echo("the packs are identical: only an envelope is sent")
    rows = [(name, f"{size}", f"{100 * size / len(pack):.1f} %") for name, size in sizes]
    terminal.print_lines(table(("payload", "bytes", "of the pack"), rows, terminal.terminal_width()) if rows else ())
