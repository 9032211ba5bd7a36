# SPDX-License-Identifier: Apache-2.0
"""Certificates that expire and are renewed: a real broker, the daemon's link to it, and the real commands."""

from __future__ import annotations

import asyncio
import contextlib
import re
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from demo.site import Site
from reconciler.devices.link import LinkState
from reconciler.devices.mqtt_link import MqttLink, MqttSettings
from reconciler.report.conditions import Status
from reconciler.report.status_files import read_gateway_file
from signing import passphrase_sources
from signing.pki import Role, Subject, ValidityPeriod
from signing.pki_keys import KeyKind
from signing.pki_store import CertificateStore, Issuer
from tests.system.broker_site import FLEET, BrokerSite

UNIT = Path(__file__).parents[2] / "systemd" / "tinyfleet-pki.service"
WITHIN_S = 60.0
PAST = ValidityPeriod(datetime.now(UTC) - timedelta(days=11), days=10)


@pytest.fixture
def tls_broker(tmp_path: Path) -> BrokerSite:
    return BrokerSite(tmp_path, "p256")


def issuer_of(broker: BrokerSite) -> Issuer:
    secret = broker.folder / "passphrase"
    return Issuer(CertificateStore(broker.folder / "ca"), lambda: passphrase_sources.from_file(secret))


async def watched(link: MqttLink, states: list[LinkState], *, until_up: bool) -> None:
    """Take in events until the link is up, or until it is not."""
    async with asyncio.timeout(WITHIN_S):
        async for event in link.events():
            if isinstance(event, LinkState):
                states.append(event)
                if event.up is until_up:
                    return


def test_a_renewed_certificate_is_used_without_a_restart(tls_broker: BrokerSite) -> None:
    """The gateway's certificate has expired; while the link tries repeatedly, an operator renews it."""
    files, ca = tls_broker.certificates, tls_broker.folder / "ca"
    issuer_of(tls_broker).issue(files, Subject(Role.GATEWAY, "gw-1"), KeyKind.P256, PAST)

    async def main() -> list[LinkState]:
        settings = MqttSettings(
            "localhost", FLEET, "gw-1", tls_broker.port, files / "ca.crt", files / "gw-1.crt", files / "gw-1.key"
        )
        link, states = MqttLink(settings), list[LinkState]()
        running = asyncio.create_task(link.run())
        await watched(link, states, until_up=False)
        await asyncio.to_thread(tls_broker.pki, f"renew {files / 'gw-1.crt'} --ca {ca}")
        await asyncio.to_thread(tls_broker.restart)  # with the rights of the gateway, whose certificate had expired
        await watched(link, states, until_up=True)
        assert link.broker_certificate_ends is not None
        assert link.broker_certificate_ends - datetime.now(UTC) > timedelta(days=700)
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running
        return states

    tls_broker.start()
    try:
        states = asyncio.run(main())
    finally:
        tls_broker.stop()
    assert [states[0].up, states[-1].up] == [False, True]


def test_an_expired_revocation_list_locks_everyone_out_until_the_timers_command_has_run(tls_broker: BrokerSite) -> None:
    """The command is the one of the unit, with the folders of this test."""
    tls_broker.issue("device", "pump-1")
    issuer_of(tls_broker).renew_crl(PAST)
    tls_broker.start()
    try:
        assert tls_broker.attempt(tls_broker.context("pump-1")) != "admitted"
        (line,) = re.findall(r"^ExecStart=\S+ pki (.*)$", UNIT.read_text(), re.MULTILINE)
        arguments = line.replace("/var/lib/tinyfleet-pki", str(tls_broker.folder)).partition(" --passphrase-file ")
        assert "revocation list" in tls_broker.pki(arguments[0])
        tls_broker.reload()
        ends = time.monotonic() + WITHIN_S
        while tls_broker.attempt(tls_broker.context("pump-1")) != "admitted":
            assert time.monotonic() < ends, "the broker has not read the new list"
    finally:
        tls_broker.stop()


def test_the_status_warns_of_certificates_that_expire_soon(broker_site: Site) -> None:
    """The certificates of this site are valid for a day; the broker's own is known from the connection only."""
    site = broker_site
    site.world.commit("Begin", site.first_files())
    site.start_gateway()

    def warning() -> str | None:
        body = site.world.status_file("gateway.yaml")
        conditions = read_gateway_file(body.encode()).conditions if body is not None else ()
        messages = [each.message for each in conditions if each.type == "CertificatesValid"]
        return next((each for each in messages if "broker certificate" in each), None)

    message = site.world.wait_for("a warning about the broker", warning, within_s=WITHIN_S)
    assert message.count("expires on") == 3
    body = site.world.status_file("gateway.yaml")
    assert body is not None
    assert read_gateway_file(body.encode()).ready.status is Status.TRUE  # it warns, and keeps nothing from working
