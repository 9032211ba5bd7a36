# SPDX-License-Identifier: Apache-2.0
"""The broker as configured: who may connect, and who may use which topics. A real mosquitto and the real commands."""

from __future__ import annotations

import ssl
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.system.broker_site import FLEET, WAIT_S, BrokerSite, MqttParty

BASE = f"tinyfleet/{FLEET}"
REFUSED = "Not authorized"
ACCEPTED = {"Success", "No matching subscribers"}


@pytest.fixture(scope="module", params=["p256", "ed25519"])
def site(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[BrokerSite]:
    site = BrokerSite(tmp_path_factory.mktemp("broker"), request.param)
    for role, name in (("gateway", "gw-1"), ("device", "pump-1"), ("device", "pump-2"), ("device", "pump-3")):
        site.issue(role, name)
    site.start()
    yield site
    site.stop()


def test_a_gateway_and_a_device_talk(site: BrokerSite) -> None:
    with site.client("gw-1") as gateway, site.client("pump-1") as device:
        for topic in (f"{BASE}/+/up", f"{BASE}/+/presence"):
            assert gateway.subscribe(topic) == "Granted QoS 1"
        assert device.subscribe(f"{BASE}/pump-1/down") == "Granted QoS 1"
        assert gateway.publish(f"{BASE}/pump-1/down", b"question") == "Success"
        assert device.next() == (f"{BASE}/pump-1/down", b"question")
        assert device.publish(f"{BASE}/pump-1/up", b"answer") == "Success"
        assert gateway.next() == (f"{BASE}/pump-1/up", b"answer")
        assert device.publish(f"{BASE}/pump-1/presence", b"1", retain=True) == "Success"
        assert gateway.next() == (f"{BASE}/pump-1/presence", b"1")
        assert gateway.publish(f"{BASE}/gateway/gw-1/presence", b"1", retain=True) in ACCEPTED


def test_no_certificate(site: BrokerSite) -> None:
    assert "handshake_failure" in site.connect(site.context(None))


def test_wrong_ca(site: BrokerSite, tmp_path: Path) -> None:
    other = BrokerSite(tmp_path, site.kind)  # the same names, from another authority of the same name
    other.issue("device", "pump-1")
    refused = site.connect(site.context("pump-1", other.certificates))
    assert "unknown_ca" in refused or "decrypt_error" in refused


def test_the_brokers_certificate_is_not_a_clients(site: BrokerSite) -> None:
    assert "unsupported_certificate" in site.connect(site.context("localhost"))


def test_another_devices_topics_can_not_be_published_to(site: BrokerSite) -> None:
    with site.client("pump-2") as intruder, site.client("gw-1") as gateway:
        gateway.subscribe(f"{BASE}/+/up")
        gateway.subscribe(f"{BASE}/+/presence")
        for topic in (
            "pump-1/up",
            "pump-1/down",
            "pump-1/presence",
            "gateway/gw-1/presence",
            "@gw-1/up",
            "pump-2/down",
        ):
            assert intruder.publish(f"{BASE}/{topic}", b"lie") == REFUSED
        assert intruder.publish("tinyfleet/other/pump-2/up", b"lie") == REFUSED
        assert intruder.publish(f"{BASE}/pump-2/up", b"truth") == "Success"
        while gateway.next() != (f"{BASE}/pump-2/up", b"truth"):
            pass  # retained presence of another test
        assert gateway.heard.empty()


def test_another_devices_topics_can_not_be_listened_to(site: BrokerSite) -> None:
    with site.client("pump-2") as intruder, site.client("pump-1") as victim, site.client("gw-1") as gateway:
        for topic in (f"{BASE}/pump-1/down", f"{BASE}/+/down", f"{BASE}/+/up", f"{BASE}/+/presence", "#", "$SYS/#"):
            intruder.subscribe(topic)  # mosquitto grants it, and then delivers nothing
        victim.subscribe(f"{BASE}/pump-1/down")
        assert gateway.publish(f"{BASE}/pump-1/down", b"for the victim") == "Success"
        assert victim.publish(f"{BASE}/pump-1/up", b"of the victim") == "Success"
        assert victim.publish(f"{BASE}/pump-1/presence", b"1", retain=True) == "Success"
        assert victim.next() == (f"{BASE}/pump-1/down", b"for the victim")  # so the broker has handled it
        assert gateway.publish(f"{BASE}/pump-2/down", b"for the intruder") == "Success"
        own = (f"{BASE}/pump-2/down", b"for the intruder")
        assert intruder.next() == own
        assert set(intruder.heard.queue) <= {own}  # once for each matching subscription


def test_a_gateway_can_not_answer_for_devices_or_for_another_gateway(site: BrokerSite) -> None:
    with site.client("gw-1") as gateway:
        for topic in (f"{BASE}/pump-1/up", f"{BASE}/pump-1/presence", f"{BASE}/gateway/gw-2/presence", "other"):
            assert gateway.publish(topic, b"lie") == REFUSED


def test_a_device_named_like_a_gateway_has_a_devices_rights(site: BrokerSite, tmp_path: Path) -> None:
    ca = site.folder / "ca"
    site.pki(f"issue device gw-1 --ca {ca} -o {tmp_path} --key {site.kind}")
    with MqttParty(site.context("gw-1", tmp_path), site.port) as device:
        assert device.publish(f"{BASE}/pump-1/down", b"order") == REFUSED
        assert device.publish(f"{BASE}/gw-1/up", b"report") in ACCEPTED


def test_another_devices_session_can_not_be_taken_over(site: BrokerSite) -> None:
    with MqttParty(site.context("pump-1"), site.port, client_id="pump-1") as victim:
        victim.subscribe(f"{BASE}/pump-1/down")
        with MqttParty(site.context("pump-2"), site.port, client_id="pump-1"), site.client("gw-1") as gateway:
            gateway.publish(f"{BASE}/pump-1/down", b"question")
            assert victim.next() == (f"{BASE}/pump-1/down", b"question")
            assert victim.client.is_connected()


def test_the_largest_message_and_a_larger_one(site: BrokerSite) -> None:
    with site.client("gw-1") as gateway, site.client("pump-1") as flooding:
        assert gateway.publish(f"{BASE}/pump-1/down", bytes(4096 + 64)) in ACCEPTED
        assert flooding.publish(f"{BASE}/pump-1/up", bytes(5000)) == "Packet too large"


def test_reports_wait_for_a_gateway_that_is_away(site: BrokerSite) -> None:
    reports = 1500  # more than mosquitto keeps by default
    with MqttParty(site.context("gw-1"), site.port, lasting=True) as gateway:
        gateway.subscribe(f"{BASE}/+/up")
    with site.client("pump-1") as device:
        sent = [device.client.publish(f"{BASE}/pump-1/up", b"%d" % number, qos=1) for number in range(reports)]
        for each in sent:
            each.wait_for_publish(WAIT_S)
    with MqttParty(site.context("gw-1"), site.port, lasting=True) as gateway:
        assert [gateway.next()[1] for _ in range(reports)] == [b"%d" % number for number in range(reports)]
    with MqttParty(site.context("gw-1"), site.port):
        pass  # its session ends with it


def test_expired(site: BrokerSite) -> None:
    name = "pump-old"
    site.issue_in_the_past(name)
    assert "certificate_expired" in site.connect(site.context(name))


def test_revoked(site: BrokerSite) -> None:
    assert site.connect(site.context("pump-3")) == "admitted"
    site.pki(f"revoke device pump-3 --ca {site.folder / 'ca'}")
    site.restart()
    assert "certificate_revoked" in site.connect(site.context("pump-3"))
    assert site.connect(site.context("pump-1")) == "admitted"


def test_a_reload_refuses_a_revoked_device_and_leaves_others_connected(site: BrokerSite) -> None:
    site.issue("device", "pump-4")
    with site.client("pump-1") as other:
        context = site.context("pump-4")
        context.maximum_version = ssl.TLSVersion.TLSv1_2  # its refusal has a reason
        assert site.attempt(context) == "admitted"
        site.pki(f"revoke device pump-4 --ca {site.folder / 'ca'}")
        site.reload()
        ends = time.monotonic() + WAIT_S
        while (answer := site.attempt(context)) == "admitted":
            assert time.monotonic() < ends, "the broker has not read the new list"
        assert "certificate_revoked" in answer
        assert other.publish(f"{BASE}/pump-1/up", b"still here") in ACCEPTED


def test_a_revoked_gateway_has_no_rights_left(site: BrokerSite) -> None:
    site.issue("gateway", "gw-2")
    site.restart()
    assert site.connect(site.context("gw-2")) == "admitted"
    site.pki(f"revoke gateway gw-2 --ca {site.folder / 'ca'}")
    site.restart()
    assert "certificate_revoked" in site.connect(site.context("gw-2"))
    assert "@gw-2" not in (site.certificates / "tinyfleet.acl").read_text(encoding="utf-8")


def test_a_renewed_certificate_gets_in(site: BrokerSite) -> None:
    before = (site.certificates / "pump-2.crt").read_bytes()
    site.pki(f"renew {site.certificates / 'pump-2.crt'} --ca {site.folder / 'ca'}")
    assert (site.certificates / "pump-2.crt").read_bytes() != before
    assert site.connect(site.context("pump-2")) == "admitted"


def test_a_device_can_not_play_the_broker(site: BrokerSite) -> None:
    """A device's certificate is for clients only, whatever its name."""
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(site.certificates / "pump-1.crt", site.certificates / "pump-1.key")
    ours = site.context("pump-2")
    ours.check_hostname = False
    answers, questions = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = ours.wrap_bio(answers, questions)
    broker = server.wrap_bio(questions, answers, server_side=True)
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    with pytest.raises(ssl.SSLWantReadError):
        broker.do_handshake()
    with pytest.raises(
        ssl.SSLCertVerificationError, match=r"unsuitable certificate purpose|unsupported certificate purpose"
    ):
        client.do_handshake()
