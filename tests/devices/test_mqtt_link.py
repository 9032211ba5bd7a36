# SPDX-License-Identifier: Apache-2.0
"""The MQTT link against a real mosquitto: TLS, restarts, duplicates, unknown devices, and many devices at once."""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import pytest

from reconciler.devices.conversation import Answered, Confirmed, Lost, RetryPolicy
from reconciler.devices.errors import LinkUnusable
from reconciler.devices.link import AnswerReceived, Event, LinkState, Presence
from reconciler.devices.link_session import LinkSession
from reconciler.devices.messages import Inquire, ReportKind, TransferResult, encode
from reconciler.devices.mqtt_link import MqttLink, MqttSettings
from reconciler.devices.transfer_limiter import TransferLimiter
from reconciler.model import DeviceId, GatewayLimits
from tests.devices.broker import FLEET, WAIT_S, FakeDevices, RealBroker
from tests.devices.fake_device import job_for, open_fake
from tests.firmware.broker import Authority, Broker

T = TypeVar("T")
PLAIN = ("allow_anonymous true", "max_queued_messages 20000")
A = DeviceId("a")
PAYLOAD = bytes(range(256)) * 160


@asynccontextmanager
async def fleet_behind(
    settings: MqttSettings,
    devices: Iterable[DeviceId],
    retry: RetryPolicy = RetryPolicy(first_poll_s=0.05),  # noqa: B008  # frozen
) -> AsyncIterator[LinkSession]:
    fleet = LinkSession(
        MqttLink(settings, devices), open_fake, limiters=[TransferLimiter(GatewayLimits(transfers=64))], retry=retry
    )
    running = asyncio.create_task(fleet.run())
    try:
        async with asyncio.timeout(60):
            yield fleet
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running


async def next_event(fleet: LinkSession, wanted: Callable[[Event], bool]) -> Event:
    async with asyncio.timeout(WAIT_S):
        async for event in fleet.unsolicited():
            if wanted(event):
                return event
    raise AssertionError("the event did not come")


def is_up(event: Event) -> bool:
    return isinstance(event, LinkState) and event.up


def with_broker(folder: Path, test: Callable[[RealBroker, MqttSettings], Awaitable[T]]) -> T:
    async def main() -> T:
        broker = RealBroker(folder, *PLAIN)
        await broker.start()
        try:
            return await test(broker, MqttSettings("127.0.0.1", FLEET, "gw-1", port=broker.port, answer_s=5.0))
        finally:
            broker.kill()

    return asyncio.run(main())


def test_an_update_through_a_broker(tmp_path: Path) -> None:
    async def test(broker: RealBroker, settings: MqttSettings) -> None:
        crowd = FakeDevices(broker.port)
        async with fleet_behind(settings, [A]) as fleet:
            await next_event(fleet, is_up)
            outcome, effort = await fleet.update(job_for("a", PAYLOAD, block_bytes=1024))
        crowd.leave()
        assert isinstance(outcome, Confirmed)
        assert crowd.devices["a"].content() == PAYLOAD
        assert effort.blocks_resent == 0

    with_broker(tmp_path, test)


def test_answers_that_arrive_three_times_do_no_harm(tmp_path: Path) -> None:
    async def test(broker: RealBroker, settings: MqttSettings) -> None:
        crowd = FakeDevices(broker.port, echoes=2)
        async with fleet_behind(settings, [A]) as fleet:
            await next_event(fleet, is_up)
            outcome, effort = await fleet.update(job_for("a", PAYLOAD, block_bytes=256))
        crowd.leave()
        assert isinstance(outcome, Confirmed)
        assert crowd.devices["a"].content() == PAYLOAD
        assert effort.blocks_resent == 0

    with_broker(tmp_path, test)


