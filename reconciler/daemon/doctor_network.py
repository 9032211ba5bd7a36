# SPDX-License-Identifier: Apache-2.0
"""What `tinyfleet doctor` looks at beyond this machine: the fleet repository, and the broker."""

from __future__ import annotations

import socket
import ssl
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

from cryptography import x509
from paho.mqtt.client import Client, ConnectFlags
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from reconciler.config import GatewayConfig, MqttConfig
from reconciler.daemon import runtime_status
from reconciler.daemon.assembly import policy_of, remote_of
from reconciler.daemon.doctor import CheckResult, Grade, bad, expiry, good
from reconciler.daemon.instance_lock import holder
from reconciler.engine.links import MQTT
from reconciler.errors import FleetError
from reconciler.git.mirror import Mirror
from reconciler.git.remote import GitLimits
from reconciler.git.signatures import CommitVerifier

WAIT_S = 10.0
LOOPBACK = ("127.0.0.1", "::1", "localhost")


def git(config: GatewayConfig) -> Iterator[CheckResult]:
    """Fetch the newest commit into a folder of its own and see whether its signature is one that is allowed."""
    with tempfile.TemporaryDirectory(prefix="tinyfleet-") as folder:
        limits = GitLimits(ask_s=config.repository.timeout_s)
        try:
            with Mirror(Path(folder) / "mirror.git", remote_of(config), limits) as mirror:
                head = mirror.fetch()
                yield good("git", f"{config.repository.branch} of {config.repository.url} is at {head[:12]}")
                verifier = CommitVerifier(policy_of(config), Path(folder) / "signers")
                signers = verifier.verify(mirror.git, (head,), limit_s=limits.verify_s)
        except FleetError as failure:
            yield bad("git", f"{failure.reason}: {failure}", f"docs/git.md tells what to do about {failure.reason}")
            return
    if config.signers.policy == "off":
        remedy = "set `policy` in [signers] to every, and name the allowed signers"
        yield bad("signers", "any commit of anybody is believed", remedy)
    else:
        yield good("signers", f"the newest commit is signed by {', '.join(signer.name for signer in signers)}")


def broker(config: GatewayConfig) -> Iterator[CheckResult]:
    """Connect to the broker as the gateway does, unless its daemon is connected."""
    mqtt = config.mqtt
    if mqtt is None:
        return
    if mqtt.ca is None and mqtt.host not in LOOPBACK:
        yield bad("broker", "the connection leaves this machine and is not encrypted", "name `ca` in [mqtt]")
    if mqtt.certificate is not None and mqtt.certificate.exists():
        certificate = x509.load_pem_x509_certificate(mqtt.certificate.read_bytes())
        yield expiry("broker certificate", certificate.not_valid_after_utc, "issue a new one: `tinyfleet pki`")
    if holder(config.state_dir) is not None:
        # Brokers take the certificate's name for the client's: a second connection would end the daemon's.
        yield _told_by_daemon(config)
        return
    yield _connected(config.name, mqtt)


def _told_by_daemon(config: GatewayConfig) -> CheckResult:
    told = runtime_status.read(config.state_dir) or {}
    link = told.get("links", {}).get(MQTT)
    if link is None:
        return CheckResult(
            "broker", Grade.DOUBTFUL, "the daemon does not use the broker", "no device in Git hangs on it"
        )
    if link["trouble"]:
        return bad("broker", f"the daemon says: {link['trouble']}", "stop the daemon and ask again to learn more")
    return good("broker", "the daemon is connected")


def _connected(gateway: str, mqtt: MqttConfig) -> CheckResult:
    where = f"{mqtt.host}:{mqtt.port}"
    answered = threading.Event()
    reasons: list[ReasonCode] = []

    def on_connect(
        _client: Client, _data: object, _flags: ConnectFlags, reason: ReasonCode, _more: Properties | None
    ) -> None:
        reasons.append(reason)
        answered.set()

    name = f"tinyfleet-{gateway}"
    client = Client(CallbackAPIVersion.VERSION2, client_id=name, protocol=MQTTProtocolVersion.MQTTv5)
    client.on_connect = on_connect
    try:
        if mqtt.ca is not None:
            client.tls_set_context(_tls(mqtt))
        client.connect(mqtt.host, mqtt.port)
        client.loop_start()
        answered.wait(WAIT_S)
    except ssl.SSLError as error:
        return bad("broker", f"{where}: TLS: {error.reason or error}", "compare ca, certificate and key in [mqtt]")
    except socket.gaierror as error:
        return bad("broker", f"{where}: {error.strerror}", "correct `host` in [mqtt], or the name server")
    except OSError as error:
        return bad(
            "broker", f"{where}: {error.strerror or error}", "is it running, and does the firewall let us through?"
        )
    finally:
        client.disconnect()
        client.loop_stop()
    if not reasons:
        return bad("broker", f"{where} does not answer", "is another service listening there?")
    if reasons[0].is_failure:
        return bad("broker", f"{where} refused us: {reasons[0]}", "the broker's log and its list of users tell why")
    return good("broker", f"connected to {where}")


def _tls(mqtt: MqttConfig) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(mqtt.ca))
    if mqtt.certificate is not None and mqtt.key is not None:
        context.load_cert_chain(mqtt.certificate, mqtt.key)
    return context
