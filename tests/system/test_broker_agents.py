# SPDX-License-Identifier: Apache-2.0
"""The gateway's link and the real agent, each with its certificate, through the broker as configured."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from demo.world import VDEV
from reconciler.devices.link import AnswerReceived, Event, LinkState, Presence, Turn
from reconciler.devices.messages import Inquire, ReportKind, Signed
from reconciler.devices.mqtt_link import MqttLink, MqttSettings
from reconciler.devices.reports import Body, DeviceReport, parse_body
from reconciler.errors import Refused
from reconciler.model import DeviceId
from tests.firmware.bench import Bench, Made, make_pack
from tests.firmware.talk import digest16
from tests.firmware.vdev import Vdev
from tests.system.broker_site import FLEET, BrokerSite

PREBAKED = make_pack(1)
NAMES = ("pump-1", "pump-2")
WAIT_S = 120.0


@pytest.fixture
def site(tmp_path: Path) -> Iterator[BrokerSite]:
    site = BrokerSite(tmp_path, "p256")
    site.issue("gateway", "gw-1")
    for name in NAMES:
        site.issue("device", name)
    site.start()
    yield site
    site.stop()


@pytest.fixture
def agents(firmware: None, site: BrokerSite) -> Iterator[dict[str, Made]]:  # noqa: ARG001 - must have been built
    bench = Bench(FLEET)
    made = {name: bench.device(name) for name in NAMES}
    tls = ("--tls-ca", str(site.certificates / "ca.crt"), "--certificates", str(site.certificates))
    with Vdev(VDEV, made.values(), (PREBAKED,), "--broker", f"localhost:{site.port}", *tls):
        yield made


def _link(site: BrokerSite, gateway: str) -> MqttLink:
    folder = site.certificates
    files = (folder / "ca.crt", folder / f"{gateway}.crt", folder / f"{gateway}.key")
    return MqttLink(MqttSettings("localhost", FLEET, gateway, site.port, *files), [DeviceId(name) for name in NAMES])


async def _reports(link: MqttLink, made: dict[str, Made]) -> dict[str, DeviceReport]:
    """Ask each device as it appears, until all have answered."""
    chance = random.Random(1)
    nonces = {name: chance.randbytes(8) for name in made}
    found: dict[str, DeviceReport] = {}
    running = asyncio.create_task(link.run())
    try:
        async with asyncio.timeout(WAIT_S):
            async for event in link.events():
                _ask(link, event, nonces)
                if isinstance(event, AnswerReceived) and isinstance(event.answer, Signed):
                    name = str(event.device)
                    body = _opened(made[name], event.answer.cose, nonces[name])
                    if isinstance(body, DeviceReport):
                        found[name] = body
                if len(found) == len(made):
                    return found
    finally:
        running.cancel()
    raise AssertionError("not all have answered")


def _opened(made: Made, cose: bytes, nonce: bytes) -> Body | None:
    """Return the answer to our question; None for the unsolicited report of a device that connects."""
    try:
        return parse_body(made.open_signed(cose, nonce))
    except Refused:
        made.open_signed(cose, b"")
        return None


def _ask(link: MqttLink, event: Event, nonces: dict[str, bytes]) -> None:
    """Ask the devices that are there when the link comes up, and each one that appears later."""
    devices: list[str] = []
    if isinstance(event, LinkState):
        assert event.up, event.why
        devices = list(nonces)
    if isinstance(event, Presence) and event.present:
        devices = [str(event.device)]
    for name in devices:
        link.send(DeviceId(name), Turn(question=Inquire(ReportKind.REPORT, nonces[name])))


def test_every_device_answers_under_its_own_name(site: BrokerSite, agents: dict[str, Made]) -> None:
    found = asyncio.run(_reports(_link(site, "gw-1"), agents))
    assert {name: body.running for name, body in found.items()} == dict.fromkeys(NAMES, digest16(PREBAKED))
