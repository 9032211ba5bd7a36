# SPDX-License-Identifier: Apache-2.0
"""Pipelines: cuts against the oracle, partitions against every other one, bytes on the way, and predicted times.

python -m bench.pipeline
"""

from __future__ import annotations

import itertools
import os
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from bench.bars import Bar, at_least, at_most, exactly
from bench.zoo import keyword_spotting, residual
from reconciler.compiler.evaluation.estimate_limits import CYCLES_PER_INSTRUCTION
from reconciler.compiler.reference.interpreter import ReferenceInterpreter
from reconciler.compiler.stages.cut_network import CutNetwork
from reconciler.compiler.tflite.network_pack import DeviceLimits
from reconciler.compiler.tflite.oracle import Oracle
from reconciler.devices.conversation import ConversationStep
from reconciler.devices.messages import encode
from reconciler.devices.stage_conversation import StageRun, StageSession
from reconciler.devices.stage_messages import OUT_TYPE, FeedStage, FetchStage, StageOutput
from reconciler.model import DeviceId
from reconciler.pipeline.anatomy import Anatomy
from reconciler.pipeline.partition import DeviceClass, Partition, PartitionGoal, partition
from reconciler.pipeline.stage_time import StageSpeed, stage_time
from signing.session import SessionKey
from tests.pipeline.brute_force import best, drawn, in_order

PROBLEMS = int(os.environ.get("PROBLEMS", "5000"))
INPUTS = int(os.environ.get("INPUTS", "10"))
KIB = 1024
DEVICES = 8
ANY_SIZE = 1 << 20

Figure = tuple[Bar, float]


def optimal() -> Figure:
    """Count the drawn problems whose partition no other one surpasses, for each objective in turn."""
    right = 0
    for seed, goal in zip(range(PROBLEMS), itertools.cycle(PartitionGoal), strict=False):
        operators, classes = drawn(seed)
        found, wanted = partition(operators, classes, goal), best(operators, classes, goal)
        reached = found and in_order(goal, (found.latency_us, found.period_us, len(found.stages)))
        right += reached == wanted
    return exactly("optimal", PROBLEMS), right


