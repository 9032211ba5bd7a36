# SPDX-License-Identifier: Apache-2.0
"""Pipelines: what is predicted of them, and what running devices do.

Cuts against the oracle, partitions against every other one, bytes on the way, a slow line, and deaths of devices.

python -m bench.pipeline
"""

from __future__ import annotations

import asyncio
import itertools
import os
import sys
import time
from collections.abc import Iterator, Sequence

from bench.bars import Bar, at_least, at_most, exactly
from bench.crypto import measure
from bench.pipeline_case import ARENA_BYTES, DEVICES, Case, images, keywords
from bench.pipeline_deaths import cutover, deaths
from bench.pipeline_line import on_a_line
from bench.pipeline_live import speed
from reconciler.compiler.engine_runner import ExecutionTarget, execute
from reconciler.compiler.reference.interpreter import ReferenceInterpreter
from reconciler.compiler.tflite.network_pack import build_network
from reconciler.devices.conversation import ConversationStep
from reconciler.devices.device_session import DeviceSession
from reconciler.devices.messages import encode
from reconciler.devices.stage_conversation import StageRun
from reconciler.devices.stage_messages import OUT_TYPE, FeedStage, FetchStage, StageOutput
from reconciler.model import DeviceId
from reconciler.pipeline.partition import PartitionGoal, partition
from signing.session import SessionKey
from tests.pipeline.brute_force import best, drawn, in_order

PROBLEMS = int(os.environ.get("PROBLEMS", "5000"))
INPUTS = int(os.environ.get("INPUTS", "1000"))  # of each network

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


def predicted(case: Case, latency_bar_ms: float, period_bar_ms: float | None) -> Iterator[Figure]:
    """Predict times, and how long it takes to cut again for one device less."""
    fast, often = case.cut(PartitionGoal.LATENCY), case.cut(PartitionGoal.THROUGHPUT)
    for kind, found in (("latency", fast), ("throughput", often)):
        print(f"# {case.name} for {kind}: cuts {list(found.cuts)}")
    yield at_most(f"{case.name}_predicted_latency_ms", latency_bar_ms), round(fast.latency_us / 1000)
    if period_bar_ms is not None:
        yield at_most(f"{case.name}_predicted_period_ms", period_bar_ms), round(often.period_us / 1000)
        gain = case.alone_us() / often.period_us
        yield at_least(f"{case.name}_predicted_over_one_device", 3.6), round(gain, 2)
    began_s = time.process_time()
    case.cut(PartitionGoal.THROUGHPUT, DEVICES - 1)
    yield at_most(f"{case.name}_replan_ms", 500), round(1000 * (time.process_time() - began_s))


def answers(case: Case) -> Iterator[Figure]:
    """Run the stages over real messages, and compare with the model in one piece.

    It is run by TensorFlow Lite, and by the device's engine in C.
    """
    found = case.cut(PartitionGoal.LATENCY)
    network = case.network
    stages = [network.stage(stage.first, stage.end, case.limits) for stage in found.stages]
    references = [ReferenceInterpreter(stage.data) for stage in stages]
    given = case.inputs(INPUTS)
    in_c = [each.outputs for each in execute(ExecutionTarget.HOST, build_network(case.model).data, given).inferences]
    right = same = payload = wire = 0
    for data, whole in zip(given, in_c, strict=True):
        tensors = {network.inputs[0]: data}
        for stage, reference in zip(stages, references, strict=True):
            inputs = [tensors[index] for index in stage.inputs]
            outputs = reference.run(inputs).outputs
            tensors.update(zip(stage.outputs, outputs, strict=True))
            moved, sent = conversation(inputs, outputs)
            payload, wire = payload + moved, wire + sent
        right += tensors[network.outputs[0]] == case.expected(data)
        same += tensors[network.outputs[0]] == whole
    expected = sum(case.anatomy.segments[stage.first, stage.end].bytes_moved for stage in found.stages)
    yield exactly(f"{case.name}_fits_alone", 0), int(case.fits_alone)
    yield exactly(f"{case.name}_fits_together", 1), int(len(stages) <= DEVICES)
    yield exactly(f"{case.name}_exact", INPUTS), right
    yield exactly(f"{case.name}_exact_in_c", INPUTS), same
    arena_most = max(reference.pack.arena_bytes for reference in references)
    yield at_most(f"{case.name}_arena_most", ARENA_BYTES), arena_most
    yield exactly(f"{case.name}_payload_bytes", expected), payload // INPUTS
    yield at_most(f"{case.name}_wire_percent", 4), round(100 * (wire - payload) / payload, 2)


def conversation(inputs: Sequence[bytes], outputs: Sequence[bytes]) -> tuple[int, int]:
    """Have the gateway run a stage, with the answers of a device; return the bytes of tensors and those of messages."""
    expected = b"".join(outputs)
    key = SessionKey(bytes(32), b"bench")
    run = StageRun(DeviceId("board"), DeviceSession(1, key), inputs, tuple(map(len, outputs)))
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
    kws, resnet = keywords(), images()
    kws_bars, resnet_bars = (680.0, 155.0), (470.0, None)
    for case, bars in ((kws, kws_bars), (resnet, resnet_bars)):
        yield from predicted(case, *bars)
        yield from answers(case)
    yield from measure().session_figures()
    yield from on_a_line()
    load, processors = os.getloadavg()[0], os.cpu_count()
    print(f"# the load of this machine is {load:.1f} on {processors} processors; what follows needs one at rest")
    yield from asyncio.run(speed(kws, kws_bars))
    yield from asyncio.run(speed(resnet, resnet_bars))
    yield from asyncio.run(deaths(kws))
    yield from asyncio.run(cutover())


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
