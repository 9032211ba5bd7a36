# SPDX-License-Identifier: Apache-2.0
"""What growing a forest costs on a device, and how good the forest is: `make bench-learning`.

Forests grow on emulated boards (firmware/runner/grow_bench.c), in the library for Linux and in the reference, from
windows of generated bearings. scikit-learn grows others from the same rows.
"""

from __future__ import annotations

import socket
import struct
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

import numpy as np
import numpy.typing as npt
from sklearn.ensemble import IsolationForest
from sklearn.metrics import roc_auc_score

from bench.bearings.dataset import BearingRun, generated
from bench.bearings.sampling import WINDOW, Int16s
from reconciler.compiler.forest.quantization import fit_grid
from reconciler.compiler.forest.training import FeatureExtractor
from reconciler.compiler.pack.features_section import Statistic
from reconciler.compiler.pack.forest_section import decode_forest
from reconciler.compiler.pack.learn_section import scratch_bytes
from reconciler.compiler.reference.forest import sums
from reconciler.compiler.reference.growing import ForestForm, grow_forest
from tests.firmware.growing import grown_on_host

FIRMWARE = Path(__file__).resolve().parents[1] / "firmware" / "build"
STATISTICS = ((Statistic.KURTOSIS, 0), (Statistic.SKEWNESS, 0), (Statistic.MEAN, 0))
FORM = ForestForm(features=len(STATISTICS), trees=50, subsample=100, threshold_bits=16)
ROWS, SEEDS = 600, range(1, 9)
FAILING = (2, 3)  # the bearings that fail
HEALTHY_LIFE, WORN_LIFE = 0.6, 0.9
EVALUATED = 400  # windows of each kind
TIMEOUT_S = 600
BARS = {"grow_instructions_t50": 4.5e6, "grow_scratch_bytes": 600, "grow_auc_gap": 0.005}

Rows = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Board:
    """An emulated board whose instructions are counted, and where it expects the request."""

    name: str
    command: tuple[str, ...]
    request_at: int


BOARDS = (
    Board(
        "mps2-an386",
        ("qemu-system-arm", "-M", "mps2-an386", "-nic", "user,restrict=on", "-icount", "shift=5", "-kernel"),
        0x21000000,
    ),
    Board(
        "riscv32-virt",
        ("qemu-system-riscv32", "-M", "virt", "-smp", "1", "-m", "64M", "-icount", "shift=0", "-bios"),
        0x80400000,
    ),
)


def grown_on(board: Board, rows: Rows, seed: int) -> tuple[int, bytes]:
    """Return the instructions of growing on a board, and the section."""
    request = struct.pack("<6I", FORM.features, FORM.trees, FORM.subsample, FORM.threshold_bits, seed, len(rows))
    ours, uart = socket.socketpair()
    with tempfile.NamedTemporaryFile() as file, ours, ours.makefile("rb") as answer:
        file.write(request + rows.astype("<u2").tobytes())
        file.flush()
        ours.settimeout(TIMEOUT_S)
        command = [
            *(*board.command, str(FIRMWARE / board.name / "grow-bench.elf")),
            *("-display", "none", "-monitor", "none", "-nodefaults"),
            *("-device", f"loader,file={file.name},addr={board.request_at:#x},force-raw=on"),
            *("-chardev", f"socket,id=uart,fd={uart.fileno()}", "-serial", "chardev:uart"),
        ]
        with uart:
            process = subprocess.Popen(command, pass_fds=(uart.fileno(),))
        try:
            instructions, size = struct.unpack("<Ii", answer.read(8))
            return instructions, answer.read(max(0, size))
        finally:
            process.kill()
            process.wait()


def inputs_of(run: BearingRun, bearing: int) -> tuple[Rows, Rows, Rows]:
    """Return what the trees get: the rows of a healthy bearing, later healthy windows, and worn ones."""
    extractor = FeatureExtractor(1.0, WINDOW, 1, STATISTICS)
    healthy = run.windows[bearing][run.life < HEALTHY_LIFE]
    worn = run.windows[bearing][run.life > WORN_LIFE]
    every = len(healthy) // (ROWS + EVALUATED)
    chosen = healthy[::every][: ROWS + EVALUATED]
    raw = [extractor.raw(_floats(part)) for part in (chosen[:ROWS], chosen[ROWS:], worn[-EVALUATED:])]
    grids = [fit_grid([float(column.min()), float(column.max())], FORM.threshold_bits) for column in raw[0].T]
    rows, later, failing = (
        np.stack([grid.apply(part[:, i], FORM.threshold_bits) for i, grid in enumerate(grids)], axis=1) for part in raw
    )
    return rows, later, failing


def _floats(windows: Int16s) -> npt.NDArray[np.float64]:
    return windows.astype(np.float64)


def auc_grown(section: bytes, later: Rows, failing: Rows) -> float:
    """Return how well a grown forest tells failing windows from healthy ones."""
    forest = decode_forest(section, FORM.features)
    scores = [-sums(forest, list(map(int, row)))[0] for row in np.concatenate([later, failing])]
    return float(roc_auc_score(_truth(later, failing), scores))


def auc_of_scikit_learn(rows: Rows, later: Rows, failing: Rows, seed: int) -> float:
    """Return the same of a forest by scikit-learn, with as many trees and samples."""
    fitted = IsolationForest(n_estimators=FORM.trees, max_samples=FORM.subsample, random_state=seed).fit(rows)
    return float(roc_auc_score(_truth(later, failing), -fitted.score_samples(np.concatenate([later, failing]))))


def _truth(later: Rows, failing: Rows) -> Sequence[int]:
    return [0] * len(later) + [1] * len(failing)


def auc_gap(run: BearingRun) -> float:
    """Return by how much scikit-learn is better, as the mean over seeds, on the bearing where that is most."""
    gaps = []
    for bearing in FAILING:
        rows, later, failing = inputs_of(run, bearing)
        grown = [auc_grown(grow_forest(rows.tolist(), FORM, seed), later, failing) for seed in SEEDS]
        other = [auc_of_scikit_learn(rows, later, failing, seed) for seed in SEEDS]
        print(f"# bearing {bearing + 1}: AUC {fmean(grown):.4f} grown, {fmean(other):.4f} by scikit-learn")
        gaps.append(fmean(other) - fmean(grown))
    return max(gaps)


def main() -> None:
    """Print the figures, and fail when one misses its bar."""
    run = generated()
    rows, _, _ = inputs_of(run, FAILING[0])
    expected = grow_forest(rows.tolist(), FORM, SEEDS[0])
    counted = {board.name: grown_on(board, rows, SEEDS[0]) for board in BOARDS}
    sections = [section for _, section in counted.values()] + [grown_on_host(rows.tolist(), FORM, SEEDS[0])]
    same = sum(section == expected for section in sections)
    figures: dict[str, float] = {f"grow_instructions_t50_{name}": count for name, (count, _) in counted.items()}
    figures["grow_instructions_t50"] = counted["mps2-an386"][0]
    figures["grow_scratch_bytes"] = scratch_bytes(FORM.subsample, FORM.features)
    figures["grow_section_bytes_t50"] = len(expected)
    figures["grow_auc_gap"] = auc_gap(run)
    print(f"grow_same_bytes={same}/{len(sections)}")
    for name, value in figures.items():
        print(f"{name}={value:.5f}" if abs(value) < 1 else f"{name}={value:.0f}")
    missed = [name for name, bar in BARS.items() if figures[name] > bar]
    if same != len(sections) or missed:
        sys.exit(f"bars missed: {', '.join(missed) or 'grow_same_bytes'}")


if __name__ == "__main__":
    main()
