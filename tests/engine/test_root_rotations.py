# SPDX-License-Identifier: Apache-2.0
"""What the gateway sends to devices with an earlier root, with the real core as the device."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from reconciler.devices.conversation import Lost, RotationAnswered
from reconciler.devices.messages import RotateRoot, TransferResult
from reconciler.devices.reports import DeviceReport
from reconciler.engine.root_rotations import RootRotations
from reconciler.model import DeviceId
from signing.identifiers import key_id
from tests.firmware.bench import Bench, Made
from tests.firmware.conftest import build, preset
from tests.firmware.host import HostAgent, HostLibrary
from tests.firmware.orders import NEW, PREBAKED, SMALL, THIRD, deliver, install, put, report
from tests.firmware.rotations import Turned, turned


@dataclass
class CoreSession:
    """The part of a link session that rotations use, straight to the core."""

    agent: HostAgent
    made: Made
    sent: list[RotateRoot] = field(default_factory=list)
    silent: bool = False

    async def rotate_root(self, device: DeviceId, order: RotateRoot) -> RotationAnswered:
        del device
        self.sent.append(order)
        answer = put(self.agent, order)
        assert isinstance(answer, TransferResult)
        return RotationAnswered(answer.code)

    async def report(self, device: DeviceId) -> DeviceReport | Lost:
        del device
        return Lost("no answer") if self.silent else report(self.agent, self.made)


@pytest.fixture
def bench() -> Bench:
    return Bench("plant")


@pytest.fixture
def made(bench: Bench) -> Made:
    return bench.device("pump-1")


@pytest.fixture
def updated(bench: Bench, made: Made) -> Iterator[HostAgent]:
    library = HostLibrary(build(preset()) / "libtinyfleet-host.so")
    agent = HostAgent(library, made.region(PREBAKED), geometry=SMALL)
    assert deliver(agent, install(bench, made, NEW, 1)).code == 0
    yield agent
    agent.close()


def rotations_to(*turns: Turned) -> RootRotations:
    last = turns[-1].bench
    return RootRotations(
        key_id(last.root.public_key),
        last.delegation,
        {turn.signer: turn.order.rotation for turn in turns},
    )


def follow(rotations: RootRotations, session: CoreSession, first: DeviceReport) -> DeviceReport | Lost:
    device = DeviceId(session.made.name)
    return asyncio.run(rotations.follow(session, device, first))  # type: ignore[arg-type] # two methods of a session


def test_a_device_that_missed_a_rotation_takes_both(updated: HostAgent, bench: Bench, made: Made) -> None:
    first = turned(bench)
    second = turned(first.bench, number=2)
    session = CoreSession(updated, made)
    after = follow(rotations_to(first, second), session, report(updated, made))
    assert isinstance(after, DeviceReport)
    assert after.root == key_id(second.bench.root.public_key)
    assert after.gateway == key_id(second.bench.gateway.public_key)
    assert [bool(order.delegation) for order in session.sent] == [False, True]
    assert deliver(updated, install(second.bench, made, THIRD, 3)).code == 0
    follow(rotations_to(first, second), session, after)
    assert len(session.sent) == 2  # nothing is sent to a device that has the root


def test_nothing_is_sent_where_no_rotation_leads_on(updated: HostAgent, bench: Bench, made: Made) -> None:
    session, before = CoreSession(updated, made), report(updated, made)
    stranger = turned(Bench(bench.fleet))
    assert follow(rotations_to(stranger), session, before) == before
    assert follow(RootRotations(), session, before) == before
    assert RootRotations().order_for(before) is None
    assert session.sent == []


def test_a_refused_rotation_is_sent_once(
    updated: HostAgent,
    bench: Bench,
    made: Made,
    caplog: pytest.LogCaptureFixture,
) -> None:
    forged = turned(Bench(bench.fleet))
    rotations = RootRotations(
        key_id(forged.bench.root.public_key),
        forged.bench.delegation,
        {key_id(bench.root.public_key): forged.order.rotation},
    )
    session = CoreSession(updated, made)
    after = follow(rotations, session, report(updated, made))
    assert isinstance(after, DeviceReport)
    assert after.root == key_id(bench.root.public_key)
    assert len(session.sent) == 1
    assert "does not accept the rotation of its root" in caplog.text


def test_a_device_that_falls_silent_is_lost(updated: HostAgent, bench: Bench, made: Made) -> None:
    session = CoreSession(updated, made, silent=True)
    assert isinstance(follow(rotations_to(turned(bench)), session, report(updated, made)), Lost)
