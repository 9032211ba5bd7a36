# SPDX-License-Identifier: Apache-2.0
"""Records of sample logs: what the C core writes is read back, and nothing else is ever taken for a sample."""

from __future__ import annotations

import struct
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.compiler.pack.features_section import decode_features
from reconciler.compiler.pack.io_section import ElementType
from reconciler.compiler.pack.pack_format import PackKind, SectionId, disassemble
from reconciler.compiler.reference.forest import raw_features
from reconciler.compiler.threshold.threshold_pack import build_threshold_pack
from reconciler.devices.messages import SampleSpace
from reconciler.devices.sample_records import STEP_BYTES, SampleOrigin, bytes_to_boundary, parse_samples
from reconciler.model import DeviceId
from reconciler.model.samples import Sample, SampleLog
from tests.compiler.make_vectors import good_packs
from tests.firmware.bench import Bench
from tests.firmware.conftest import build
from tests.firmware.host import Geometry, HostAgent, HostLibrary
from tests.firmware.samples import context_of, pull_all, with_sample_every

MADE = Bench("plant").device("pump-1")
DEVICE = DeviceId("pump-1")
NOW = datetime(2026, 11, 29, tzinfo=UTC)
EVERY = 3
ERASE = 512
GEOMETRY = Geometry(erase=ERASE, provisioned=0x1000, journal=0x1000, marks=0x800, slot=0x2000)


def origin(log: SampleLog = SampleLog.ANOMALIES, every: int = EVERY) -> SampleOrigin:
    return SampleOrigin(DEVICE, log, lambda _context: every, NOW)


@pytest.fixture(scope="module")
def library() -> HostLibrary:
    return HostLibrary(build("host") / "libtinyfleet-host.so")


def sampler(library: HostLibrary, pack: bytes, units: int = 8) -> HostAgent:
    geometry = replace(GEOMETRY, anomalies=units * ERASE, normals=units * ERASE)
    agent = HostAgent(library, MADE.region(pack), geometry=geometry)
    agent.set_sampling(1 << 20, 1)
    agent.boot()
    return agent


def threshold_pack(elements: int) -> bytes:
    return with_sample_every(build_threshold_pack([1] * elements, threshold=100, element=ElementType.INT16), EVERY)


@pytest.fixture(scope="module")
def log_of_a_core(library: HostLibrary) -> tuple[int, bytes]:
    """The anomalies of a device, over several erase units, which they fill: no byte is outside of a record."""
    agent = sampler(library, threshold_pack(64))
    for number in range(20):
        agent.infer(struct.pack("<64h", number, 30_000, *[-1] * 62))
    start, data = pull_all(agent, SampleSpace.ANOMALIES)
    agent.close()
    return start, data


@settings(max_examples=40, deadline=None)
@given(
    elements=st.integers(1, 200),
    windows=st.lists(st.tuples(st.booleans(), st.integers(-32768, 32767)), min_size=1, max_size=12),
)
def test_what_the_core_writes_is_read_back(
    library: HostLibrary, elements: int, windows: list[tuple[bool, int]]
) -> None:
    pack = threshold_pack(elements)
    agent = sampler(library, pack, units=16)
    expected: dict[SampleLog, list[tuple[bytes, int, int]]] = {log: [] for log in SampleLog}
    normals = 0
    for number, (anomalous, filler) in enumerate(windows, 1):
        values = [filler] * (elements - 1)
        values.insert(0, max(-32768, min(32767, (101 if anomalous else 0) - sum(values))))
        window = struct.pack(f"<{elements}h", *values)
        decision, score = agent.infer(window)
        normals += not decision
        if decision or normals % EVERY == 0:
            log = SampleLog.ANOMALIES if decision else SampleLog.NORMALS
            expected[log].append((window, score, number))
    for log in SampleLog:
        start, data = pull_all(agent, SampleSpace(log))
        parsed = parse_samples(origin(log), start, data)
        assert [(each.window, each.score, each.inferences) for each in parsed.samples] == expected[log]
        assert {each.weight for each in parsed.samples} <= {1 if log is SampleLog.ANOMALIES else EVERY}
        assert {each.context for each in parsed.samples} <= {context_of(pack)}
        assert all(each.element_type == ElementType.INT16 and each.features == () for each in parsed.samples)
        assert parsed.end == start + len(data)
        assert bytes_to_boundary(data) == 0
    agent.close()


