# SPDX-License-Identifier: Apache-2.0
"""The checks of `tinyfleet doctor`."""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from reconciler.compiler.sandbox import can_isolate_network
from reconciler.config import (
    AutomationConfig,
    GatewayConfig,
    KeysConfig,
    MqttConfig,
    RepositoryConfig,
    SerialConfig,
    SignersConfig,
    WebhookConfig,
)
from reconciler.daemon import doctor, doctor_network
from reconciler.daemon.doctor import CheckResult, CheckSeverity
from reconciler.daemon.instance_lock import held
from tests.git.forge import make_ssh_key


@pytest.fixture
def config(tmp_path: Path) -> GatewayConfig:
    (tmp_path / "gateway").mkdir()
    return GatewayConfig(
        "hall", RepositoryConfig(str(tmp_path / "none.git")), KeysConfig(tmp_path / "gateway"), tmp_path / "state"
    )


def severities(findings: list[CheckResult]) -> dict[str, CheckSeverity]:
    return {finding.check: finding.severity for finding in findings}


def test_a_running_daemon_is_detected_by_its_lock(config: GatewayConfig) -> None:
    (idle,) = doctor.daemon(config)
    assert (idle.severity, "systemctl start" in idle.remedy) == (CheckSeverity.WARNING, True)
    with held(config.state_dir):
        (running,) = doctor.daemon(config)
    assert running.message == f"running as process {os.getpid()}"


def test_a_missing_gateway_key_is_reported_with_a_remedy(config: GatewayConfig) -> None:
    (finding,) = doctor.keys(config)
    assert finding.severity is CheckSeverity.ERROR
    assert "tinyfleet keys gateway init" in finding.message


@pytest.mark.parametrize(
    ("left", "severity"),
    [
        (timedelta(days=-1), CheckSeverity.ERROR),
        (timedelta(days=5), CheckSeverity.WARNING),
        (timedelta(days=300), CheckSeverity.OK),
    ],
)
def test_expiry_dates_are_classified(left: timedelta, severity: CheckSeverity) -> None:
    assert doctor.expiry("certificate", datetime.now(UTC) + left, "renew it").severity is severity


def test_serial_ports_are_checked_without_opening_them(config: GatewayConfig, tmp_path: Path) -> None:
    master, slave = os.openpty()
    (tmp_path / "file").touch()
    lines = {
        "good": os.ttyname(slave),
        "gone": str(tmp_path / "gone"),
        "file": str(tmp_path / "file"),
        "remote": "socket://localhost:1",
        "virtual": "unix:/none",
    }
    ports = tuple(SerialConfig(*line) for line in lines.items())
    found = severities(list(doctor.serial(replace(config, serial=ports))))
    os.close(master)
    os.close(slave)
    assert found == {
        "serial good": CheckSeverity.OK,
        "serial gone": CheckSeverity.ERROR,
        "serial file": CheckSeverity.ERROR,
        "serial remote": CheckSeverity.OK,
        "serial virtual": CheckSeverity.OK,
    }


def test_secrets_that_others_can_read_are_reported(config: GatewayConfig) -> None:
    key = config.keys.gateway / "gateway-1.key"
    key.touch(mode=0o640)
    findings = list(doctor.permissions(config))
    wrong = next(finding for finding in findings if finding.check == f"permissions of {key.name}")
    assert (wrong.severity, wrong.remedy) == (CheckSeverity.ERROR, f"chmod 600 {key}")
    key.chmod(0o600)
    assert set(severities(list(doctor.permissions(config))).values()) == {CheckSeverity.OK}


def test_the_webhook_secret_must_be_private_and_long_enough(config: GatewayConfig, tmp_path: Path) -> None:
    assert list(doctor.receivers(config)) == []
    secret = tmp_path / "secret"
    configured = replace(config, webhook=WebhookConfig("https://hooks.example.org/fleet", secret))
    assert [finding.severity for finding in doctor.receivers(configured)] == [CheckSeverity.ERROR]
    secret.touch(mode=0o600)
    secret.write_text("short")
    assert "at least 16" in next(doctor.receivers(configured)).message
    secret.write_text("0123456789abcdef" * 2)
    assert [finding.severity for finding in doctor.receivers(configured)] == [CheckSeverity.OK]
    secret.chmod(0o640)
    assert "chmod 600" in next(doctor.receivers(configured)).message


