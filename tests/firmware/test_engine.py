# SPDX-License-Identifier: Apache-2.0
"""The engines in C equal the reference and the oracle to the bit, on this machine under the sanitizers."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reconciler.compiler.engine_runner import Execution, HostRunner, make_request
from reconciler.compiler.errors import PackMalformed
from reconciler.compiler.forest.forest_pack import assemble_forest
from reconciler.compiler.pack.checker import check_pack
from reconciler.compiler.pack.decision_head import DecisionMode as HeadMode
from reconciler.compiler.pack.features_section import Feature, FeatureWindow, Statistic
from reconciler.compiler.pack.forest_head import ForestMode
from reconciler.compiler.pack.forest_section import Forest, Leaf, Split, Tree
from reconciler.compiler.pack.io_section import Descriptor, ElementType, decode_io, encode_io
from reconciler.compiler.pack.operators import WideDepthwiseConv2D
from reconciler.compiler.pack.pack_format import (
    FORMAT_VERSION,
    OLDEST_FORMAT_VERSION,
    SectionId,
    assemble,
    disassemble,
    pad4,
)
from reconciler.compiler.pack.plan_section import TensorRecord, decode_plan, decode_tensors, encode_plan, encode_tensors
from reconciler.compiler.pack.tunable_parameters_section import Parameter, name_hash
from reconciler.compiler.reference.forest import raw_features
from reconciler.compiler.reference.interpreter import ReferenceInterpreter, generate_inputs
from reconciler.compiler.tflite.network_pack import Decision, build_network
from tests.compiler.make_vectors import good_packs
from tests.compiler.random_forests import random_forest
from tests.compiler.random_networks import KINDS, Draw, in_device_layout, oracle_and_network
from tests.compiler.test_streaming import HOSTILE_FORMS, HOSTILE_STATES, with_form, with_section
from tests.firmware.conftest import build
from tests.firmware.extremes import ANY, FAST, extreme_packs

VECTORS: dict[str, Any] = json.loads((Path(__file__).parents[1] / "vectors" / "pack.json").read_text())
ARENA_BYTES = 1 << 16
ERR_PACK, ERR_KIND, ERR_OPERATOR, ERR_ARENA, ERR_INPUT = -83, -84, -85, -86, -92
EXAMPLES = int(os.environ.get("TINYFLEET_EXAMPLES", "15"))
relaxed = settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)


class Engine:
    """The runner under the sanitizers: a read or write out of bounds ends it and fails the test."""

    def __init__(self, program: Path) -> None:
        self._runner = HostRunner(program)
        self.close = self._runner.close

    def run(
        self,
        pack: bytes,
        inputs: Sequence[bytes] = (),
        *,
        arena_bytes: int | None = None,
        parameters: Sequence[int] = (),
    ) -> Execution:
        """Check a pack, try its golden vectors, and run it on inputs of the same length."""
        request = make_request(pack, inputs, arena_bytes=arena_bytes, parameters=parameters)
        return self._runner.ask(request, len(inputs))


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    runner = Engine(build("host-asan") / "tinyfleet-runner")
    yield runner
    runner.close()


def assert_like_reference(engine: Engine, pack: bytes, inputs: Sequence[tuple[bytes, ...]]) -> None:
    reference = ReferenceInterpreter(pack)
    done = engine.run(pack, [b"".join(parts) for parts in inputs])
    assert (done.verdict, done.first_wrong_golden) == (0, None)
    for parts, got in zip(inputs, done.inferences, strict=True):
        wanted = reference.run(parts)
        assert (got.error, got.decision, got.score) == (0, wanted.decision, wanted.score)
        assert got.outputs == b"".join(wanted.outputs)


@pytest.mark.parametrize("vector", VECTORS["good"], ids=lambda vector: str(vector["name"]))
def test_vectors(engine: Engine, vector: dict[str, Any]) -> None:
    pack = bytes.fromhex(vector["pack"])
    inputs = [b"".join(generate_inputs(run["seed"], ReferenceInterpreter(pack).inputs)) for run in vector["runs"]]
    done = engine.run(pack, inputs)
    assert (done.verdict, done.first_wrong_golden) == (0, None)
    for run, got in zip(vector["runs"], done.inferences, strict=True):
        assert (got.outputs.hex(), got.decision, got.score) == (run["outputs"], run["decision"], run["score"])


def test_edited_vectors_get_the_verdict_of_the_checker(engine: Engine) -> None:
    packs = {vector["name"]: bytes.fromhex(vector["pack"]) for vector in VECTORS["good"]}
    for edit in VECTORS["edited"]:
        pack = bytearray(packs[edit["pack"]])
        pack[edit["at"]] = edit["value"]
        verdict = engine.run(bytes(pack), arena_bytes=ARENA_BYTES).verdict
        assert (verdict == 0) == edit["valid"], edit


@pytest.mark.parametrize("kind", sorted(KINDS))
@relaxed
@given(data=st.data())
def test_networks_equal_the_oracle(engine: Engine, kind: str, data: st.DataObject) -> None:
    model = KINDS[kind](Draw(data))
    oracle, network = oracle_and_network(model, data.draw(st.sampled_from([FORMAT_VERSION, OLDEST_FORMAT_VERSION])))
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    inputs = [[rng.integers(-128, 128, d["shape"]).astype(np.int8) for d in oracle.inputs] for _ in range(3)]
    done = engine.run(network.data, [b"".join(in_device_layout(network, parts)) for parts in inputs])
    assert (done.verdict, done.first_wrong_golden) == (0, None)
    for parts, got in zip(inputs, done.inferences, strict=True):
        assert got.outputs == b"".join(out.tobytes() for out in oracle.run(parts))


@pytest.mark.parametrize("name", ["depthwise same", "depthwise valid"])
def test_bands_of_a_wide_depthwise_layer_make_no_difference(engine: Engine, name: str) -> None:
    pack = disassemble(PACKS[name])
    (layer,) = decode_plan(pack.section(SectionId.PLAN))
    assert isinstance(layer, WideDepthwiseConv2D)
    assert layer.band > 1
    for band in range(1, layer.band + 2):
        sections = {**pack.sections, SectionId.PLAN: encode_plan([replace(layer, band=band)])}
        done = engine.run(assemble(replace(pack, sections=sections)))
        assert (done.verdict, done.first_wrong_golden) == (0, None)


@relaxed
@given(data=st.data())
def test_heads_equal_the_reference(engine: Engine, data: st.DataObject) -> None:
    draw = Draw(data)
    mode = data.draw(st.sampled_from(list(HeadMode)))
    model = KINDS["elementwise"](draw)  # as many outputs as inputs, so that every mode fits
    oracle_and_network(model)
    asks = mode is not HeadMode.LARGEST or data.draw(st.booleans())
    default = data.draw(st.integers(-200, 200000))
    parameters = [Parameter(name_hash("threshold"), default, -(1 << 31), (1 << 31) - 1)] if asks else []
    pack = build_network(model, decision=Decision(mode, 0 if asks else None), parameters=parameters).data
    seeds = data.draw(st.lists(st.integers(1, 2**32 - 1), min_size=3, max_size=3))
    assert_like_reference(engine, pack, [generate_inputs(seed, ReferenceInterpreter(pack).inputs) for seed in seeds])


def draw_window(data: st.DataObject) -> FeatureWindow:
    samples = data.draw(st.sampled_from([1, 2, 3, 31, 64, 500]))
    channels = data.draw(st.integers(1, 4))
    features = tuple(
        Feature(
            data.draw(st.sampled_from(list(Statistic))),
            data.draw(st.integers(0, channels - 1)),
            data.draw(st.integers(0, 62)),
            data.draw(st.integers(-(1 << 31), (1 << 31) - 1)),
            data.draw(st.integers(0, (1 << 31) - 1)),
        )
        for _ in range(data.draw(st.integers(1, 8)))
    )
    return FeatureWindow(samples, channels, features)


def draw_samples(data: st.DataObject, window: FeatureWindow) -> bytes:
    """Noise of any spread around any level; sometimes the extremes alone."""
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    count = window.samples * window.channels
    if data.draw(st.booleans()):
        return bytes(rng.choice([-32768, 32767, 0], count).astype("<i2").tobytes())
    level, spread = data.draw(st.integers(-32768, 32767)), data.draw(st.sampled_from([0, 1, 5, 120, 300, 20000]))
    return bytes(np.clip(level + rng.integers(-spread, spread + 1, count), -32768, 32767).astype("<i2").tobytes())


@relaxed
@given(data=st.data())
def test_forests_equal_the_reference(engine: Engine, data: st.DataObject) -> None:
    window = draw_window(data)
    mode = data.draw(st.sampled_from(list(ForestMode)))
    bits, jump_bits = data.draw(st.integers(4, 16)), data.draw(st.sampled_from([0, 0, 12, 16]))
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    forest = random_forest(rng, mode, len(window.features), bits=bits, jump_bits=jump_bits)
    asks = mode is ForestMode.ISOLATION or data.draw(st.booleans())
    parameter = Parameter(name_hash("threshold"), int(rng.integers(-20000, 20000)), -(1 << 31), (1 << 31) - 1)
    pack = assemble_forest(forest, window, [parameter] if asks else [])
    assert_like_reference(engine, pack, [(draw_samples(data, window),) for _ in range(4)])


@pytest.mark.parametrize("shifts", [FAST, ANY], ids=["quick", "any"])
def test_sums_at_the_ends_of_32_bits(engine: Engine, shifts: tuple[int, int]) -> None:
    for seed in range(EXAMPLES):
        for name, pack in extreme_packs(seed, shifts).items():
            done = engine.run(pack)
            assert (name, seed, done.verdict, done.first_wrong_golden) == (name, seed, 0, None)


def ladder(low: int, high: int) -> Tree:
    """A tree that ends in the row of its one input's value."""
    if high - low == 1:
        return Leaf(low)
    middle = (low + high) // 2
    return Split(0, middle - 1, ladder(low, middle), ladder(middle, high))


