# SPDX-License-Identifier: Apache-2.0
"""Devices are asked how they are: at once, in time, and as soon as a silence may be over."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from reconciler.devices.conversation import Answered, Lost, Outcome
from reconciler.devices.messages import ReportKind
from reconciler.devices.reports import Body, CapabilitiesBody, DeviceReport, Summary
from reconciler.devices.session import LinkSession
from reconciler.engine.observed.inventory import Inventory
from reconciler.engine.observed.summaries import Summaries
from reconciler.engine.polling.poller import Observer, Poller
from reconciler.engine.state.database import StateDatabase, StateUnusable
from reconciler.model import DeviceId
from tests.engine.test_drift import report

PUMP = DeviceId("pump-1")
NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
TOLD = CapabilitiesBody("board", bytes(16), 1, b"\x01", 8192, 0, 512, 0, updates=True, prebaked=(), firmware="f")
COUNTED = Summary(bytes(16), 100, 3, 0, 0, None)
LONG_S = 3600.0  # an interval that no test waits for


class Clock:
    def now(self) -> datetime:
        return NOW

    def steady_s(self) -> float:
        return 0.0


class Device(LinkSession):
    """A fleet of one device, which answers while it is there."""

    def __init__(self) -> None:
        self.there = True
        self.bodies: dict[ReportKind, Body] = {
            ReportKind.REPORT: report(1),
            ReportKind.CAPABILITIES: TOLD,
            ReportKind.SUMMARY: COUNTED,
        }
        self.asked: list[ReportKind] = []

    async def ask(self, device: DeviceId, what: ReportKind) -> Outcome:
        assert device == PUMP
        self.asked.append(what)
        body = self.bodies.get(what) if self.there else None
        if isinstance(body, DeviceReport):
            self.bodies[what] = body = replace(body, counter=body.counter + 1)
        return Lost("no answer") if body is None else Answered(body)


class Line:
    """The one link; it may be down."""

    def __init__(self, device: Device) -> None:
        self.device: LinkSession | None = device

    async def ready(self, _device: DeviceId) -> LinkSession | None:
        return self.device


class Scene:
    """One device that is looked after."""

    def __init__(self, state: StateDatabase) -> None:
        self.device = Device()
        self.line = Line(self.device)
        self.view = Inventory(state)
        self.busy = False
        self.news: list[DeviceId] = []
        self.summaries = Summaries(state)
        ears = Observer(self.view, self.summaries, Clock())
        self.attention = Poller(ears, self.line, lambda _device: self.busy, self.news.append, random.Random(1))  # type: ignore[arg-type]  # of the links only `ready` is used

    async def settled(self, asked: int) -> None:
        """Wait until so many questions were asked, and their answers taken in."""
        while len(self.device.asked) < asked or self.attention.pending:  # noqa: ASYNC110 - as a pass does
            await asyncio.sleep(0)


@pytest.fixture
def played(tmp_path: Path) -> Callable[[Callable[[Scene], Awaitable[None]]], None]:
    def play(act: Callable[[Scene], Awaitable[None]]) -> None:
        state = StateDatabase(tmp_path / "state.db")

        async def run() -> None:
            scene = Scene(state)
            try:
                await asyncio.wait_for(act(scene), 20)
            finally:
                await scene.attention.stop()

        asyncio.run(run())
        state.close()

    return play


Played = Callable[[Callable[[Scene], Awaitable[None]]], None]


def test_a_device_is_asked_at_once_for_all_that_is_not_known(played: Played) -> None:
    async def act(scene: Scene) -> None:
        scene.attention.watch([PUMP], LONG_S)
        assert scene.attention.pending == 1
        await scene.settled(3)
        assert scene.device.asked == [ReportKind.REPORT, ReportKind.CAPABILITIES, ReportKind.SUMMARY]
        assert scene.view.capabilities_of(PUMP) == TOLD
        assert [total.inferences for total in scene.summaries.totals()] == [100]
        assert scene.news == [PUMP]

    played(act)


def test_a_device_that_says_the_same_is_no_news(played: Played) -> None:
    async def act(scene: Scene) -> None:
        scene.attention.watch([PUMP], 0.005)
        await scene.settled(6)
        assert set(scene.device.asked[3:]) == {ReportKind.REPORT}  # nothing else has to be asked again
        assert scene.news == [PUMP]
        scene.device.bodies[ReportKind.REPORT] = report(50, sequence=9)
        while len(scene.news) < 2:  # noqa: ASYNC110 - it is asked again in time
            await asyncio.sleep(0)
        found = scene.view.report_of(PUMP)
        assert found is not None
        assert found.sequence == 9

    played(act)


def test_a_device_that_keeps_something_back_is_believed_in_the_rest(played: Played) -> None:
    async def act(scene: Scene) -> None:
        del scene.device.bodies[ReportKind.CAPABILITIES], scene.device.bodies[ReportKind.SUMMARY]
        scene.attention.watch([PUMP], LONG_S)
        await scene.settled(3)
        assert scene.view.report_of(PUMP) is not None
        assert scene.view.capabilities_of(PUMP) is None
        assert scene.summaries.totals() == []
        scene.attention.heard_from(PUMP)  # what it can do is not known yet: it is asked at once
        await scene.settled(5)
        assert scene.device.asked[3:5] == [ReportKind.REPORT, ReportKind.CAPABILITIES]

    played(act)


def test_a_silent_device_is_asked_at_once_when_its_link_comes_up(played: Played) -> None:
    async def act(scene: Scene) -> None:
        scene.line.device = None
        scene.attention.watch([PUMP], LONG_S)
        while scene.attention.pending:  # noqa: ASYNC110 - as a pass does
            await asyncio.sleep(0)
        assert scene.device.asked == []
        assert scene.news == []
        scene.line.device = scene.device
        scene.attention.link_is_up()
        await scene.settled(3)
        assert scene.news == [PUMP]
        scene.attention.link_is_up()  # it is not silent: nobody asks it again
        await asyncio.sleep(0.01)
        assert len(scene.device.asked) == 3

    played(act)


def test_silence_is_no_report(played: Played) -> None:
    async def act(scene: Scene) -> None:
        scene.device.there = False
        scene.attention.watch([PUMP], LONG_S)
        await scene.settled(1)
        assert scene.view.report_of(PUMP) is None
        assert scene.news == []

    played(act)


def test_a_device_that_is_being_updated_is_left_alone(played: Played) -> None:
    async def act(scene: Scene) -> None:
        scene.busy = True
        scene.attention.watch([PUMP], LONG_S)
        while scene.attention.pending:  # noqa: ASYNC110 - as a pass does
            await asyncio.sleep(0)
        assert scene.device.asked == []

    played(act)


def test_devices_that_are_no_longer_ours_are_not_asked(played: Played) -> None:
    async def act(scene: Scene) -> None:
        scene.attention.watch([PUMP], LONG_S)
        await scene.settled(3)
        scene.attention.watch([], LONG_S)
        scene.attention.heard_from(PUMP)
        scene.attention.soon(PUMP)
        await asyncio.sleep(0.01)
        assert len(scene.device.asked) == 3

    played(act)


def test_an_answer_that_can_not_be_kept_is_asked_for_again(played: Played, caplog: pytest.LogCaptureFixture) -> None:
    async def act(scene: Scene) -> None:
        def full(*_values: object, **_more: object) -> bool:
            raise StateUnusable("the disk is full")

        keep = scene.view.take_report
        scene.view.take_report = full  # type: ignore[method-assign]  # as a full disk would have it
        scene.attention.watch([PUMP], LONG_S)
        await scene.settled(1)
        assert "asking pump-1 failed: StateUnusable: the disk is full" in caplog.text
        scene.view.take_report = keep  # type: ignore[method-assign]  # there is room again
        scene.attention.soon(PUMP)
        await scene.settled(4)
        assert scene.view.report_of(PUMP) is not None

    played(act)
