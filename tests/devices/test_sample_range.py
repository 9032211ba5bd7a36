# SPDX-License-Identifier: Apache-2.0
"""Fetching samples from the real agent on a noisy line: whole and attested, or not at all."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

import pytest

from reconciler.compiler.pack.io_section import ElementType
from reconciler.compiler.threshold.threshold_pack import build_threshold_pack
from reconciler.devices.conversation import Lost, Rejected
from reconciler.devices.link_session import LinkSession
from reconciler.devices.messages import ATTESTED_BYTES_MAX, Piece, SampleSpace, encode, parse
from reconciler.devices.sample_range import AttestedRange, FetchedRange, NotAttested, NothingNew, RangeFetch
from reconciler.devices.sample_records import SampleOrigin, parse_samples
from reconciler.devices.serial_bus_link import SerialLink
from reconciler.devices.simulated_line import SimulatedLine, run_simulated
from reconciler.model import DeviceId
from reconciler.model.samples import SampleLog
from tests.devices.agent_station import AgentStation
from tests.firmware.bench import Bench
from tests.firmware.conftest import build
from tests.firmware.host import Geometry, HostAgent, HostLibrary

A = DeviceId("a")
MADE = Bench("plant").device("a", address=1)
PACK = build_threshold_pack([1] * 100, threshold=100, element=ElementType.INT16)
ORIGIN = SampleOrigin(A, SampleLog.ANOMALIES, lambda _context: 1, datetime(2026, 11, 29, tzinfo=UTC))
GEOMETRY = Geometry(anomalies=8 * 4096)
RECORD = 32 + 224  # a window of 200 bytes, padded
Result = TypeVar("Result")


class OneBitOff(AgentStation):
    """An agent whose third piece arrives with another byte in it, under a good checksum: no line does that."""

    pieces = 0

    def _answered(self, *, corrected: bool) -> bytes:
        handle = self.agent.handle

        def tampered(message: bytes, *, corrected: bool = False) -> bytes:
            answer = handle(message, corrected=corrected)
            parsed = parse(answer)
            if isinstance(parsed, Piece):
                self.pieces += 1
                if self.pieces == 3:
                    data = bytearray(parsed.data)
                    data[40] ^= 4
                    return encode(Piece(parsed.space, parsed.start, bytes(data)))
            return answer

        self.agent.handle = tampered  # type: ignore[method-assign]  # the adversary sits between agent and line
        try:
            return super()._answered(corrected=corrected)
        finally:
            self.agent.handle = handle  # type: ignore[method-assign]


@pytest.fixture(scope="module")
def library() -> Path:
    return build("host") / "libtinyfleet-host.so"


@pytest.fixture
def agent(library: Path) -> HostAgent:
    made = HostAgent(HostLibrary(library), MADE.region(PACK), geometry=GEOMETRY)
    made.set_sampling(1 << 20, 1)
    made.boot()
    return made


def window(number: int) -> bytes:
    return struct.pack("<100h", number, 30_000, *[0] * 98)


def on_a_line(
    station: AgentStation, visit: Callable[[LinkSession], Awaitable[Result]], *, bit_error_rate: float = 0.0
) -> Result:
    def open_signed(_device: DeviceId, cose: bytes, nonce: bytes) -> bytes:
        return MADE.open_signed(cose, nonce)

    async def main() -> Result:
        line = SimulatedLine([station], bit_error_rate=bit_error_rate, seed=4)
        session = LinkSession(SerialLink(line, {A: 1}), open_signed)
        running = asyncio.create_task(session.run())
        result = await visit(session)
        running.cancel()
        return result

    return run_simulated(main())


def fetched(station: AgentStation, cursor: int, wanted: int, *, bit_error_rate: float = 0.0) -> FetchedRange:
    return on_a_line(
        station,
        lambda session: RangeFetch(session, A, SampleSpace.ANOMALIES).run(cursor, wanted),
        bit_error_rate=bit_error_rate,
    )


def windows(got: FetchedRange) -> list[bytes | None]:
    assert isinstance(got, AttestedRange), got
    return [sample.window for sample in parse_samples(ORIGIN, got.start, got.data).samples]


def test_what_the_sensor_gave_arrives_byte_for_byte(library: Path, agent: HostAgent) -> None:
    for number in range(10):
        agent.infer(window(number))
    got = fetched(AgentStation(library, agent, 1), 0, 16_384)
    assert windows(got) == [window(number) for number in range(10)]
    assert isinstance(got, AttestedRange)
    assert (got.held.first, got.held.end) == (0, 10 * RECORD)
    assert fetched(AgentStation(library, agent, 1), 10 * RECORD, 16_384) == NothingNew()


def test_a_small_budget_ends_at_the_end_of_a_record(library: Path, agent: HostAgent) -> None:
    for number in range(10):
        agent.infer(window(number))
    for wanted, records in ((1, 1), (RECORD, 1), (RECORD + 1, 2), (1000, 4)):
        got = fetched(AgentStation(library, agent, 1), 0, wanted)
        assert windows(got) == [window(number) for number in range(records)]


def test_a_range_is_at_most_what_a_device_attests(library: Path, agent: HostAgent) -> None:
    for number in range(100):
        agent.infer(window(number))
    got = fetched(AgentStation(library, agent, 1), 0, 1 << 20)
    assert isinstance(got, AttestedRange)
    assert len(got.data) == ATTESTED_BYTES_MAX
    assert len(windows(got)) >= 60


@pytest.mark.parametrize("rate", [5e-5, 1e-3])
def test_a_noisy_line_costs_questions_and_no_samples(library: Path, agent: HostAgent, rate: float) -> None:
    for number in range(30):
        agent.infer(window(number))
    station = AgentStation(library, agent, 1)

    async def visits(session: LinkSession) -> list[bytes | None]:
        cursor, found = 0, []
        for _ in range(40):
            got = await RangeFetch(session, A, SampleSpace.ANOMALIES).run(cursor, 16_384)
            if isinstance(got, NothingNew):
                break
            if isinstance(got, AttestedRange):
                found += windows(got)
                cursor = parse_samples(ORIGIN, got.start, got.data).end
        statistics = session.link.statistics
        assert statistics.frames_corrected + statistics.frames_bad > 0
        return found

    assert on_a_line(station, visits, bit_error_rate=rate) == [window(number) for number in range(30)]


def test_a_piece_that_was_changed_is_not_attested(library: Path, agent: HostAgent) -> None:
    for number in range(10):
        agent.infer(window(number))
    station = OneBitOff(library, agent, 1)
    assert fetched(station, 0, 16_384) == NotAttested()
    assert windows(fetched(station, 0, 16_384)) == [window(number) for number in range(10)]


def test_a_bit_that_flips_in_flash_loses_its_sample_alone(library: Path, agent: HostAgent) -> None:
    for number in range(10):
        agent.infer(window(number))
    at = GEOMETRY.regions()["anomalies"].offset + 32 + 3 * RECORD + 100
    agent.write_flash(at, bytes([agent.read_flash(at, 1)[0] ^ 1]))
    got = fetched(AgentStation(library, agent, 1), 0, 16_384)
    assert windows(got) == [window(number) for number in range(10) if number != 3]


def test_what_was_overwritten_is_a_gap_of_known_size(library: Path, agent: HostAgent) -> None:
    for number in range(200):
        agent.infer(window(number))
    station = AgentStation(library, agent, 1)
    got = fetched(station, 0, 16_384)
    assert isinstance(got, AttestedRange)
    assert got.start == got.held.first > 0
    found = windows(got)
    while isinstance(got, AttestedRange):
        got = fetched(station, parse_samples(ORIGIN, got.start, got.data).end, 16_384)
        found += windows(got) if isinstance(got, AttestedRange) else []
    assert found == [window(number) for number in range(200 - len(found), 200)]


def test_an_erased_log_is_attested_as_such(library: Path, agent: HostAgent) -> None:
    agent.infer(window(0))
    got = fetched(AgentStation(library, agent, 1), 50 * RECORD, 4000)
    assert isinstance(got, AttestedRange)
    assert (got.data, got.held.end) == (b"", RECORD)


def test_a_device_that_keeps_no_normals_says_so(library: Path, agent: HostAgent) -> None:
    visit = on_a_line(
        AgentStation(library, agent, 1), lambda session: RangeFetch(session, A, SampleSpace.NORMALS).run(0, 600)
    )
    assert visit == Rejected(-79, "pulling samples")


def test_a_silent_device_is_lost(library: Path, agent: HostAgent) -> None:
    assert isinstance(fetched(AgentStation(library, agent, 2), 0, 600), Lost)
