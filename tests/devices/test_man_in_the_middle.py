# SPDX-License-Identifier: Apache-2.0
"""A man in the middle between the gateway and the real C agent can delay an update, and decide nothing about it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from reconciler.devices.conversation import Answered, Confirmed, Lost, Outcome, Rejected, TrialFailed
from reconciler.devices.link_session import LinkSession
from reconciler.devices.messages import (
    Inquire,
    Message,
    Missing,
    Offer,
    ReportKind,
    Signed,
    Stage,
    parse,
)
from reconciler.devices.reports import DeviceReport
from reconciler.devices.serial_bus_link import SerialLink
from reconciler.devices.simulated_line import SimulatedLine, run_simulated
from reconciler.devices.transfer import STAGES_MAX, TransferJob
from reconciler.model import DeviceId
from tests.devices.agent_station import AgentStation
from tests.devices.man_in_the_middle import Attack, Forged, ManInTheMiddle, answering
from tests.firmware.bench import Bench, make_failing_pack, make_pack
from tests.firmware.conftest import build
from tests.firmware.host import HostAgent, HostLibrary
from tests.firmware.talk import digest16, job

A = DeviceId("a")
ADDRESS = 1
PLANT = Bench("plant")
MADE = PLANT.device("a", address=ADDRESS)
NO_PACK = bytes(range(200))
BORN_WITH, PACK, BAD_PACK = make_pack(0), make_pack(1, inputs=4_090), make_failing_pack(2)


@dataclass
class Attacked:
    """A gateway's session, the man in the middle and the agent behind him."""

    fleet: LinkSession
    man: ManInTheMiddle
    agent: HostAgent

    async def report(self) -> DeviceReport:
        outcome = await self.fleet.ask(A, ReportKind.REPORT)
        assert isinstance(outcome, Answered), outcome
        assert isinstance(outcome.body, DeviceReport)
        return outcome.body

    async def install(self, pack: bytes) -> Outcome:
        before = await self.report()
        return await self.carry_out(job(MADE, PLANT.install(MADE, pack, before.sequence + 1), pack, before))

    async def configure(self, threshold: int) -> Outcome:
        before = await self.report()
        envelope = PLANT.configure(MADE, BORN_WITH, before.sequence + 1, {0: threshold})
        return await self.carry_out(replace(job(MADE, envelope, b"", before), digest16=None))

    async def carry_out(self, work: TransferJob) -> Outcome:
        return (await self.fleet.update(work))[0]


Play = Callable[[Callable[[Attacked], Awaitable[None]], Attack], None]


@pytest.fixture
def play() -> Iterator[Play]:
    library = build("host") / "libtinyfleet-host.so"
    with closing_agent(library) as agent:

        def played(scene: Callable[[Attacked], Awaitable[None]], attack: Attack) -> None:
            async def main() -> None:
                man = ManInTheMiddle(AgentStation(library, agent, ADDRESS), ADDRESS, attack)
                fleet = LinkSession(
                    SerialLink(SimulatedLine([man], baud=115_200), {A: ADDRESS}),
                    lambda _device, cose, nonce: MADE.open_signed(cose, nonce),
                )
                running = asyncio.create_task(fleet.run())
                await scene(Attacked(fleet, man, agent))
                running.cancel()

            run_simulated(main())

        yield played


@contextmanager
def closing_agent(library: Path) -> Iterator[HostAgent]:
    agent = HostAgent(HostLibrary(library), MADE.region(BORN_WITH))
    yield agent
    agent.close()


def once(attack: Attack) -> Attack:
    """Attack only once."""
    done: list[Forged] = []

    def attack_once(question: Message) -> Forged | None:
        forged = None if done else attack(question)
        done.extend([forged] if forged else [])
        return forged

    return attack_once


@pytest.mark.parametrize("code", [-1, -16, -74, -87])
@pytest.mark.parametrize("kind", [Offer, Missing, Stage])
def test_a_forged_refusal_does_not_end_an_update_that_the_device_accepts(
    play: Play, kind: type[Message], code: int
) -> None:
    async def scene(attacked: Attacked) -> None:
        assert isinstance(await attacked.install(PACK), Confirmed)
        assert attacked.man.forged == 1

    play(scene, once(answering(kind, code, withheld=False)))


