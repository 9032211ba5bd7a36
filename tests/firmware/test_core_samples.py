# SPDX-License-Identifier: Apache-2.0
"""The sample logs of the real core on a flash model: kept, pulled, attested, bounded, and whole after any power cut."""

from __future__ import annotations

import hashlib
import itertools
import struct
from collections.abc import Callable

import pytest

from reconciler.compiler.pack.io_section import ElementType, decode_io
from reconciler.compiler.pack.tunable_parameters_section import decode_parameters
from reconciler.compiler.threshold.threshold_pack import build_threshold_pack
from reconciler.devices.messages import Attest, Pull, ReportKind, SampleSpace, TransferResult, encode, parse_answer
from reconciler.devices.reports import CapabilitiesBody, Flag, HeldSamples, SamplesAttestation
from tests.compiler.make_vectors import good_packs
from tests.firmware.bench import Bench, Made
from tests.firmware.host import AgentError, Cut, Geometry, HostAgent, PowerCutError, Wear
from tests.firmware.orders import PREBAKED, SMALL, Delivery, deliver, report
from tests.firmware.samples import attest, context_of, kept, pull, pull_all, with_sample_every, with_sample_windows
from tests.firmware.talk import ask

CAPACITY, SPACE, RANGE = -71, -79, -80
SAMPLES = 1 << 18
WINDOW = 32
EVERY = 3
MODEL = build_threshold_pack([1] * WINDOW, threshold=100, element=ElementType.INT16)
PACK = with_sample_every(MODEL, EVERY)
ERASE = 512
SAMPLED = Geometry(
    erase=ERASE,
    write=8,
    provisioned=0x1000,
    journal=0x1000,
    marks=0x800,
    slot=0x2000,
    anomalies=4 * ERASE,
    normals=2 * ERASE,
)
RECORD = 32 + 2 * WINDOW
ROOM = ERASE - 32
IN_A_UNIT = ROOM // RECORD
TORN_SEEDS = 3
MakeCore = Callable[..., HostAgent]


def window(number: int, *, anomaly: bool = True) -> bytes:
    """Return a window that names its number, on the wanted side of the threshold."""
    return struct.pack(f"<{WINDOW}h", number, 30_000 if anomaly else -30_000, *[0] * (WINDOW - 2))


def numbers(agent: HostAgent, space: SampleSpace = SampleSpace.ANOMALIES) -> list[int]:
    return [struct.unpack_from("<h", record.window)[0] for record in kept(agent, space)]


@pytest.fixture
def sampler(make_core: MakeCore, made: Made) -> HostAgent:
    """A device without bounds on what it keeps."""
    agent = make_core(made.region(PACK), SAMPLED)
    agent.set_sampling(1 << 20, 1)
    agent.boot()
    return agent


def test_an_anomaly_is_kept_whole(sampler: HostAgent, made: Made) -> None:
    sampler.now_ms = 1234
    sampler.settle()
    decision, score = sampler.infer(window(7))
    (record,) = kept(sampler, SampleSpace.ANOMALIES)
    assert (decision, record.anomaly, record.score, record.window) == (1, True, score, window(7))
    assert (record.boots, record.ms, record.windows, record.skipped) == (report(sampler, made).boots, 1234, 1, 0)
    assert (record.element_type, record.features, record.context) == (2, (), context_of(PACK))
    assert kept(sampler, SampleSpace.NORMALS) == []


def test_one_in_n_normal_windows_is_kept(sampler: HostAgent, bench: Bench, made: Made) -> None:
    for number in range(10):
        sampler.infer(window(number, anomaly=False))
    assert numbers(sampler, SampleSpace.NORMALS) == [2, 5, 8]
    assert numbers(sampler) == []
    assert deliver(sampler, Delivery(bench.configure(made, PACK, 1, {1: 1}))).code == 0
    sampler.infer(window(10, anomaly=False))
    assert numbers(sampler, SampleSpace.NORMALS) == [2, 5, 8, 10]
    changed = kept(sampler, SampleSpace.NORMALS)[-1].context
    assert changed == context_of(PACK, report(sampler, made).parameters) != context_of(PACK)


def test_a_pack_without_the_parameter_keeps_anomalies_only(make_core: MakeCore, made: Made) -> None:
    agent = make_core(made.region(PREBAKED), SAMPLED)
    agent.infer(bytes([0x80]) * 32)
    assert kept(agent, SampleSpace.NORMALS) == []


