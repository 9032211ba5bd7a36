# SPDX-License-Identifier: Apache-2.0
"""The cost of an inference on a Cortex-M4: `make bench-engine`.

Three networks that TensorFlow converts as in a build, and isolation forests, run by the real engine on the
emulated board, which counts instructions. For each, also the size of its pack, its arena, the arena of TFLite
Micro for the same model, and the lower bound for any layout of its activations.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from bench.pack import windows
from reconciler.compiler.datasets import Dataset
from reconciler.compiler.engine_runner import ExecutionTarget, execute
from reconciler.compiler.evaluation.inference_cost import estimate_cost
from reconciler.compiler.forest.training import TrainedForest, train_forest
from reconciler.compiler.pack.golden_section import GoldenVector, encode_golden
from reconciler.compiler.pack.io_section import Descriptor, ElementType, decode_io, encode_io
from reconciler.compiler.pack.operators import Conv2D, DepthwiseConv2D
from reconciler.compiler.pack.pack_format import SectionId, assemble, disassemble
from reconciler.compiler.pack.plan_section import decode_plan, decode_tensors, encode_plan, macs_of
from reconciler.compiler.reference.interpreter import ReferenceInterpreter, generate_inputs
from reconciler.compiler.tflite.network_pack import build_network
from reconciler.model import TrainSpec

ROOT = Path(__file__).resolve().parents[1]
SEEDS = (7, 0x5EED)
ENGINE_TEXT_MAX = 15_500
TFLM_SCRIPT = """
import sys
from tflite_micro.python.tflite_micro import runtime
model = open(sys.argv[1], "rb").read()
runtime.Interpreter.from_bytes(model, arena_size=1 << 20).print_allocations()
"""


@dataclass(frozen=True)
class Tflm:
    """The arena of TFLite Micro: activations (head), and everything else in it (tail)."""

    head: int
    total: int


def convert(folder: Path) -> None:
    """Write the models, in a separate process that imports TensorFlow."""
    done = subprocess.run(
        [sys.executable, "-m", "bench.keras_models", str(folder)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if done.returncode:
        sys.exit(f"cannot convert the models:\n{done.stderr[-2000:]}")


def tflm_arena(model: Path) -> Tflm | None:
    """Return the arena that TFLite Micro allocates, if its package is installed."""
    command = [sys.executable, "-c", TFLM_SCRIPT, str(model)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    found = dict(re.findall(r"Arena allocation (head|total) (\d+)", done.stdout + done.stderr))
    return Tflm(int(found["head"]), int(found["total"])) if len(found) == 2 else None  # noqa: PLR2004 - these two


def run(name: str, pack: bytes) -> int:
    """Run a pack on the board, compare it with the reference, and return the instructions of one inference."""
    reference = ReferenceInterpreter(pack)
    inputs = [generate_inputs(seed, reference.inputs) for seed in SEEDS]
    done = execute(ExecutionTarget.MPS2_AN386, pack, [b"".join(parts) for parts in inputs])
    if done.verdict != 0 or done.first_wrong_golden is not None:
        sys.exit(f"{name}: the engine refuses the pack or fails its golden vectors: {done}")
    for parts, got in zip(inputs, done.inferences, strict=True):
        if got.outputs != b"".join(reference.run(parts).outputs):
            sys.exit(f"{name}: the board's outputs differ from the reference's")
    return max(got.instructions for got in done.inferences)


def convolution_cost(pack: bytes) -> tuple[int, int]:
    """Return the instructions and multiply-accumulates of all convolutions.

    Each counts as what it adds to a plan that ends after it.
    """
    opened = disassemble(pack)
    tensors = decode_tensors(opened.section(SectionId.TENSORS))
    plan = decode_plan(opened.section(SectionId.PLAN))
    inputs, _ = decode_io(opened.section(SectionId.IO))
    inputs_blob = [b"".join(generate_inputs(SEEDS[0], inputs))]
    instructions = macs = before = 0
    if not any(isinstance(operator, (Conv2D, DepthwiseConv2D)) for operator in plan):
        return 0, 0
    for count, operator in enumerate(plan, 1):
        made = tensors[operator.output]
        end = Descriptor(ElementType.INT8, made.dims, operator.output)
        cut = {
            **opened.sections,
            SectionId.PLAN: encode_plan(plan[:count]),
            SectionId.IO: encode_io(inputs, [end]),
            SectionId.GOLDEN: encode_golden([GoldenVector((bytes(made.elements),), seed=1)]),
        }
        after = (
            execute(ExecutionTarget.MPS2_AN386, assemble(replace(opened, sections=cut)), inputs_blob)
            .inferences[0]
            .instructions
        )
        if isinstance(operator, (Conv2D, DepthwiseConv2D)):
            instructions += after - before
            macs += macs_of(operator, tensors)
        before = after
    return instructions, macs


def network(name: str, model: Path) -> None:
    """Print the figures of one network."""
    built = build_network(model.read_bytes())
    instructions = run(name, built.data)
    macs = estimate_cost(built.data, "cortex-m4").macs
    tflm = tflm_arena(model)
    print(f"{name}_instructions={instructions}")
    print(f"{name}_macs={macs}")
    print(f"{name}_instr_per_mac={instructions / macs:.2f}")
    convolutions, in_convolutions = convolution_cost(built.data)
    if in_convolutions > 0:
        print(f"{name}_conv_instr_per_mac={convolutions / in_convolutions:.2f}")
    print(f"{name}_arena_bytes={built.placement.layout.size}")
    print(f"{name}_activation_bound_bytes={built.placement.lower_bound}")
    if tflm is None:
        print(f"# {name}: TFLite Micro's package cannot run the model or is not installed: no arena to compare")
    else:
        print(f"{name}_tflm_arena_bytes={tflm.head}")
        print(f"{name}_tflm_arena_with_tail_bytes={tflm.total}")
    print(f"{name}_pack_bytes={len(built.data)}")
    print(f"{name}_tflite_bytes={model.stat().st_size}")


def isolation_forest(trees: int) -> TrainedForest:
    """Train a forest on three features, with a subsample of 100 and thresholds of 16 bits; it is reproducible."""
    dataset = Dataset(("a", "b", "c"), windows(np.random.default_rng(20261121), 2000))
    return train_forest(
        dataset, TrainSpec("isolation-forest", trees, 100, 7), scheme="int16", parameters={"threshold": 0.6}
    )


def forest() -> None:
    """Print the figures of forests of two sizes."""
    for trees in (10, 50):
        trained = isolation_forest(trees)
        name = f"forest_{trees}"
        print(f"{name}_instructions={run(name, trained.data)}")
        print(f"{name}_nodes={sum(len(tree.left) for tree in trained.exact.trees)}")
        print(f"{name}_arena_bytes={disassemble(trained.data).arena_bytes}")
        print(f"{name}_pack_bytes={len(trained.data)}")


def engine_text() -> int:
    """Return the bytes of code that the engines for networks and forests add to the agent."""
    build = ROOT / "firmware" / "build" / "mps2-an386"
    sizes = []
    for elf in ("unsampled.elf", "agent-alone.elf"):
        done = subprocess.run(["arm-none-eabi-size", str(build / elf)], check=True, capture_output=True, text=True)
        text, data, *_ = done.stdout.splitlines()[1].split()
        sizes.append(int(text) + int(data))
    return sizes[0] - sizes[1]


def main() -> None:
    """Print all figures."""
    with tempfile.TemporaryDirectory() as folder:
        convert(Path(folder))
        for name in ("kws", "resnet", "autoencoder"):
            network(name, Path(folder) / f"{name}.tflite")
    forest()
    text = engine_text()
    print(f"engine_text_m4={text}")
    if text > ENGINE_TEXT_MAX:
        sys.exit(f"the code of the engines exceeds its budget of {ENGINE_TEXT_MAX} bytes")


if __name__ == "__main__":
    main()