def test_a_thousand_devices_without_a_thousand_threads(tmp_path: Path) -> None:
    names = [DeviceId(f"d{number}") for number in range(1000)]

    async def test(broker: RealBroker, settings: MqttSettings) -> None:
        crowd = FakeDevices(broker.port)
        async with fleet_behind(settings, names) as fleet:
            await next_event(fleet, is_up)
            outcomes = await asyncio.gather(*(fleet.ask(name, ReportKind.REPORT) for name in names))
            threads = threading.active_count()
            updates = await asyncio.gather(*(fleet.update(job_for(name, PAYLOAD[:300])) for name in names))
        crowd.leave()
        assert all(isinstance(outcome, Answered) for outcome in outcomes)
        assert all(isinstance(outcome, Confirmed) for outcome, _ in updates)
        assert threads < 10

    with_broker(tmp_path, test)


def test_a_broker_that_dies_during_a_transfer(tmp_path: Path) -> None:
    async def test(broker: RealBroker, settings: MqttSettings) -> None:
        crowd = FakeDevices(broker.port)
        retry = RetryPolicy(first_poll_s=0.05, silences=20)
        async with fleet_behind(replace(settings, answer_s=0.5), [A], retry) as fleet:
            await next_event(fleet, is_up)
            job = replace(job_for("a", PAYLOAD, block_bytes=256), block_gap_s=0.01)
            update = asyncio.create_task(fleet.update(job))
            await crowd.heard_blocks(20)
            broker.kill()
            await next_event(fleet, lambda event: isinstance(event, LinkState) and not event.up)
            await broker.start()
            await next_event(fleet, is_up)
            outcome, _ = await update
        crowd.leave()
        assert isinstance(outcome, Confirmed)
        assert crowd.devices["a"].content() == PAYLOAD

    with_broker(tmp_path, test)


def test_an_absent_device_is_lost_and_its_return_is_reported(tmp_path: Path) -> None:
    async def test(broker: RealBroker, settings: MqttSettings) -> None:
        retry = RetryPolicy(silences=2, answer_s=0.0)
        async with fleet_behind(replace(settings, answer_s=0.1), [A], retry) as fleet:
            await next_event(fleet, is_up)
            assert isinstance(await fleet.ask(A, ReportKind.REPORT), Lost)
            crowd = FakeDevices(broker.port)
            crowd.say("a", "presence", b"1", retain=True)
            assert await next_event(fleet, lambda event: isinstance(event, Presence)) == Presence(A, present=True)
            crowd.leave()

    with_broker(tmp_path, test)


def test_presence_that_the_broker_retained_is_no_event(tmp_path: Path) -> None:
    async def test(broker: RealBroker, settings: MqttSettings) -> None:
        crowd = FakeDevices(broker.port)
        for name in ("a", "stranger"):
            crowd.say(name, "presence", b"1", retain=True)
        async with fleet_behind(settings, [A]) as fleet:
            await next_event(fleet, is_up)
            while fleet.link.statistics.unknown != {"stranger"}:  # noqa: ASYNC110 - it comes after that of `a`
                await asyncio.sleep(0.01)
            crowd.say("a", "presence", b"0", retain=True)
            event = await next_event(fleet, lambda event: isinstance(event, Presence))
            assert event == Presence(A, present=False)  # and not the retained one
        crowd.leave()

    with_broker(tmp_path, test)


def test_a_device_that_sleeps_answers_when_it_wakes(tmp_path: Path) -> None:
    async def test(broker: RealBroker, settings: MqttSettings) -> None:
        sleeper = FakeDevices(broker.port, session="sleeper")
        await sleeper.subscribed()
        sleeper.leave()
        async with fleet_behind(replace(settings, answer_s=0.2), [A], RetryPolicy(silences=50, answer_s=0.0)) as fleet:
            await next_event(fleet, is_up)
            asking = asyncio.create_task(fleet.ask(A, ReportKind.REPORT))
            await asyncio.sleep(0.5)  # asleep for a while: there is no event to wait for
            assert fleet.link.statistics.silences > 0
            sleeper = FakeDevices(broker.port, session="sleeper")
            assert isinstance(await asking, Answered)
        sleeper.leave()

    with_broker(tmp_path, test)