def test_raw_features_of_a_forest(make_core: MakeCore, bench: Bench, made: Made) -> None:
    """The statistics before they are scaled: the last, the smallest and the largest sample can be checked by hand."""
    checked = 0
    for pack in (pack for _, pack in sorted(good_packs().items()) if pack[5] == 2):
        agent = make_core(made.region(pack), SAMPLED)
        section = _section(pack, 6)
        samples, channels, features = struct.unpack_from("<HBB", section)
        values = [(i * 37) % 2000 - 700 for i in range(samples * channels)]
        for sequence, value in enumerate((0x7FFF_FFFF, -0x8000_0000), 1):
            deliver(agent, Delivery(bench.configure(made, pack, sequence, {0: value})))
            agent.infer(struct.pack(f"<{len(values)}h", *values))
        for record in kept(agent, SampleSpace.ANOMALIES):
            assert len(record.features) == features
            for i, raw in enumerate(record.features):
                statistic, channel = section[4 + 12 * i], section[5 + 12 * i]
                mine = values[channel::channels]
                known = {0: mine[-1], 10: min(mine), 11: max(mine)}
                assert raw == known.get(statistic, raw)
                checked += statistic in known
    assert checked > 0


def _section(pack: bytes, number: int) -> bytes:
    at = 16 + 4 * pack[6]
    for i in range(pack[6]):
        entry = int.from_bytes(pack[16 + 4 * i : 20 + 4 * i], "little")
        if entry >> 24 == number:
            return pack[at : at + (entry & 0xFFFFFF)]
        at += ((entry & 0xFFFFFF) + 3) // 4 * 4
    raise AssertionError("no such section")


def test_it_reports_the_part_and_its_logs(sampler: HostAgent, made: Made) -> None:
    capabilities = ask(sampler, made, ReportKind.CAPABILITIES)
    assert isinstance(capabilities, CapabilitiesBody)
    assert int.from_bytes(capabilities.operators, "little") & SAMPLES
    sampler.infer(window(1))
    start, data = pull_all(sampler, SampleSpace.ANOMALIES)
    said = attest(sampler, made, SampleSpace.ANOMALIES, start, start + len(data))
    assert said == SamplesAttestation(
        running=hashlib.sha256(PACK).digest()[:16],
        parameters=0,
        anomalies=HeldSamples(0, RECORD),
        normals=HeldSamples(0, 0),
        space=SampleSpace.ANOMALIES,
        start=0,
        end=RECORD,
        digest16=hashlib.sha256(data).digest()[:16],
        sample_every=EVERY,
    )


def test_the_oldest_unit_is_overwritten_and_shows_as_a_gap(sampler: HostAgent, made: Made) -> None:
    total = 6 * IN_A_UNIT
    for number in range(total):
        sampler.infer(window(number))
    assert numbers(sampler) == list(range(total - 4 * IN_A_UNIT, total))
    assert pull(sampler, SampleSpace.ANOMALIES).start == 2 * ROOM
    assert attest(sampler, made, SampleSpace.ANOMALIES, 0, ROOM) == TransferResult(None, RANGE)


def test_offsets_survive_restarts(sampler: HostAgent) -> None:
    for number in range(7 * IN_A_UNIT + 2):
        sampler.infer(window(number))
        before = pull_all(sampler, SampleSpace.ANOMALIES)
        sampler.boot()
        assert pull_all(sampler, SampleSpace.ANOMALIES) == before
    assert sampler.violations == 0


def test_a_record_that_ends_in_ff_is_not_overwritten(sampler: HostAgent) -> None:
    data = struct.pack(f"<{WINDOW}h", 1, 30_000, *[-1] * (WINDOW - 2))
    sampler.infer(data)
    sampler.boot()
    sampler.infer(data)
    assert [record.window for record in kept(sampler, SampleSpace.ANOMALIES)] == [data, data]


def test_normals_never_push_out_anomalies(sampler: HostAgent) -> None:
    sampler.infer(window(1))
    for number in range(200):
        sampler.infer(window(number, anomaly=False))
    assert numbers(sampler) == [1]
    assert pull(sampler, SampleSpace.NORMALS).start > 0