@pytest.mark.parametrize("kind", [Offer, Stage])
def test_a_refusal_of_everything_only_delays(play: Play, kind: type[Message]) -> None:
    async def scene(attacked: Attacked) -> None:
        outcome = await attacked.install(PACK)
        assert isinstance(outcome, (Rejected, Lost)), outcome
        assert 1 <= attacked.man.forged <= STAGES_MAX
        attacked.man.attack = None
        assert isinstance(await attacked.install(PACK), Confirmed)

    play(scene, answering(kind, -16, withheld=True))


def test_an_older_failure_is_not_the_verdict_on_an_order_that_never_arrived(play: Play) -> None:
    async def scene(attacked: Attacked) -> None:
        attack, attacked.man.attack = attacked.man.attack, None
        assert isinstance(await attacked.install(BAD_PACK), TrialFailed)
        attacked.man.attack = attack
        assert await attacked.install(BAD_PACK) == Lost("the device has not accepted the order, repeatedly")
        attacked.man.attack = None
        assert isinstance(await attacked.install(BAD_PACK), TrialFailed)  # its own word

    play(scene, answering(Offer, 0, withheld=True))


def test_an_older_failure_is_not_the_verdict_on_a_payload_that_was_changed_on_the_way(play: Play) -> None:
    """Blocks are not signed. The device closes the transfer, and its report still has the order's sequence."""

    async def scene(attacked: Attacked) -> None:
        assert isinstance(await attacked.install(NO_PACK), TrialFailed)  # its own word: no engine takes it
        before = await attacked.report()
        work = job(MADE, PLANT.install(MADE, NO_PACK, before.sequence + 1), NO_PACK, before)
        outcome = await attacked.carry_out(replace(work, payload=bytes(len(NO_PACK))))
        assert isinstance(outcome, Rejected)
        assert outcome.code == -24
        assert (await attacked.report()).sequence == work.sequence

    play(scene, lambda _question: None)


def test_parameters_that_never_arrived_are_not_confirmed(play: Play) -> None:
    async def scene(attacked: Attacked) -> None:
        assert await attacked.configure(7) == Lost("the device has not accepted the order, repeatedly")
        attacked.man.attack = None
        assert isinstance(await attacked.configure(7), Confirmed)

    play(scene, answering(Offer, 0, withheld=True))


def test_one_forged_result_costs_one_more_offer(play: Play) -> None:
    async def scene(attacked: Attacked) -> None:
        assert isinstance(await attacked.install(PACK), Confirmed)

    play(scene, once(answering(Offer, 0, withheld=True)))


def test_an_unsolicited_report_from_before_the_update_confirms_nothing(play: Play) -> None:
    """The order is sent a second time, so that the replayed report has its sequence: only its counter is too old."""

    async def scene(attacked: Attacked) -> None:
        envelope = PLANT.install(MADE, PACK, 1)
        assert isinstance(await attacked.carry_out(job(MADE, envelope, PACK, await attacked.report())), Confirmed)
        recorded = parse_signed(attacked.agent.report())
        before = await attacked.report()
        assert (before.sequence, before.running) == (1, digest16(PACK))
        again = replace(job(MADE, envelope, PACK, before), sequence=1)
        attacked.man.attack = lambda question: Forged(recorded) if isinstance(question, Inquire) else None
        assert isinstance(await attacked.carry_out(again), Lost)
        attacked.man.attack = None
        assert isinstance(await attacked.carry_out(replace(again, counter=before.counter)), Confirmed)

    play(scene, lambda _question: None)


def parse_signed(message: bytes) -> Signed:
    answer = parse(message)
    assert isinstance(answer, Signed)
    return answer


@pytest.mark.parametrize("code", [-93, 0])
def test_a_forged_error_does_not_make_a_device_silent(play: Play, code: int) -> None:
    async def scene(attacked: Attacked) -> None:
        assert (await attacked.report()).sequence == 0
        assert attacked.man.forged == 1

    play(scene, once(answering(Inquire, code, withheld=True)))
