# SPDX-License-Identifier: Apache-2.0
"""Which models can be built, and whether their packs are exact: `make bench-models`, with `MODELS=folder` for others.

Without a folder, these are the models of the example repository and the public models of `public_models.txt`.
Every `.tflite` and `.lite` file below a folder is built in the build subprocess, for a device type that has all
operators and enough memory. It is accepted, or refused with a reason. What is accepted runs on the device's engine
(on the reference interpreter, if the engine is not built) and in the oracle, on the same random inputs. Those of a
model with state are one sequence.
"""

from __future__ import annotations

import hashlib
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bench.public_models import FOLDER, NotFetched, fetch
from reconciler.compiler.engine_runner import ExecutionTarget, execute, runner_is_built
from reconciler.compiler.errors import BuildFailed
from reconciler.compiler.pack.io_section import decode_io
from reconciler.compiler.pack.operators import NAMES
from reconciler.compiler.pack.pack_format import SectionId, disassemble
from reconciler.compiler.recipe import BuildTarget, File, Recipe
from reconciler.compiler.reference.interpreter import ReferenceInterpreter
from reconciler.compiler.sandbox import BuildJob, BuildLimits, run_job
from reconciler.compiler.tflite.network_pack import build_network
from reconciler.compiler.tflite.network_prediction import Int8Model
from reconciler.compiler.tflite.oracle import Oracle

MODELS = Path(__file__).parents[1] / "fleet-repo-example" / "models"
SUFFIXES = frozenset({".tflite", ".lite"})
ROOMY = BuildTarget("bench", "cortex-m4", 1 << 26, 1 << 26, tuple(NAMES.values()))
LIMITS = BuildLimits(wall_s=300.0)
INPUTS = 20
STEPS = 100  # of a model with state


@dataclass(frozen=True, slots=True)
class Intake:
    """What became of a file."""

    file: str
    verdict: str  # exact, different or refused
    text: str


def take_in(path: Path, name: str) -> Intake:
    """Build one model, and compare its pack with the oracle."""
    model = path.read_bytes()
    source = File(path.name, hashlib.sha256(model).hexdigest())
    try:
        built = run_job(BuildJob(Recipe(f"{path.stem}@0", source, ROOMY), {source.sha256: model}, LIMITS))
    except BuildFailed as refusal:
        return Intake(name, "refused", f"{refusal.reason}: {refusal}")
    equal, count = equal_inferences(model, built.pack)
    report = built.report
    figures = f"{report.pack_bytes} bytes, arena {report.arena_bytes}, {report.figures['macs']:.0f} MAC"
    return Intake(name, "exact" if equal == count else "different", f"{equal} of {count} equal, {figures}")


def equal_inferences(model: bytes, pack: bytes) -> tuple[int, int]:
    """Return for how many random inputs all outputs of the pack equal those of the oracle, and of how many."""
    network = build_network(model)
    sections = disassemble(pack).sections
    sources, targets = decode_io(sections[SectionId.IO])
    oracle = Int8Model(Oracle(model, network.locations), sources, targets, network.input_orders)
    rng = np.random.default_rng(len(model))
    drawn = [
        [rng.integers(-128, 128, source.elements) for source in sources]
        for _ in range(STEPS if SectionId.STATE in sections else INPUTS)
    ]
    given = [[part.astype(np.int8).tobytes() for part in inputs] for inputs in drawn]
    if runner_is_built(ExecutionTarget.HOST):
        done = execute(ExecutionTarget.HOST, pack, [b"".join(parts) for parts in given])
        computed = [each.outputs for each in done.inferences]
    else:
        reference = ReferenceInterpreter(pack)
        computed = [b"".join(reference.run(parts).outputs) for parts in given]
    expected = [b"".join(out.astype(np.int8).tobytes() for out in oracle.run(inputs)) for inputs in drawn]
    return sum(ours == theirs for ours, theirs in zip(computed, expected, strict=True)), len(expected)


def known_models() -> list[Path]:
    """Return the folders of the models that this bench knows, as far as they can be fetched."""
    try:
        fetch()
    except NotFetched as error:
        print(f"# {error}: these models are left out")
        return [MODELS]
    return [MODELS, FOLDER]


def main(folders: Sequence[Path]) -> int:
    """Print a line for each file, and the counts; fail if a pack differs from the oracle, or if there is no file."""
    found = [(path, folder) for folder in folders for path in sorted(folder.rglob("*"))]
    paths = [(path, folder) for path, folder in found if path.suffix in SUFFIXES and path.is_file()]
    verdicts: Counter[str] = Counter()
    for path, folder in paths:
        taken = take_in(path, str(path.relative_to(folder)))
        verdicts[taken.verdict] += 1
        print(f"{taken.file}: {taken.verdict}: {taken.text}", flush=True)
    print(f"models_read={len(paths)}")
    for verdict in ("exact", "different", "refused"):
        print(f"models_{verdict}={verdicts[verdict]}")
    if not paths:
        names = " and ".join(map(str, folders))
        print(f"{names} has no .tflite or .lite file", file=sys.stderr)
    return int(verdicts["different"] > 0 or not paths)


if __name__ == "__main__":
    sys.exit(main([Path(argument) for argument in sys.argv[1:]] or known_models()))
