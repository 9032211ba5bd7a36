# SPDX-License-Identifier: Apache-2.0
"""Pipelines: cuts against the oracle, partitions against every other one, and what fits only together.

python -m bench.pipeline
"""

from __future__ import annotations

import itertools
import os
import time

import numpy as np

from bench.zoo import keyword_spotting, residual
from reconciler.compiler.evaluation.estimate_limits import CYCLES_PER_INSTRUCTION
from reconciler.compiler.reference.interpreter import ReferenceInterpreter
from reconciler.compiler.stages.cut_network import CutNetwork
from reconciler.compiler.tflite.network_pack import DeviceLimits
from reconciler.compiler.tflite.oracle import Oracle
from reconciler.pipeline.anatomy import Anatomy
from reconciler.pipeline.partition import DeviceClass, Partition, PartitionGoal, StageTime, partition
from tests.pipeline.brute_force import best, drawn, in_order

PROBLEMS = int(os.environ.get("PROBLEMS", "5000"))
INPUTS = int(os.environ.get("INPUTS", "10"))
KIB = 1024
PIECE_BYTES, PIECE_US = 600, 300  # a question and its answer through a broker on the gateway
TAG_INSTRUCTIONS = 20  # a byte


def optimal() -> str:
    """Count the drawn problems whose partition no other one surpasses, for each objective in turn."""
    right = 0
    for seed, goal in zip(range(PROBLEMS), itertools.cycle(PartitionGoal), strict=False):
        operators, classes = drawn(seed)
        found, wanted = partition(operators, classes, goal), best(operators, classes, goal)
        reached = found and in_order(goal, (found.latency_us, found.period_us, len(found.stages)))
        right += reached == wanted
    return f"optimal={right}/{PROBLEMS}"


def times_of(anatomy: Anatomy, clock_hz: int) -> dict[tuple[int, int], StageTime]:
    """Estimate how long each part keeps a device behind a broker busy."""
    found = {}
    for cut, part in anatomy.segments.items():
        instructions = part.instructions + TAG_INSTRUCTIONS * part.bytes_moved
        pieces = sum(-(-size // PIECE_BYTES) for size in (*part.input_bytes, *part.output_bytes))
        found[cut] = StageTime(round(instructions * CYCLES_PER_INSTRUCTION * 1_000_000 / clock_hz) + PIECE_US * pieces)
    return found


def cut(
    model: bytes, slot_bytes: int, arena_bytes: int, clock_hz: int, count: int
) -> tuple[CutNetwork, Partition, bool]:
    """Cut a model for the lowest latency on equal devices; also return whether one of them can hold all of it."""
    network = CutNetwork(model)
    anatomy = network.anatomy("cortex-m4", DeviceLimits(arena_bytes=arena_bytes), slot_bytes)
    devices = DeviceClass("board", count, times_of(anatomy, clock_hz))
    began_s = time.perf_counter()
    found = partition(network.operators, [devices], PartitionGoal.LATENCY)
    if found is None:
        raise SystemExit("no partition fits the devices")
    print(f"# {len(found.stages)} stages, cuts {list(found.cuts)}, in {1000 * (time.perf_counter() - began_s):.0f} ms")
    return network, found, (0, network.operators) in anatomy.segments


def exact(name: str, model: bytes, network: CutNetwork, found: Partition, arena_bytes: int) -> list[str]:
    """Compare the stages of a partition with TensorFlow Lite on the model in one piece."""
    limits = DeviceLimits(arena_bytes=arena_bytes)
    stages = [network.stage(stage.first, stage.end, limits) for stage in found.stages]
    references = [ReferenceInterpreter(stage.data) for stage in stages]
    oracle, chance, right = Oracle(model), np.random.default_rng(1), 0
    for _ in range(INPUTS):
        given = chance.integers(-128, 128, oracle.inputs[0]["shape"]).astype(np.int8)
        tensors = {network.inputs[0]: given.tobytes()}
        for stage, reference in zip(stages, references, strict=True):
            outputs = reference.run([tensors[index] for index in stage.inputs]).outputs
            tensors.update(zip(stage.outputs, outputs, strict=True))
        right += tensors[network.outputs[0]] == oracle.run([given])[0].astype(np.int8).tobytes()
    return [
        f"{name}_exact={right}/{INPUTS}",
        f"{name}_stages={len(stages)}",
        f"{name}_arena_most={max(reference.pack.arena_bytes for reference in references)}",
        f"{name}_predicted_latency_ms={found.latency_us / 1000:.0f}",
        f"{name}_predicted_period_ms={found.period_us / 1000:.0f}",
    ]


def main() -> None:
    """Print the figures."""
    figures = [optimal()]
    for name, model, slot, arena, clock_hz in (
        ("kws", keyword_spotting(), 12 * KIB, 16 * KIB, 25_000_000),
        ("resnet", residual(), 64 * KIB, 32 * KIB, 120_000_000),
    ):
        network, found, fits_alone = cut(model, slot, arena, clock_hz, 5)
        figures += [f"{name}_fits_alone={int(fits_alone)}", *exact(name, model, network, found, arena)]
    print("\n".join(figures))


if __name__ == "__main__":
    main()