def test_unsolicited_reports_are_forwarded(tmp_path: Path) -> None:
    async def test(broker: RealBroker, settings: MqttSettings) -> None:
        crowd = FakeDevices(broker.port)
        async with fleet_behind(settings, [A]) as fleet:
            await next_event(fleet, is_up)
            crowd.say("a", "up", encode(TransferResult(None, 1)))
            received = await next_event(fleet, lambda event: isinstance(event, AnswerReceived))
        crowd.leave()
        assert received == AnswerReceived(A, TransferResult(None, 1), asked=False)

    with_broker(tmp_path, test)


def test_unknown_devices_and_garbage_are_counted_and_not_served(tmp_path: Path) -> None:
    async def test(broker: RealBroker, settings: MqttSettings) -> None:
        crowd = FakeDevices(broker.port)
        async with fleet_behind(settings, [A]) as fleet:
            await next_event(fleet, is_up)
            crowd.say("unknown", "up", encode(TransferResult(None, 1)))
            crowd.say("a", "up", b"\xff" * 100)
            crowd.say("a", "up", encode(Inquire(ReportKind.REPORT, bytes(8))))  # a message that only a gateway sends
            crowd.say("a", "up", bytes(1_000_000))
            crowd.say("a", "up", encode(TransferResult(None, 0)))
            await next_event(fleet, lambda event: isinstance(event, AnswerReceived))
            statistics = fleet.link.statistics
        crowd.leave()
        assert statistics.unknown == {"unknown"}
        assert statistics.malformed >= 2

    with_broker(tmp_path, test)


def test_a_device_named_server_is_a_device(tmp_path: Path) -> None:
    """The topics between gateways begin with `server` as well."""

    async def test(broker: RealBroker, settings: MqttSettings) -> None:
        devices = FakeDevices(broker.port)
        link = MqttLink(settings, [DeviceId("server")])
        heard: list[tuple[str, bytes]] = []
        link.serve_requests(lambda *message: heard.append(message), lambda *message: heard.append(message))
        running = asyncio.create_task(link.run())
        async for event in link.events():
            if event == LinkState(up=True):
                devices.say("server/gw-1/request", "gw-2", b"ask")
                devices.say("server/gw-2/answer", "gw-1", b"answer")
                devices.say("server", "presence", b"1")
            elif event == Presence(DeviceId("server"), present=True):
                break
        assert heard == [("@gw-2", b"ask"), ("gw-2", b"answer")]
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running
        devices.leave()

    with_broker(tmp_path, test)


def test_a_broker_that_refuses_requests_still_serves_devices(tmp_path: Path) -> None:
    """The plugin refuses the subscription itself; an ACL file would grant it, and deliver nothing."""
    denied = {"acltype": "subscribePattern", "topic": f"tinyfleet/{FLEET}/request/+", "allow": False}
    rules = {
        "defaultACLAccess": dict.fromkeys(
            ("publishClientSend", "publishClientReceive", "subscribe", "unsubscribe"), True
        ),
        "roles": [{"rolename": "gateway", "acls": [denied]}],
        "groups": [{"groupname": "all", "roles": [{"rolename": "gateway"}]}],
        "anonymousGroup": "all",
    }
    (tmp_path / "rules.json").write_text(json.dumps(rules), encoding="utf-8")
    (plugin,) = Path("/usr/lib").glob("*/mosquitto_dynamic_security.so")
    lines = (*PLAIN, f"plugin {plugin}", f"plugin_opt_config_file {tmp_path / 'rules.json'}")

    async def main() -> None:
        broker = RealBroker(tmp_path, *lines)
        await broker.start()
        try:
            link = MqttLink(MqttSettings("127.0.0.1", FLEET, "gw-1", port=broker.port), [A])
            link.serve_requests(lambda *_: None)
            running = asyncio.create_task(link.run())
            async for event in link.events():
                assert event == LinkState(up=True)
                break
            assert link.requests_refused == "Not authorized"
            running.cancel()
            with suppress(asyncio.CancelledError):
                await running
        finally:
            broker.kill()

    asyncio.run(main())