def test_the_keys_of_gateways_are_checked_against_those_of_people(config: GatewayConfig, tmp_path: Path) -> None:
    assert list(doctor.automation(config)) == []
    ours, ada = make_ssh_key(tmp_path, "automation_key"), make_ssh_key(tmp_path, "ada")
    gateways, people = tmp_path / "automation", tmp_path / "allowed_signers"
    people.write_text(f"ada@example.org {ada.public}\n")
    configured = replace(
        config, signers=SignersConfig(allowed_signers=people), automation=AutomationConfig(gateways, ours.path)
    )
    (unreadable,) = doctor.automation(configured)
    assert (unreadable.severity, "cannot read" in unreadable.message) == (CheckSeverity.ERROR, True)
    gateways.write_text(f"hall-2 {ours.public}\n")
    (unlisted,) = doctor.automation(configured)
    assert (unlisted.severity, "is not listed for hall" in unlisted.message) == (CheckSeverity.ERROR, True)
    gateways.write_text(f"automation@hall {ours.public}\n")
    (good,) = doctor.automation(configured)
    assert (good.severity, "1 keys of gateways" in good.message) == (CheckSeverity.OK, True)
    people.write_text(f"ada@example.org {ours.public}\n")
    (both,) = doctor.automation(configured)
    assert (both.severity, "counts as a gateway's" in both.message) == (CheckSeverity.ERROR, True)
    (reader,) = doctor.automation(replace(configured, signers=SignersConfig(), automation=AutomationConfig(gateways)))
    assert (reader.severity, "proposes nothing" in reader.message) == (CheckSeverity.OK, True)


def test_the_automation_key_is_a_secret_and_its_signers_are_trusted_files(
    config: GatewayConfig, tmp_path: Path
) -> None:
    key, gateways = tmp_path / "automation_key", tmp_path / "automation"
    key.touch(mode=0o640)
    gateways.touch()
    gateways.chmod(0o664)
    found = severities(list(doctor.permissions(replace(config, automation=AutomationConfig(gateways, key)))))
    wrong = {"permissions of automation_key": CheckSeverity.ERROR, "permissions of automation": CheckSeverity.ERROR}
    assert found.items() >= wrong.items()


def test_free_space_is_measured_where_the_state_will_be(config: GatewayConfig) -> None:
    """The state folder does not exist before the first start."""
    assert severities(list(doctor.disk(config)))["disk"] is CheckSeverity.OK
    assert not config.state_dir.exists()


def test_a_clock_without_contradiction_is_accepted(config: GatewayConfig) -> None:
    (finding,) = doctor.clock(config)
    assert finding.severity is not CheckSeverity.ERROR


def test_buildable_kinds_are_detected_without_importing(config: GatewayConfig) -> None:
    (finding,) = doctor.build(config)
    assert finding.severity in {CheckSeverity.OK, CheckSeverity.WARNING}


def test_a_missing_repository_is_reported_with_its_reason(config: GatewayConfig) -> None:
    (finding,) = doctor_network.git(config)
    assert finding.severity is CheckSeverity.ERROR
    assert "docs/git.md" in finding.remedy


def test_no_broker_check_without_a_configured_broker(config: GatewayConfig) -> None:
    assert list(doctor_network.broker(config)) == []


def test_an_unreachable_broker_and_an_unencrypted_connection(config: GatewayConfig) -> None:
    local = list(doctor_network.broker(replace(config, mqtt=MqttConfig("localhost", port=1))))
    assert [finding.remedy for finding in local] == ["is it running, and does the firewall allow this?"]
    far = list(doctor_network.broker(replace(config, mqtt=MqttConfig("broker.invalid", port=1))))
    assert "not encrypted" in far[0].message
    assert far[1].severity is CheckSeverity.ERROR


def test_the_broker_is_not_contacted_while_the_daemon_runs(config: GatewayConfig) -> None:
    """Brokers that use the certificate's name as the client id would end the daemon's own connection."""
    with held(config.state_dir):
        (finding,) = doctor_network.broker(replace(config, mqtt=MqttConfig("localhost", port=1)))
    assert finding.message == "the daemon does not use the broker"


def test_a_system_without_network_namespaces_is_reported(
    config: GatewayConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    can_isolate_network.cache_clear()
    monkeypatch.setenv("PATH", "/nowhere")  # as if unshare were missing
    (finding,) = doctor.sandbox(config)
    can_isolate_network.cache_clear()
    assert finding.severity is doctor.CheckSeverity.WARNING
    assert "network namespaces" in finding.message
    assert finding.remedy