@pytest.mark.parametrize("spread", [0, 1, 40, 300, 2000, 32767])
@pytest.mark.parametrize("statistic", list(Statistic), ids=lambda statistic: statistic.name.lower())
def test_statistics_are_exact(engine: Engine, statistic: Statistic, spread: int) -> None:
    rng = np.random.default_rng(spread + int(statistic))
    table = np.arange(256).astype(np.int16).reshape(-1, 1)
    forest = Forest(ForestMode.REGRESSION, 8, (ladder(0, 256),), table, 1)
    for samples in (1, 2, 17, 512):
        x = np.clip(rng.integers(-spread, spread + 1, samples) + rng.integers(-99, 100), -32768, 32767).astype("<i2")
        raw = raw_features(x.tolist())[statistic]
        window = FeatureWindow(samples, 1, (Feature(statistic, 0, 0, raw - 100, 1),))
        (got,) = engine.run(assemble_forest(forest, window, []), [x.tobytes()]).inferences
        assert got.score == 100, (samples, raw)


@pytest.mark.parametrize("least", [-32768, -32767, 32767])
@pytest.mark.parametrize("statistic", list(Statistic), ids=lambda statistic: statistic.name.lower())
def test_statistics_of_the_longest_window_are_exact_at_the_extremes(
    engine: Engine, statistic: Statistic, least: int
) -> None:
    """16 times the sum of 4,096 samples of -32,768, rounded, exceeds 32 bits."""
    table = np.arange(256).astype(np.int16).reshape(-1, 1)
    forest = Forest(ForestMode.REGRESSION, 8, (ladder(0, 256),), table, 1)
    for last in (least, 0):
        x = np.array([least] * 4095 + [last], "<i2")
        raw = raw_features(x.tolist())[statistic]
        window = FeatureWindow(4096, 1, (Feature(statistic, 0, 0, raw - 100, 1),))
        (got,) = engine.run(assemble_forest(forest, window, []), [x.tobytes()]).inferences
        assert got.score == 100, raw