def test_reports_sent_while_the_gateway_is_offline_are_delivered_later(tmp_path: Path) -> None:
    async def test(broker: RealBroker, settings: MqttSettings) -> None:
        crowd = FakeDevices(broker.port)
        async with fleet_behind(settings, [A]) as fleet:
            await next_event(fleet, is_up)
            await fleet.ask(A, ReportKind.REPORT)  # an answer shows that the subscription is active
        crowd.say("a", "up", encode(TransferResult(None, 1)))
        async with fleet_behind(settings, [A]) as fleet:
            received = await next_event(
                fleet, lambda event: isinstance(event, AnswerReceived) and isinstance(event.answer, TransferResult)
            )
        crowd.leave()
        assert received == AnswerReceived(A, TransferResult(None, 1), asked=False)

    with_broker(tmp_path, test)


def test_tls_with_certificates_and_the_will(tmp_path: Path) -> None:
    authority = Authority(tmp_path / "authority")
    for name in ("localhost", "gw-1"):
        authority.issue(name)
    folder = authority.folder
    lines = (
        f"cafile {folder / 'ca.crt'}",
        f"certfile {folder / 'localhost.crt'}",
        f"keyfile {folder / 'localhost.key'}",
        "require_certificate true",
        "use_identity_as_username true",
    )

    async def main() -> None:
        broker = RealBroker(tmp_path, *lines)
        await broker.start()
        try:
            bare = MqttSettings("localhost", FLEET, "gw-1", port=broker.port, ca=folder / "ca.crt")
            async with fleet_behind(bare, [A]) as fleet:
                refused = await next_event(fleet, lambda event: isinstance(event, LinkState))
            assert isinstance(refused, LinkState)
            assert not refused.up
            certified = replace(bare, certificate=folder / "gw-1.crt", key=folder / "gw-1.key")
            async with fleet_behind(certified, [A]) as fleet:
                assert is_up(await next_event(fleet, lambda event: isinstance(event, LinkState)))
        finally:
            broker.kill()

    asyncio.run(main())


async def nodelay_of(link: MqttLink) -> tuple[type, int]:
    """Connect, and return the type of the live socket and its TCP_NODELAY option."""
    running = asyncio.create_task(link.run())
    try:
        async with asyncio.timeout(WAIT_S):
            async for event in link.events():
                if is_up(event):
                    break
        live = link._client.socket()
        assert isinstance(live, socket.socket)
        return type(live), live.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running


def test_small_messages_are_sent_at_once(tmp_path: Path) -> None:
    async def test(broker: RealBroker, settings: MqttSettings) -> None:
        assert await nodelay_of(MqttLink(settings)) == (socket.socket, 1)
        broker.kill()
        await broker.start()
        assert await nodelay_of(MqttLink(settings)) == (socket.socket, 1)

    with_broker(tmp_path, test)


def test_small_messages_are_sent_at_once_over_tls(tmp_path: Path) -> None:
    broker = Broker(tmp_path, Authority(tmp_path / "authority"))
    folder = tmp_path / "authority"
    try:
        assert broker.authority is not None
        broker.authority.issue("gw-1")
        certified = MqttSettings(
            "localhost",
            FLEET,
            "gw-1",
            port=broker.port,
            ca=folder / "ca.crt",
            certificate=folder / "gw-1.crt",
            key=folder / "gw-1.key",
        )
        assert asyncio.run(nodelay_of(MqttLink(certified))) == (ssl.SSLSocket, 1)
    finally:
        broker.stop()


def test_a_missing_certificate_is_unusable(tmp_path: Path) -> None:
    with pytest.raises(LinkUnusable, match=r"ca\.crt"):
        MqttLink(MqttSettings("localhost", FLEET, "gw-1", ca=tmp_path / "ca.crt"))


@pytest.mark.parametrize("name", ["a/b", "+", "", "#"])
def test_a_name_that_is_not_a_topic_level_is_unusable(name: str) -> None:
    with pytest.raises(LinkUnusable):
        MqttLink(MqttSettings("localhost", name, "gw-1"))
