# SPDX-License-Identifier: Apache-2.0
"""Fits the instructions of each kind of work to runs on the emulated boards: `make fit-cost`.

Prints the coefficients for `inference_cost.py`, and how far estimates are off on networks that the fit has not seen.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
from scipy.optimize import nnls  # type: ignore[import-untyped] # scipy has no types

from bench.cost_layers import FITTED_SEEDS, UNSEEN_SEEDS, layer_packs
from bench.engine import SEEDS
from bench.zoo import ZOO
from reconciler.compiler.engine_runner import ExecutionTarget, execute
from reconciler.compiler.evaluation.inference_cost import pack_work
from reconciler.compiler.evaluation.operator_work import Work
from reconciler.compiler.reference.interpreter import ReferenceInterpreter, generate_inputs
from reconciler.compiler.tflite.network_pack import build_network

BOARDS = (ExecutionTarget.MPS2_AN386, ExecutionTarget.RISCV32_VIRT)


def count_instructions(board: ExecutionTarget, pack: bytes) -> int:
    """Run a pack once and return its instructions."""
    inputs = b"".join(generate_inputs(SEEDS[0], ReferenceInterpreter(pack).inputs))
    return execute(board, pack, [inputs]).inferences[0].instructions


def fit(packs: Iterable[bytes], board: ExecutionTarget) -> dict[Work, float]:
    """Return the coefficients with the least relative errors."""
    rows, counted = [], []
    for pack in packs:
        work = pack_work(pack)
        rows.append([work[kind] for kind in Work])
        counted.append(count_instructions(board, pack))
    scale = 1 / np.array(counted, np.float64)
    found, _ = nnls(np.array(rows, np.float64) * scale[:, None], np.ones(len(counted)), maxiter=10_000)
    return dict(zip(Work, found.tolist(), strict=True))


def estimate(pack: bytes, costs: Mapping[Work, float]) -> float:
    """Return the instructions that the coefficients predict."""
    return sum(costs[kind] * amount for kind, amount in pack_work(pack).items())


def main() -> None:
    """Print the coefficients and the errors for each board."""
    seen = [pack for seed in FITTED_SEEDS for _, pack in layer_packs(seed)]
    unseen = {f"{name}, seed {seed}": pack for seed in UNSEEN_SEEDS for name, pack in layer_packs(seed)}
    unseen |= {name: build_network(make()).data for name, make in ZOO.items()}
    for board in BOARDS:
        costs = fit(seen, board)
        print(f"# {board.value}")
        for kind, value in costs.items():
            print(f"    Work.{kind.name}: {value:.4g},")
        worst = 0.0
        for name, pack in unseen.items():
            off = estimate(pack, costs) / count_instructions(board, pack) - 1
            worst = max(worst, abs(off))
            print(f"# {name}: {100 * off:+.1f} %")
        print(f"estimate_worst_percent_{board.value}={100 * worst:.1f}")


if __name__ == "__main__":
    main()