def test_raw_features_are_those_of_the_reference(library: HostLibrary) -> None:
    seen = 0
    for pack in (pack for _, pack in sorted(good_packs().items()) if pack[5] == PackKind.TREE_ENSEMBLE):
        features = decode_features(disassemble(pack).section(SectionId.FEATURES))
        values = [(i * 37) % 2000 - 700 for i in range(features.samples * features.channels)]
        window = struct.pack(f"<{len(values)}h", *values)
        agent = sampler(library, with_sample_every(pack, 1), units=32)
        agent.infer(window)
        expected = [raw_features(values[f.channel :: features.channels])[f.statistic] for f in features.features]
        for log in SampleLog:
            for sample in parse_samples(origin(log), *pull_all(agent, SampleSpace(log))).samples:
                assert list(sample.features) == expected
                assert sample.window in {window, None}
                seen += 1
        agent.close()
    assert seen > 0


@settings(max_examples=60, deadline=None)
@given(cuts=st.lists(st.integers(32, 700), min_size=1, max_size=6), data=st.data())
def test_ranges_of_any_size_give_the_same_samples(
    log_of_a_core: tuple[int, bytes], cuts: list[int], data: st.DataObject
) -> None:
    start, whole = log_of_a_core
    expected = parse_samples(origin(), start, whole).samples
    found: list[Sample] = []
    at = start
    while at < start + len(whole):
        wanted = data.draw(st.sampled_from(cuts))
        piece = whole[at - start : at - start + wanted]
        piece += whole[at - start + wanted : at - start + wanted + bytes_to_boundary(piece)]
        parsed = parse_samples(origin(), at, piece)
        assert parsed.end > at
        found += parsed.samples
        at = parsed.end
    assert tuple(found) == expected
    assert len(expected) == 20


def test_a_record_that_is_cut_off_is_left_for_the_next_range(log_of_a_core: tuple[int, bytes]) -> None:
    start, whole = log_of_a_core
    first, second, *_ = parse_samples(origin(), start, whole).samples
    cut = whole[: second.offset - start + 40]
    assert parse_samples(origin(), start, cut).end == second.offset
    assert parse_samples(origin(), start, cut).samples == (first,)
    assert bytes_to_boundary(cut) == (second.offset - first.offset) - 40


@settings(max_examples=300, deadline=None)
@given(bit=st.integers(0), burst=st.integers(1, 64))
def test_damaged_bytes_are_never_a_sample(log_of_a_core: tuple[int, bytes], bit: int, burst: int) -> None:
    start, whole = log_of_a_core
    good = set(parse_samples(origin(), start, whole).samples)
    at = bit % (8 * len(whole))
    mask = (1 << burst) - 1
    damaged = (int.from_bytes(whole, "little") ^ (mask << at)).to_bytes(len(whole) + 8, "little")[: len(whole)]
    parsed = parse_samples(origin(), start, damaged)
    assert set(parsed.samples) < good
    assert parsed.skipped_bytes >= STEP_BYTES


def test_a_record_is_valid_at_no_other_offset(log_of_a_core: tuple[int, bytes]) -> None:
    start, whole = log_of_a_core
    assert parse_samples(origin(), start + 32, whole).samples == ()


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=2000))
def test_any_bytes_are_read_to_the_end(data: bytes) -> None:
    """Ranges that begin where the last one ended always come to the end, whatever the bytes are."""
    at = 0
    while len(data) - at >= STEP_BYTES:
        parsed = parse_samples(origin(), at, data[at:])
        assert at < parsed.end <= len(data)
        assert parsed.samples == ()
        at = parsed.end
    assert bytes_to_boundary(data) >= 0