def test_a_storm_is_bounded(make_core: MakeCore, made: Made) -> None:
    """The bucket starts an eighth full; then one token, 32 bytes of flash, comes per interval."""
    agent = make_core(made.region(PACK), SAMPLED)
    tokens = RECORD // 32
    agent.set_sampling(16 * tokens, 1000)
    agent.boot()
    for number in range(50):
        agent.infer(window(number))
    assert numbers(agent) == [0, 1]
    operations = agent.operations
    for number in range(50):
        agent.infer(window(number))
    assert agent.operations == operations, "nothing is written without tokens"
    agent.now_ms += 1000 * tokens
    agent.settle()
    agent.infer(window(100))
    assert [record.skipped for record in kept(agent, SampleSpace.ANOMALIES)] == [0, 0, 98]
    agent.now_ms += 1000 * 1000
    agent.settle()
    for number in range(50):
        agent.infer(window(number))
    assert (
        pull(agent, SampleSpace.ANOMALIES).start + len(pull_all(agent, SampleSpace.ANOMALIES)[1])
        <= 20 * ROOM // IN_A_UNIT
    )


def test_a_window_that_never_fits_leaves_its_features(make_core: MakeCore, made: Made) -> None:
    wide = with_sample_every(build_threshold_pack([1] * 400, threshold=100, element=ElementType.INT16), 1)
    agent = make_core(made.region(wide), SAMPLED)
    agent.infer(struct.pack("<400h", 30_000, *[0] * 399))
    (record,) = kept(agent, SampleSpace.ANOMALIES)
    assert (record.element_type, record.window, record.anomaly) == (0, b"", True)


@pytest.mark.parametrize("kind", [0, 2])
def test_an_envelope_decides_whether_a_sample_has_its_window(
    make_core: MakeCore, bench: Bench, made: Made, kind: int
) -> None:
    """The samples of a forest keep their features in any case."""
    model = MODEL if kind == 0 else next(pack for _, pack in sorted(good_packs().items()) if pack[5] == kind)
    pack = with_sample_windows(with_sample_every(model, 1), 1)
    number = len(decode_parameters(_section(pack, 7))) - 1
    size = decode_io(_section(pack, 1))[0][0].nbytes
    agent = make_core(made.region(pack), SAMPLED)
    agent.set_sampling(1 << 20, 1)
    agent.boot()
    found = []
    for sequence, value in enumerate((1, 0, 1), 1):
        assert deliver(agent, Delivery(bench.configure(made, pack, sequence, {number: value}))).code == 0
        agent.infer(bytes(size))
        newest = max(
            (each for space in (SampleSpace.ANOMALIES, SampleSpace.NORMALS) for each in kept(agent, space)),
            key=lambda each: each.windows,
        )
        found.append((newest.windows, newest.element_type, len(newest.window), len(newest.features) > 0))
    assert found == [(1, 2, size, kind == 2), (2, 0, 0, kind == 2), (3, 2, size, kind == 2)]


def test_a_flipped_bit_fails_the_crc_and_the_attestation(sampler: HostAgent, made: Made) -> None:
    sampler.infer(window(1))
    sampler.infer(window(2))
    start, data = pull_all(sampler, SampleSpace.ANOMALIES)
    where = sampler.geometry.regions()["anomalies"].offset + 32 + 50
    sampler.write_flash(where, bytes([sampler.read_flash(where, 1)[0] ^ 4]))
    said = attest(sampler, made, SampleSpace.ANOMALIES, start, start + len(data))
    assert isinstance(said, SamplesAttestation)
    assert said.digest16 != hashlib.sha256(data).digest()[:16]
    assert numbers(sampler) == [2]


def test_a_window_on_which_the_model_faults_is_not_kept(sampler: HostAgent) -> None:
    sampler.infer(window(1))
    sampler.fault_inferences()
    sampler.boot()
    for number in range(2, 8):
        with pytest.raises(AgentError):
            sampler.infer(window(number))
    assert numbers(sampler) == [1]
    assert numbers(sampler, SampleSpace.NORMALS) == []


def test_an_answer_that_does_not_fit_is_an_error_of_the_caller(sampler: HostAgent) -> None:
    sampler.infer(window(1))
    asked = encode(Pull(SampleSpace.ANOMALIES, 0, RECORD))
    length = len(sampler.handle(asked))
    assert len(sampler.handle_within(asked, length)) == length
    with pytest.raises(AgentError) as refused:
        sampler.handle_within(asked, length - 1)
    assert refused.value.args == (CAPACITY,)