PACKS = good_packs()


@pytest.mark.parametrize("name", sorted(PACKS))
@settings(relaxed, max_examples=4 * EXAMPLES)
@given(data=st.data())
def test_corrupted_packs_are_refused_or_stay_within_bounds(engine: Engine, name: str, data: st.DataObject) -> None:
    damaged = bytearray(PACKS[name])
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(4, len(damaged) - 1))
        damaged[at] = data.draw(st.sampled_from([0, 1, 2, 4, 127, 128, 255]) | st.integers(0, 255))
    cut = data.draw(st.sampled_from([0, 0, 0, 4, 40]))
    pack = bytes(damaged[: len(damaged) - cut])
    try:
        check_pack(pack, arena_bytes=ARENA_BYTES)
        inputs = [b"".join(generate_inputs(seed, ReferenceInterpreter(pack).inputs)) for seed in (1, 99)]
    except PackMalformed:
        assert engine.run(pack, arena_bytes=ARENA_BYTES).verdict < 0
        return
    done = engine.run(pack, inputs, arena_bytes=ARENA_BYTES)
    assert done.verdict == 0
    assert all(got.error == 0 for got in done.inferences)


STRUCTURE = frozenset({SectionId.WEIGHTS, SectionId.GOLDEN, SectionId.FOREST, SectionId.THRESHOLD}).isdisjoint


def places(pack: bytes) -> Iterator[int]:
    """Every byte of a section that says how things lie, and the first of those that hold mere numbers."""
    opened = disassemble(pack)
    at = 16 + 4 * len(opened.sections)
    for name, content in sorted(opened.sections.items()):
        yield from range(at, at + (len(content) if STRUCTURE({name}) else min(20, len(content))))
        at += len(pad4(content))