class Case:
    """One network on equal devices behind a broker, none of which has to be able to hold all of it."""

    def __init__(self, name: str, model: bytes, slot_bytes: int, arena_bytes: int, clock_mhz: float) -> None:
        self.name, self.model = name, model
        self.network = CutNetwork(model)
        self.speed = StageSpeed(clock_mhz)
        self.limits = DeviceLimits(arena_bytes=arena_bytes)
        self.anatomy = self.network.anatomy("cortex-m4", self.limits, slot_bytes)
        self.devices = self._class(self.anatomy)

    def _class(self, anatomy: Anatomy) -> DeviceClass:
        times = {cut: stage_time(part, self.speed, CYCLES_PER_INSTRUCTION) for cut, part in anatomy.segments.items()}
        return DeviceClass("board", DEVICES, times)

    def cut(self, goal: PartitionGoal, devices: int = DEVICES) -> Partition:
        """Cut the model for some of the devices."""
        found = partition(self.network.operators, [replace(self.devices, count=devices)], goal)
        if found is None or not found.proven:
            raise SystemExit(f"{self.name}: no partition is proven")
        return found

    def alone_us(self) -> int:
        """Return the predicted time of the whole model on one such device if it had enough memory."""
        whole = 0, self.network.operators
        everything = self.network.anatomy("cortex-m4", DeviceLimits(arena_bytes=ANY_SIZE), ANY_SIZE)
        return self._class(everything).times[whole].busy_us

    def times(self, latency_bar_ms: float, period_bar_ms: float | None) -> Iterator[Figure]:
        """Predict times, and how long it takes to cut again for one device less."""
        fast, often = self.cut(PartitionGoal.LATENCY), self.cut(PartitionGoal.THROUGHPUT)
        for kind, found in (("latency", fast), ("throughput", often)):
            print(f"# {self.name} for {kind}: cuts {list(found.cuts)}")
        yield at_most(f"{self.name}_predicted_latency_ms", latency_bar_ms), round(fast.latency_us / 1000)
        if period_bar_ms is not None:
            yield at_most(f"{self.name}_predicted_period_ms", period_bar_ms), round(often.period_us / 1000)
            gain = self.alone_us() / often.period_us
            yield at_least(f"{self.name}_predicted_over_one_device", 3.6), round(gain, 2)
        began_s = time.process_time()
        self.cut(PartitionGoal.THROUGHPUT, DEVICES - 1)
        yield at_most(f"{self.name}_replan_ms", 500), round(1000 * (time.process_time() - began_s))

    def answers(self) -> Iterator[Figure]:
        """Run the stages over real messages, and compare with TensorFlow Lite on the model in one piece."""
        found = self.cut(PartitionGoal.LATENCY)
        network = self.network
        stages = [network.stage(stage.first, stage.end, self.limits) for stage in found.stages]
        references = [ReferenceInterpreter(stage.data) for stage in stages]
        oracle, chance, right, payload, wire = Oracle(self.model), np.random.default_rng(1), 0, 0, 0
        for _ in range(INPUTS):
            given = chance.integers(-128, 128, oracle.inputs[0]["shape"]).astype(np.int8)
            tensors = {network.inputs[0]: given.tobytes()}
            for stage, reference in zip(stages, references, strict=True):
                inputs = [tensors[index] for index in stage.inputs]
                outputs = reference.run(inputs).outputs
                tensors.update(zip(stage.outputs, outputs, strict=True))
                moved, sent = conversation(inputs, outputs)
                payload, wire = payload + moved, wire + sent
            right += tensors[network.outputs[0]] == oracle.run([given])[0].astype(np.int8).tobytes()
        predicted = sum(self.anatomy.segments[stage.first, stage.end].bytes_moved for stage in found.stages)
        yield exactly(f"{self.name}_fits_alone", 0), int((0, network.operators) in self.anatomy.segments)
        yield exactly(f"{self.name}_exact", INPUTS), right
        arena_most = max(reference.pack.arena_bytes for reference in references)
        yield at_most(f"{self.name}_arena_most", 32 * KIB), arena_most
        yield exactly(f"{self.name}_payload_bytes", predicted), payload // INPUTS
        yield at_most(f"{self.name}_wire_percent", 4), round(100 * (wire - payload) / payload, 2)


def conversation(inputs: Sequence[bytes], outputs: Sequence[bytes]) -> tuple[int, int]:
    """Have the gateway run a stage, with the answers of a device; return the bytes of tensors and those of messages."""
    expected = b"".join(outputs)
    key = SessionKey(bytes(32), b"bench")
    run = StageRun(DeviceId("board"), StageSession(1, key), inputs, len(expected))
    step: ConversationStep | None = run.begin(0.0)
    moved = sent = 0
    while step is not None and step.turn is not None:
        asked: FetchStage | None = None
        for message in step.turn.messages:
            sent += len(encode(message))
            if isinstance(message, FeedStage):
                moved += len(message.data)
            elif isinstance(message, FetchStage):
                asked = message
        if asked is None:
            break
        data = expected[asked.offset : asked.offset + asked.bytes_max]
        answer = StageOutput(asked.seq, asked.offset, data, key.tag(OUT_TYPE, asked.seq, asked.offset, data))
        moved, sent = moved + len(data), sent + len(encode(answer))
        step = run.heard(answer, 0.0)
    return moved, sent


def figures() -> Iterator[Figure]:
    """Measure one after the other."""
    yield optimal()
    keywords = Case("kws", keyword_spotting(), 12 * KIB, 16 * KIB, 25)
    yield from keywords.times(680, 155)
    yield from keywords.answers()
    resnet = Case("resnet", residual(), 64 * KIB, 32 * KIB, 120)
    yield from resnet.times(470, None)
    yield from resnet.answers()


def main() -> None:
    """Print the figures with their bars; fail if one is missed."""
    missed = []
    for bar, figure in figures():
        print(bar.line(figure), flush=True)
        if not bar.is_met(figure):
            missed.append(bar.name)
    if missed:
        sys.exit(f"bars missed: {', '.join(missed)}")


if __name__ == "__main__":
    main()
