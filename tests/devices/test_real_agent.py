# SPDX-License-Identifier: Apache-2.0
"""The link against the real C agent: on a simulated line, and in tinyfleet-vdev on a Unix socket."""

from __future__ import annotations

import asyncio
import hashlib
from contextlib import suppress
from pathlib import Path

import pytest

from reconciler.devices.conversation import Answered, Confirmed, Lost, Outcome, Rejected, TrialFailed
from reconciler.devices.link_session import LinkSession
from reconciler.devices.messages import Piece, ReportKind
from reconciler.devices.reports import Body, CapabilitiesBody, DeviceReport, ParametersBody, Summary
from reconciler.devices.serial_bus_link import SerialLink
from reconciler.devices.serial_port import SerialPort
from reconciler.devices.simulated_line import SimulatedLine, run_simulated
from reconciler.devices.transfer import TransferCost, TransferJob
from reconciler.model import DeviceId
from tests.devices.agent_station import AgentStation
from tests.firmware.bench import Bench, make_failing_pack, make_pack
from tests.firmware.conftest import build
from tests.firmware.host import HostAgent, HostLibrary
from tests.firmware.talk import job
from tests.firmware.vdev import Vdev

A = DeviceId("a")
PLANT = Bench("plant")
MADE = PLANT.device("a", address=1)
BORN_WITH, PACK, BAD_PACK = make_pack(0), make_pack(1, inputs=1500), make_failing_pack(2)


@pytest.fixture(scope="module")
def library() -> Path:
    return build("host") / "libtinyfleet-host.so"


def open_signed(device: DeviceId, cose: bytes, nonce: bytes) -> bytes:
    assert device == A
    return MADE.open_signed(cose, nonce)


async def asked(fleet: LinkSession, what: ReportKind) -> Body:
    outcome = await fleet.ask(A, what)
    assert isinstance(outcome, Answered), outcome
    assert not isinstance(outcome.body, Piece)
    return outcome.body


async def updated(fleet: LinkSession, pack: bytes, *, sequence_skew: int = 0) -> Outcome:
    before = await asked(fleet, ReportKind.REPORT)
    assert isinstance(before, DeviceReport)
    sequence = before.sequence + 1 + sequence_skew
    outcome, _ = await fleet.update(job(MADE, PLANT.install(MADE, pack, sequence), pack, before, block_bytes=512))
    return outcome


def on_a_line(library: Path, *packs: bytes, **line: float) -> tuple[list[Outcome], HostAgent, AgentStation]:
    """Offer packs in turn to a new agent on a simulated line; retry lost updates."""
    agent = HostAgent(HostLibrary(library), MADE.region(BORN_WITH))
    station = AgentStation(library, agent, 1)

    async def main() -> list[Outcome]:
        simulated = SimulatedLine([station], **line)  # type: ignore[arg-type]  # floats and a seed
        fleet = LinkSession(SerialLink(simulated, {A: 1}), open_signed)
        running = asyncio.create_task(fleet.run())
        outcomes: list[Outcome] = []
        for pack in packs:
            outcome = await updated(fleet, pack)
            for _ in range(5):
                if not isinstance(outcome, Lost):
                    break
                outcome = await updated(fleet, pack)
            outcomes.append(outcome)
        running.cancel()
        return outcomes

    return run_simulated(main()), agent, station


def test_an_install_and_its_reversal_with_only_an_envelope(library: Path) -> None:
    outcomes, agent, _ = on_a_line(library, make_pack(5), PACK, make_pack(5))
    assert [type(outcome) for outcome in outcomes] == [Confirmed] * 3
    assert agent.running() == hashlib.sha256(make_pack(5)).digest()
    agent.close()


def test_a_failed_trial_falls_back_and_is_reported(library: Path) -> None:
    outcomes, agent, _ = on_a_line(library, PACK, BAD_PACK)
    assert [type(outcome) for outcome in outcomes] == [Confirmed, TrialFailed]
    assert agent.running() == hashlib.sha256(PACK).digest()
    agent.close()


@pytest.mark.parametrize("seed", range(6))
def test_the_device_repairs_bit_errors_too(library: Path, seed: int) -> None:
    outcomes, agent, station = on_a_line(library, PACK, bit_error_rate=3e-4, seed=seed)
    assert isinstance(outcomes[0], Confirmed)
    assert agent.running() == hashlib.sha256(PACK).digest()
    assert station.corrected + station.bad > 0
    agent.close()


def test_vdev_on_a_unix_socket(library: Path) -> None:
    async def main(folder: Path) -> None:
        link = SerialLink(SerialPort(f"unix:{folder / 'line'}", 4_000_000), {A: 1})
        fleet = LinkSession(link, open_signed)
        running = asyncio.create_task(fleet.run())
        capabilities = await asked(fleet, ReportKind.CAPABILITIES)
        assert isinstance(capabilities, CapabilitiesBody)
        assert capabilities.updates
        assert isinstance(await asked(fleet, ReportKind.SUMMARY), Summary)
        assert isinstance(await asked(fleet, ReportKind.PARAMETERS), ParametersBody)
        assert isinstance(await updated(fleet, PACK), Confirmed)
        replayed = await updated(fleet, make_pack(9), sequence_skew=-1)
        assert isinstance(replayed, Rejected)
        assert replayed.code == -20
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running

    with Vdev(library.parent / "tinyfleet-vdev", [MADE], (BORN_WITH,), "--line", "unix:{folder}/line") as vdev:
        asyncio.run(main(vdev.folder))


def test_an_interrupted_update_resumes_after_both_sides_restart(library: Path) -> None:
    agent = HostAgent(HostLibrary(library), MADE.region(BORN_WITH))
    pack = make_pack(7, inputs=3000)

    def fleet_on(line: SimulatedLine) -> LinkSession:
        return LinkSession(SerialLink(line, {A: 1}), open_signed)

    async def cut_off() -> TransferJob:
        fleet = fleet_on(SimulatedLine([AgentStation(library, agent, 1)]))
        running = asyncio.create_task(fleet.run())
        before = await asked(fleet, ReportKind.REPORT)
        assert isinstance(before, DeviceReport)
        work = job(MADE, PLANT.install(MADE, pack, before.sequence + 1), pack, before)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(fleet.update(work), 12.0)
        running.cancel()
        return work

    async def go_on(work: TransferJob) -> tuple[Outcome, TransferCost]:
        fleet = fleet_on(SimulatedLine([AgentStation(library, agent, 1)]))
        running = asyncio.create_task(fleet.run())
        before = await asked(fleet, ReportKind.REPORT)
        assert isinstance(before, DeviceReport)
        assert before.transfer
        assert before.transfer.digest16 == work.digest16
        result = await fleet.update(work)
        running.cancel()
        return result

    work = run_simulated(cut_off())
    agent.boot()
    outcome, effort = run_simulated(go_on(work))
    assert isinstance(outcome, Confirmed)
    assert 0 < effort.blocks_sent <= work.blocks - 8
    assert agent.running() == hashlib.sha256(pack).digest()
    agent.close()