@pytest.mark.parametrize("name", sorted(PACKS))
def test_every_slightly_wrong_field_gets_the_verdict_of_the_checker(engine: Engine, name: str) -> None:
    for at in places(PACKS[name]):
        for step in (1, -1, 4, -4):
            changed = bytearray(PACKS[name])
            changed[at] = (changed[at] + step) % 256
            try:
                check_pack(bytes(changed), arena_bytes=ARENA_BYTES)
                valid = True
            except PackMalformed:
                valid = False
            assert (engine.run(bytes(changed), arena_bytes=ARENA_BYTES).verdict == 0) == valid, (at, step)


def test_a_parameter_in_force_decides(engine: Engine) -> None:
    pack = PACKS["head threshold"]
    inputs = [b"".join(generate_inputs(1, ReferenceInterpreter(pack).inputs))]
    score = engine.run(pack, inputs).inferences[0].score
    assert [engine.run(pack, inputs, parameters=[limit]).inferences[0].decision for limit in (score - 1, score)] == [
        1,
        0,
    ]


def test_a_wrong_golden_vector_is_found(engine: Engine) -> None:
    for name in ("dense per tensor", "forest regression"):
        pack = bytearray(PACKS[name])
        golden = pack.rfind(ReferenceInterpreter(PACKS[name]).golden[-1].outputs[0])
        pack[golden] ^= 1
        done = engine.run(bytes(pack))
        assert done.verdict == 0
        assert done.first_wrong_golden == len(ReferenceInterpreter(PACKS[name]).golden) - 1


@pytest.mark.parametrize("name", sorted(HOSTILE_STATES))
def test_a_hostile_state_is_refused(engine: Engine, name: str) -> None:
    pack = with_section(disassemble(PACKS["delay"]), SectionId.STATE, HOSTILE_STATES[name])
    assert engine.run(pack, arena_bytes=ARENA_BYTES).verdict == ERR_PACK


@pytest.mark.parametrize(("name", "form"), HOSTILE_FORMS)
def test_steps_and_digests_exclude_each_other(engine: Engine, name: str, form: int) -> None:
    assert engine.run(with_form(disassemble(PACKS[name]), form), arena_bytes=ARENA_BYTES).verdict == ERR_PACK


def test_the_size_of_a_golden_vector_does_not_wrap(engine: Engine) -> None:
    """64 steps of four outputs of 2^24 bytes, padding included, are 2^32 bytes; the section has none of them."""
    pack = disassemble(PACKS["delay"])
    tensors = decode_tensors(pack.section(SectionId.TENSORS))
    inputs, _ = decode_io(pack.section(SectionId.IO))
    offset = pack.arena_bytes + -pack.arena_bytes % 4
    large = Descriptor(ElementType.INT8, (4095, 4097), tensor=len(tensors))
    sections = {
        SectionId.TENSORS: encode_tensors([*tensors, TensorRecord(offset, (1, 1, 4095, 4097), 0)]),
        SectionId.IO: encode_io(inputs, [large] * 4),
        SectionId.GOLDEN: b"\x01\x00\x3f\x00" + (7).to_bytes(4, "little"),
    }
    arena = offset + (1 << 24)
    damaged = assemble(replace(pack, arena_bytes=arena, sections={**pack.sections, **sections}))
    assert engine.run(damaged, arena_bytes=arena).verdict == ERR_PACK


def test_input_of_another_length_is_refused(engine: Engine) -> None:
    for name in ("conv same", "forest isolation"):
        pack = PACKS[name]
        length = sum(d.nbytes for d in ReferenceInterpreter(pack).inputs)
        for wrong in (length - 1, length + 1):
            (got,) = engine.run(pack, [bytes(wrong)]).inferences
            assert got.error == ERR_INPUT


def test_each_refusal_has_its_number(engine: Engine) -> None:
    pack = PACKS["conv same"]
    needed = int.from_bytes(pack[12:16], "little")
    assert engine.run(pack, arena_bytes=needed - 1).verdict == ERR_ARENA
    assert engine.run(pack[:5] + b"\x03" + pack[6:]).verdict == ERR_KIND
    plan = pack.index(bytes([0, 12]), 100)  # the record begins with operator 0 and its twelve words
    assert engine.run(pack[:plan] + b"\x0e" + pack[plan + 1 :]).verdict == ERR_OPERATOR
    assert engine.run(pack[:plan] + b"\x01" + pack[plan + 1 :]).verdict == ERR_PACK
