# SPDX-License-Identifier: Apache-2.0
"""Devices are polled at once, at an interval, and as soon as a silence may be over."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from reconciler.devices.conversation import Answered, Lost, Outcome, Rejected, SampleRange
from reconciler.devices.link_session import LinkSession
from reconciler.devices.messages import ReportKind
from reconciler.devices.reports import Body, DeviceReport, HeldSamples, SamplesAttestation, Summary
from reconciler.devices.simulated_line import run_simulated
from reconciler.engine.observed.inventory import Inventory
from reconciler.engine.observed.learning_ledger import LearningLedger
from reconciler.engine.observed.summaries import Summaries
from reconciler.engine.polling.poller import MAX_STARTED, Poller, PollerPorts
from reconciler.engine.state.writer import StateUnusable, StateWriter
from reconciler.model import DeviceId, LearningProgress, LearningStage
from tests.engine.reports import CAPABILITIES, NOON, PUMP, FixedClock, report

SUMMARY = Summary(bytes(16), 100, 3, 0, 0, None)
NEVER_S = 3600.0  # an interval that ends in no test


class OneDeviceSession(LinkSession):
    """A session with one device, which answers while it is there."""

    def __init__(self) -> None:
        self.there = True
        self.bodies: dict[ReportKind, Body] = {
            ReportKind.REPORT: report(1),
            ReportKind.CAPABILITIES: CAPABILITIES,
            ReportKind.SUMMARY: SUMMARY,
        }
        self.asked: list[ReportKind] = []
        self.learning = [LearningProgress(LearningStage.COLLECTING, rows, 0, 0, 0) for rows in (1, 2)]
        self.attested = 0

    async def attest(self, device: DeviceId, asked: SampleRange) -> SamplesAttestation | Rejected | Lost:
        """Sign the first progress, then the next, and at last that the forest is grown."""
        assert device == PUMP
        grown = LearningProgress(LearningStage.GROWN, 2, 0, 500, 0)
        said = self.learning[self.attested] if self.attested < len(self.learning) else grown
        self.attested += 1
        none = HeldSamples(0, 0)
        return SamplesAttestation(bytes(16), 0, none, none, asked.space, asked.start, asked.end, bytes(16), 0, said)

    async def ask(self, device: DeviceId, what: ReportKind) -> Outcome:
        assert device == PUMP
        self.asked.append(what)
        body = self.bodies.get(what) if self.there else None
        if isinstance(body, DeviceReport):
            self.bodies[what] = body = replace(body, counter=body.counter + 1)
        return Lost("no answer") if body is None else Answered(body)


class OneLink:
    """The only link; without a session it is down."""

    def __init__(self, session: LinkSession) -> None:
        self.session: LinkSession | None = session

    async def ready(self, _device: DeviceId) -> LinkSession | None:
        return self.session

    def session_of(self, _device: DeviceId) -> LinkSession | None:
        return self.session


class PolledDevice:
    """A poller with one device, and the changes that it reported."""

    def __init__(self, state: StateWriter) -> None:
        self.session = OneDeviceSession()
        self.link = OneLink(self.session)
        self.inventory = Inventory(state)
        self.busy = False
        self.changes: list[DeviceId] = []
        self.summaries = Summaries(state)
        self.learning = LearningLedger()
        ports = PollerPorts(self.inventory, self.summaries, self.learning, FixedClock(), self.link)  # type: ignore[arg-type]  # of the links only these two methods are used
        self.poller = Poller(ports, lambda _device: self.busy, self.changes.append, random.Random(1))

    async def settled(self, asked: int) -> None:
        """Wait until this many questions were asked and their answers recorded."""
        while len(self.session.asked) < asked or self.poller.pending:  # noqa: ASYNC110 - as a pass does
            await asyncio.sleep(0)


Check = Callable[[PolledDevice], Awaitable[None]]
Polled = Callable[[Check], None]


@pytest.fixture
def polled(state: StateWriter) -> Polled:
    def run(check: Check) -> None:
        async def checked() -> None:
            device = PolledDevice(state)
            try:
                await asyncio.wait_for(check(device), 20)
            finally:
                await device.poller.stop()

        asyncio.run(checked())

    return run


def test_a_new_device_is_asked_at_once_for_all_that_is_unknown(polled: Polled) -> None:
    async def check(device: PolledDevice) -> None:
        device.poller.watch([PUMP], NEVER_S)
        assert device.poller.pending == 1
        await device.settled(3)
        assert device.session.asked == [ReportKind.REPORT, ReportKind.CAPABILITIES, ReportKind.SUMMARY]
        assert device.inventory.capabilities_of(PUMP) == CAPABILITIES
        assert [total.inferences for total in device.summaries.totals()] == [100]
        assert device.changes == [PUMP]

    polled(check)


def test_a_report_with_nothing_new_is_no_change(polled: Polled) -> None:
    async def check(device: PolledDevice) -> None:
        device.poller.watch([PUMP], 0.005)
        await device.settled(6)
        assert set(device.session.asked[3:]) == {ReportKind.REPORT}  # nothing else is due
        assert device.changes == [PUMP]
        device.session.bodies[ReportKind.REPORT] = report(50, sequence=9)
        while len(device.changes) < 2:  # noqa: ASYNC110 - the next poll finds it
            await asyncio.sleep(0)
        found = device.inventory.report_of(PUMP)
        assert found is not None
        assert found.sequence == 9

    polled(check)


def test_a_learner_is_asked_with_each_report_until_it_has_a_forest(polled: Polled) -> None:
    async def check(device: PolledDevice) -> None:
        device.poller.learners = frozenset({PUMP})
        device.poller.watch([PUMP], 0.005)
        await device.settled(8)
        assert device.session.attested == 3
        assert device.learning.progress[PUMP].stage is LearningStage.GROWN
        assert len(device.changes) == 4  # the first report, and each progress

    polled(check)


def test_a_device_that_does_not_learn_is_not_asked_about_it(polled: Polled) -> None:
    async def check(device: PolledDevice) -> None:
        device.poller.watch([PUMP], 0.005)
        await device.settled(6)
        assert device.session.attested == 0

    polled(check)


def test_a_summary_is_asked_for_at_once_after_a_confirmation(polled: Polled) -> None:
    async def check(device: PolledDevice) -> None:
        device.poller.watch([PUMP], NEVER_S)
        await device.settled(3)
        device.session.bodies[ReportKind.SUMMARY] = replace(SUMMARY, running=b"\2" * 16, inferences=7)
        device.poller.has_confirmed(PUMP)
        await device.settled(4)
        assert device.session.asked[3:] == [ReportKind.SUMMARY]  # the report that confirmed has just arrived
        assert [total.inferences for total in device.summaries.totals()] == [100, 7]

    polled(check)


def test_a_summary_that_got_lost_after_a_confirmation_is_asked_for_again(polled: Polled) -> None:
    async def check(device: PolledDevice) -> None:
        device.poller.watch([PUMP], 0.005)
        await device.settled(3)
        del device.session.bodies[ReportKind.SUMMARY]
        device.poller.has_confirmed(PUMP)
        await device.settled(6)
        assert device.session.asked[3:6] == [ReportKind.SUMMARY, ReportKind.REPORT, ReportKind.SUMMARY]

    polled(check)


def test_a_confirmation_while_a_device_is_busy_skips_no_later_report(polled: Polled) -> None:
    async def check(device: PolledDevice) -> None:
        device.poller.watch([PUMP], NEVER_S)
        await device.settled(3)
        device.busy = True
        device.poller.has_confirmed(PUMP)
        device.poller._poll(PUMP)  # as its timer does
        device.busy = False
        device.poller.poll_soon(PUMP)
        await device.settled(5)
        assert device.session.asked[3:] == [ReportKind.REPORT, ReportKind.SUMMARY]

    polled(check)


def test_a_device_that_soaks_is_asked_for_a_summary_with_each_report(polled: Polled) -> None:
    async def check(device: PolledDevice) -> None:
        device.poller.soaking = frozenset({PUMP})
        device.poller.watch([PUMP], 0.005)
        await device.settled(9)
        assert device.session.asked[3:9] == [ReportKind.REPORT, ReportKind.SUMMARY] * 3

    polled(check)


def test_a_pack_that_changed_unseen_is_followed_by_a_summary(polled: Polled) -> None:
    async def check(device: PolledDevice) -> None:
        device.poller.watch([PUMP], 0.005)
        await device.settled(4)
        asked = len(device.session.asked)
        device.session.bodies[ReportKind.REPORT] = replace(report(50), running=b"\3" * 16)
        await device.settled(asked + 2)
        assert ReportKind.SUMMARY in device.session.asked[asked:]

    polled(check)


def test_a_report_counts_even_if_other_answers_are_missing(polled: Polled) -> None:
    async def check(device: PolledDevice) -> None:
        del device.session.bodies[ReportKind.CAPABILITIES], device.session.bodies[ReportKind.SUMMARY]
        device.poller.watch([PUMP], NEVER_S)
        await device.settled(3)
        assert device.inventory.report_of(PUMP) is not None
        assert device.inventory.capabilities_of(PUMP) is None
        assert device.summaries.totals() == []
        device.poller.heard_from(PUMP)  # its capabilities are unknown, so it is asked at once
        await device.settled(5)
        assert device.session.asked[3:5] == [ReportKind.REPORT, ReportKind.CAPABILITIES]

    polled(check)


def test_a_silent_device_is_asked_at_once_when_its_link_comes_up(polled: Polled) -> None:
    async def check(device: PolledDevice) -> None:
        device.link.session = None
        device.poller.watch([PUMP], NEVER_S)
        while device.poller.pending:  # noqa: ASYNC110 - as a pass does
            await asyncio.sleep(0)
        assert device.session.asked == []
        assert device.changes == []
        device.link.session = device.session
        device.poller.link_is_up()
        await device.settled(3)
        assert device.changes == [PUMP]
        device.poller.link_is_up()  # the device is not silent, so it is not asked again
        await asyncio.sleep(0.01)
        assert len(device.session.asked) == 3

    polled(check)


def test_a_silence_changes_nothing(polled: Polled) -> None:
    async def check(device: PolledDevice) -> None:
        device.session.there = False
        device.poller.watch([PUMP], NEVER_S)
        await device.settled(1)
        assert device.inventory.report_of(PUMP) is None
        assert device.changes == []

    polled(check)


def test_a_device_that_is_being_updated_is_not_asked(polled: Polled) -> None:
    async def check(device: PolledDevice) -> None:
        device.busy = True
        device.poller.watch([PUMP], NEVER_S)
        while device.poller.pending:  # noqa: ASYNC110 - as a pass does
            await asyncio.sleep(0)
        assert device.session.asked == []

    polled(check)


def test_a_device_that_is_no_longer_watched_is_not_asked(polled: Polled) -> None:
    async def check(device: PolledDevice) -> None:
        device.poller.watch([PUMP], NEVER_S)
        await device.settled(3)
        device.poller.watch([], NEVER_S)
        device.poller.heard_from(PUMP)
        device.poller.poll_soon(PUMP)
        await asyncio.sleep(0.01)
        assert len(device.session.asked) == 3

    polled(check)


def test_an_answer_that_can_not_be_kept_is_asked_for_again(polled: Polled, caplog: pytest.LogCaptureFixture) -> None:
    async def check(device: PolledDevice) -> None:
        def fails(*_values: object, **_more: object) -> bool:
            raise StateUnusable("the disk is full")

        works = device.inventory.record_report
        device.inventory.record_report = fails  # type: ignore[method-assign]  # as a full disk would
        device.poller.watch([PUMP], NEVER_S)
        await device.settled(1)
        assert "polling pump-1 failed: StateUnusable: the disk is full" in caplog.text
        device.inventory.record_report = works  # type: ignore[method-assign]  # there is space again
        device.poller.poll_soon(PUMP)
        await device.settled(4)
        assert device.inventory.report_of(PUMP) is not None

    polled(check)


class CrowdSession(LinkSession):
    """A session with many devices, which all answer, and when each was asked for a report."""

    def __init__(self) -> None:
        self.asked: list[tuple[float, DeviceId, ReportKind]] = []

    async def ask(self, device: DeviceId, what: ReportKind) -> Outcome:
        self.asked.append((asyncio.get_running_loop().time(), device, what))
        bodies: dict[ReportKind, Body] = {ReportKind.REPORT: report(1), ReportKind.SUMMARY: SUMMARY}
        return Answered(bodies.get(what, CAPABILITIES))


def asked_after_a_restart(state: StateWriter, seen_at: datetime, *, at_once: bool = False) -> list[float]:
    """Return when each of a hundred devices was asked that an earlier run knew, in seconds after the start."""
    devices = [DeviceId(f"pump-{number}") for number in range(100)]
    before = Inventory(state)
    for device in devices:
        before.record_report(device, report(1), seen_at, asked=True)
        before.record_capabilities(device, CAPABILITIES)
    before.save()

    async def poll() -> list[float]:
        session, inventory = CrowdSession(), Inventory(state)
        inventory.silent_after_s = 900.0
        ports = PollerPorts(inventory, Summaries(state), LearningLedger(), FixedClock(), OneLink(session))  # type: ignore[arg-type]  # of the links only these two methods are used
        poller = Poller(ports, lambda _device: False, lambda _device: None, random.Random(1))
        poller.all_at_once = at_once
        loop, watched = asyncio.get_running_loop(), frozenset(devices)
        started_s = loop.time()
        poller.watch(watched, 300.0)
        poller.watch(watched, 300.0)  # the same devices again: nothing to do
        while len(session.asked) < len(devices):  # noqa: ASYNC110 - in simulated time
            await asyncio.sleep(1.0)
        await poller.stop()
        assert {what for _, _, what in session.asked[: len(devices)]} <= {ReportKind.REPORT, ReportKind.SUMMARY}
        first = {device: at_s - started_s for at_s, device, _ in reversed(session.asked)}
        return sorted(first.values())

    return run_simulated(poll())


def test_after_a_restart_known_devices_are_asked_over_the_interval(state: StateWriter) -> None:
    asked_s = asked_after_a_restart(state, NOON - timedelta(seconds=100))
    for tenth in range(10):  # none of the tenths has much more than its share
        assert sum(30.0 * tenth <= at_s < 30.0 * (tenth + 1) for at_s in asked_s) <= 25
    assert asked_s[-1] <= 300.0
    assert len({round(at_s, 3) for at_s in asked_s}) < 80  # several are asked together


def test_after_a_restart_devices_are_asked_before_they_count_as_silent(state: StateWriter) -> None:
    asked_s = asked_after_a_restart(state, NOON - timedelta(seconds=850))
    assert asked_s[50] > 10.0
    assert asked_s[-1] <= 50.0


def test_after_a_restart_silent_devices_are_asked_at_once(state: StateWriter) -> None:
    assert asked_after_a_restart(state, NOON - timedelta(seconds=1000))[-1] < 1.0


def test_a_single_run_asks_all_devices_at_once(state: StateWriter) -> None:
    assert asked_after_a_restart(state, NOON, at_once=True)[-1] < 1.0


class BusySession(CrowdSession):
    """A session whose devices answer only when they are allowed to."""

    def __init__(self) -> None:
        super().__init__()
        self.allowed = asyncio.Event()

    async def ask(self, device: DeviceId, what: ReportKind) -> Outcome:
        await self.allowed.wait()
        return await super().ask(device, what)


def test_a_large_fleet_waits_in_a_queue_and_not_in_tasks(state: StateWriter) -> None:
    devices = frozenset(DeviceId(f"pump-{number}") for number in range(2 * MAX_STARTED + 1))

    async def poll() -> None:
        session, inventory = BusySession(), Inventory(state)
        ports = PollerPorts(inventory, Summaries(state), LearningLedger(), FixedClock(), OneLink(session))  # type: ignore[arg-type]  # of the links only these two methods are used
        poller = Poller(ports, lambda _device: False, lambda _device: None, random.Random(1))
        poller.watch(devices, NEVER_S)
        await asyncio.sleep(1.0)
        assert sum(task.get_name().startswith("poll ") for task in asyncio.all_tasks()) == MAX_STARTED
        assert poller.pending == len(devices)
        session.allowed.set()
        while poller.pending:  # noqa: ASYNC110 - in simulated time
            await asyncio.sleep(0.1)
        assert inventory.records.keys() == devices
        await poller.stop()

    run_simulated(poll())