def test_a_torn_record_that_can_not_be_read_hides_no_other(sampler: HostAgent, made: Made) -> None:
    """Flash that corrects errors refuses to read what a power cut has torn, until it is erased."""
    for number in range(3):
        sampler.infer(window(number))
    start, before = pull_all(sampler, SampleSpace.ANOMALIES)
    torn = RECORD + 40
    sampler.wear_flash(sampler.geometry.regions()["anomalies"].offset + 32 + torn, 16, Wear.UNREADABLE)
    sampler.boot()
    sampler.infer(window(3))
    assert numbers(sampler) == [0, 2, 3]
    _, data = pull_all(sampler, SampleSpace.ANOMALIES)
    assert data[: len(before)] == before[:torn] + b"\xff" * 16 + before[torn + 16 :]
    for first, last in ((0, len(data)), (torn - 3, torn + 5), (torn + 15, len(data))):
        assert pull(sampler, SampleSpace.ANOMALIES, first, last - first).data == data[first:last]
        said = attest(sampler, made, SampleSpace.ANOMALIES, start + first, start + last)
        assert isinstance(said, SamplesAttestation)
        assert said.digest16 == hashlib.sha256(data[first:last]).digest()[:16]


def test_a_pull_beyond_the_ends_names_its_offset(sampler: HostAgent) -> None:
    assert pull(sampler, SampleSpace.ANOMALIES, 500).start == 0
    sampler.infer(window(1))
    piece = pull(sampler, SampleSpace.ANOMALIES, 5000)
    assert (piece.start, piece.data) == (RECORD, b"")
    assert len(pull(sampler, SampleSpace.ANOMALIES, 0, 10).data) == 10
    assert pull(sampler, SampleSpace.ANOMALIES, 0, 0).data == b""


def test_ranges_that_are_not_held_are_refused(sampler: HostAgent, made: Made) -> None:
    sampler.infer(window(1))
    for start, end in ((0, RECORD + 1), (RECORD, 0), (RECORD + 1, RECORD + 1)):
        assert attest(sampler, made, SampleSpace.ANOMALIES, start, end) == TransferResult(None, RANGE)
    assert isinstance(attest(sampler, made, SampleSpace.ANOMALIES, 0, 0), SamplesAttestation)


def test_a_device_without_logs_says_so(make_core: MakeCore, made: Made) -> None:
    agent = make_core(made.region(PACK), SMALL)
    agent.infer(window(1))
    assert parse_answer(agent.handle(encode(Pull(SampleSpace.ANOMALIES, 0, 600)))) == TransferResult(None, SPACE)
    assert attest(agent, made, SampleSpace.NORMALS, 0, 0) == TransferResult(None, SPACE)
    assert parse_answer(agent.handle(bytes.fromhex("8405020000"))) == TransferResult(None, SPACE), "reserved"


def test_truncated_questions_are_dropped(sampler: HostAgent, made: Made) -> None:
    for question in (
        encode(Pull(SampleSpace.ANOMALIES, 0, 600)),
        encode(Attest(b"12345678", SampleSpace.NORMALS, 0, 0)),
    ):
        assert all(sampler.handle(question[:length]) == b"" for length in range(len(question)))
        assert sampler.handle(question + b"\0") == b""
    assert Flag.MALFORMED_MESSAGES in report(sampler, made).flags


@pytest.mark.parametrize("cut", Cut)
@pytest.mark.parametrize("filled", [0, IN_A_UNIT - 1, 4 * IN_A_UNIT - 1], ids=["new", "next unit", "oldest unit"])
def test_a_power_cut_loses_at_most_the_record_being_written(
    make_core: MakeCore, made: Made, filled: int, cut: Cut
) -> None:
    for operation, seed in itertools.product(range(1, 7), range(TORN_SEEDS if cut is Cut.TORN else 1)):
        agent = make_core(made.region(PACK), SAMPLED)
        agent.set_sampling(1 << 20, 1)
        agent.boot()
        for number in range(filled):
            agent.infer(window(number))
        complete = list(range(filled))
        agent.cut_after(operation, cut, seed + 1)
        try:
            for number in range(filled, filled + 2):
                agent.infer(window(number))
                complete.append(number)
        except PowerCutError:
            agent.boot()
        agent.cut_after(0, cut)
        held = numbers(agent)
        lost = 2 * IN_A_UNIT if filled > 3 * IN_A_UNIT - 1 else 0
        assert [number for number in held if number < len(complete)][-3 * IN_A_UNIT + 1 :] == complete[
            -3 * IN_A_UNIT + 1 :
        ]
        assert len(held) >= len(complete) - lost
        start, data = pull_all(agent, SampleSpace.ANOMALIES)
        for number in range(100, 100 + 2 * IN_A_UNIT):
            agent.infer(window(number))
        assert numbers(agent)[-2 * IN_A_UNIT :] == list(range(100, 100 + 2 * IN_A_UNIT)), (operation, seed)
        later, more = pull_all(agent, SampleSpace.ANOMALIES)
        common = start + len(data) - later
        assert common <= 0 or more[:common] == data[later - start :], "what was pulled once never changes"
