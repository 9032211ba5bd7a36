# SPDX-License-Identifier: Apache-2.0
"""The checks of `tinyfleet doctor` beyond this machine: the fleet repository and the broker."""

from __future__ import annotations

import socket
import ssl
import tempfile
import threading
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from paho.mqtt.client import Client, ConnectFlags
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from reconciler.config import GatewayConfig, MqttConfig
from reconciler.daemon import runtime_status
from reconciler.daemon.assembly import policy_of, remote_of
from reconciler.daemon.certificate_watch import BROKER
from reconciler.daemon.doctor import CheckResult, CheckSeverity, expiry, failed, passed
from reconciler.daemon.instance_lock import holder
from reconciler.devices.mqtt_tls import certificate_ends
from reconciler.engine.links import MQTT
from reconciler.errors import FleetError
from reconciler.git.mirror import Mirror
from reconciler.git.remote_settings import GitLimits
from reconciler.git.signatures import CommitVerifier
from reconciler.report.remedies import REMEDIES

WAIT_S = 10.0
LOOPBACK = ("127.0.0.1", "::1", "localhost")


def git(config: GatewayConfig) -> Iterator[CheckResult]:
    """Fetch the newest commit into a temporary folder and check that an allowed signer signed it."""
    with tempfile.TemporaryDirectory(prefix="tinyfleet-") as folder:
        limits = GitLimits(ask_s=config.repository.timeout_s)
        try:
            with Mirror(Path(folder) / "mirror.git", remote_of(config), limits) as mirror:
                head = mirror.fetch()
                yield passed("git", f"{config.repository.branch} of {config.repository.url} is at {head[:12]}")
                verifier = CommitVerifier(policy_of(config), Path(folder) / "signers")
                signers = verifier.verify(mirror.git, (head,), limit_s=limits.verify_s)
        except FleetError as failure:
            yield failed("git", f"{failure.reason}: {failure}", f"see {failure.reason} in docs/git.md")
            return
    if config.signers.policy == "off":
        remedy = 'set `policy = "every"` in [signers], and list the allowed signers'
        yield failed("signers", "commits are accepted without a signature", remedy)
    else:
        yield passed("signers", f"the newest commit is signed by {', '.join(signer.name for signer in signers)}")


def broker(config: GatewayConfig) -> Iterator[CheckResult]:
    """Connect to the broker as the daemon does, unless the daemon is running."""
    mqtt = config.mqtt
    if mqtt is None:
        return
    if mqtt.ca is None and mqtt.host not in LOOPBACK:
        yield failed("broker", "the connection leaves this machine and is not encrypted", "set `ca` in [mqtt]")
    if holder(config.state_dir) is not None:
        # The broker uses the certificate's name as the client id: a second connection would end the daemon's.
        yield _reported_by_daemon(config)
        return
    yield from _connect("broker", f"tinyfleet-{config.name}", mqtt)


def uplinks(config: GatewayConfig) -> Iterator[CheckResult]:
    """Connect to the brokers of other gateways as the daemon does, unless the daemon is running."""
    running = holder(config.state_dir) is not None
    status = (runtime_status.read(config.state_dir) or {}).get("uplinks", {}) if running else {}
    for each in config.uplink:
        check = f"uplink to {each.gateway}"
        if not running:
            address = MqttConfig(each.host, each.port, each.ca, each.certificate, each.key)
            yield from _connect(check, f"tinyfleet-uplink-{config.name}", address)
        elif each.gateway not in status:
            remedy = f"add {each.gateway} to `forward` of this gateway in Git, or remove the uplink"
            yield CheckResult(check, CheckSeverity.WARNING, "the daemon does not use it", remedy)
        elif status[each.gateway] is not None:
            remedy = "stop the daemon and run doctor again for details"
            yield failed(check, f"the daemon reports: {status[each.gateway]}", remedy)
        else:
            yield passed(check, "the gateway answers the daemon")


def _reported_by_daemon(config: GatewayConfig) -> CheckResult:
    status = runtime_status.read(config.state_dir) or {}
    link = status.get("links", {}).get(MQTT)
    if link is None:
        remedy = "no device in Git has an MQTT link: add one, or remove [mqtt]"
        return CheckResult("broker", CheckSeverity.WARNING, "the daemon does not use the broker", remedy)
    if link["trouble"]:
        return failed(
            "broker", f"the daemon reports: {link['trouble']}", "stop the daemon and run doctor again for details"
        )
    return passed("broker", "the daemon is connected")


def _connect(check: str, client_id: str, mqtt: MqttConfig) -> Iterator[CheckResult]:
    section = "[mqtt]" if check == "broker" else "[[uplink]]"
    address = f"{mqtt.host}:{mqtt.port}"
    answered = threading.Event()
    reasons: list[ReasonCode] = []
    certificates: list[datetime | None] = []

    def on_connect(
        _client: Client, _data: object, _flags: ConnectFlags, reason: ReasonCode, _more: Properties | None
    ) -> None:
        reasons.append(reason)
        answered.set()

    def on_socket_open(_client: Client, _data: object, opened: object) -> None:
        if isinstance(opened, ssl.SSLSocket):
            certificates.append(certificate_ends(opened))

    client = Client(CallbackAPIVersion.VERSION2, client_id=client_id, protocol=MQTTProtocolVersion.MQTTv5)
    client.on_connect = on_connect
    client.on_socket_open = on_socket_open
    try:
        if mqtt.ca is not None:
            client.tls_set_context(_tls(mqtt))
        client.connect(mqtt.host, mqtt.port)
        client.loop_start()
        answered.wait(WAIT_S)
    except ssl.SSLError as error:
        yield failed(check, f"{address}: TLS: {error.reason or error}", f"compare ca, certificate and key in {section}")
        return
    except socket.gaierror as error:
        yield failed(check, f"{address}: {error.strerror}", f"correct `host` in {section}, or the DNS settings")
        return
    except OSError as error:
        wrong = error.strerror or error
        yield failed(check, f"{address}: {wrong}", "is it running, and does the firewall allow this?")
        return
    finally:
        client.disconnect()
        client.loop_stop()
    yield from (
        expiry(BROKER if check == "broker" else f"broker of the {check}", ends, REMEDIES["CertificateExpiring"].text)
        for ends in certificates[:1]
        if ends
    )
    if not reasons:
        yield failed(check, f"{address} does not answer", "is another service listening there?")
    elif reasons[0].is_failure:
        remedy = "see the broker's log and its access list"
        yield failed(check, f"{address} refused the connection: {reasons[0]}", remedy)
    else:
        yield passed(check, f"connected to {address}")


def _tls(mqtt: MqttConfig) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(mqtt.ca))
    if mqtt.certificate is not None and mqtt.key is not None:
        context.load_cert_chain(mqtt.certificate, mqtt.key)
    return context
