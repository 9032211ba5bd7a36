# SPDX-License-Identifier: Apache-2.0
"""What doctor says of each thing that can be wrong on a machine."""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from reconciler.config import GatewayConfig, KeysConfig, MqttConfig, RepositoryConfig, SerialConfig, WebhookConfig
from reconciler.daemon import doctor, doctor_network
from reconciler.daemon.doctor import CheckResult, Grade
from reconciler.daemon.instance_lock import held


@pytest.fixture
def config(tmp_path: Path) -> GatewayConfig:
    (tmp_path / "gateway").mkdir()
    return GatewayConfig(
        "hall", RepositoryConfig(str(tmp_path / "none.git")), KeysConfig(tmp_path / "gateway"), tmp_path / "state"
    )


def grades(findings: list[CheckResult]) -> dict[str, Grade]:
    return {finding.what: finding.grade for finding in findings}


def test_a_daemon_is_seen_by_its_lock(config: GatewayConfig) -> None:
    (idle,) = doctor.daemon(config)
    assert (idle.grade, "systemctl start" in idle.remedy) == (Grade.DOUBTFUL, True)
    with held(config.state_dir):
        (running,) = doctor.daemon(config)
    assert running.found == f"runs as process {os.getpid()}"


def test_a_gateway_without_a_key_is_told_where_to_get_one(config: GatewayConfig) -> None:
    (finding,) = doctor.keys(config)
    assert finding.grade is Grade.BAD
    assert "tinyfleet keys gateway init" in finding.found


@pytest.mark.parametrize(
    ("left", "grade"),
    [(timedelta(days=-1), Grade.BAD), (timedelta(days=5), Grade.DOUBTFUL), (timedelta(days=300), Grade.GOOD)],
)
def test_what_ends_soon_is_told_before_it_ends(left: timedelta, grade: Grade) -> None:
    assert doctor.expiry("certificate", datetime.now(UTC) + left, "renew it").grade is grade


def test_serial_ports_are_looked_at_and_not_opened(config: GatewayConfig, tmp_path: Path) -> None:
    master, slave = os.openpty()
    (tmp_path / "file").touch()
    lines = {
        "good": os.ttyname(slave),
        "gone": str(tmp_path / "gone"),
        "file": str(tmp_path / "file"),
        "remote": "socket://localhost:1",
        "virtual": "unix:/none",
    }
    found = grades(list(doctor.serial(replace(config, serial=tuple(SerialConfig(*line) for line in lines.items())))))
    os.close(master)
    os.close(slave)
    assert found == {
        "serial good": Grade.GOOD,
        "serial gone": Grade.BAD,
        "serial file": Grade.BAD,
        "serial remote": Grade.GOOD,
        "serial virtual": Grade.GOOD,
    }


def test_secrets_that_others_may_read_are_found(config: GatewayConfig) -> None:
    key = config.keys.gateway / "gateway-1.key"
    key.touch(mode=0o640)
    findings = list(doctor.permissions(config))
    wrong = next(finding for finding in findings if finding.what == f"permissions of {key.name}")
    assert (wrong.grade, wrong.remedy) == (Grade.BAD, f"chmod 600 {key}")
    key.chmod(0o600)
    assert set(grades(list(doctor.permissions(config))).values()) == {Grade.GOOD}


def test_a_secret_for_notices_must_be_secret_and_long_enough(config: GatewayConfig, tmp_path: Path) -> None:
    assert list(doctor.notices(config)) == []
    secret = tmp_path / "secret"
    told = replace(config, webhook=WebhookConfig("https://hooks.example.org/fleet", secret))
    assert [finding.grade for finding in doctor.notices(told)] == [Grade.BAD]
    secret.touch(mode=0o600)
    secret.write_text("short")
    assert "at least 16" in next(doctor.notices(told)).found
    secret.write_text("0123456789abcdef" * 2)
    assert [finding.grade for finding in doctor.notices(told)] == [Grade.GOOD]
    secret.chmod(0o640)
    assert "chmod 600" in next(doctor.notices(told)).found


def test_room_is_measured_where_the_state_will_be(config: GatewayConfig) -> None:
    """The state folder is not there before the first start."""
    assert grades(list(doctor.disk(config)))["disk"] is Grade.GOOD
    assert not config.state_dir.exists()


def test_a_clock_is_believed_when_nothing_speaks_against_it(config: GatewayConfig) -> None:
    (finding,) = doctor.clock(config)
    assert finding.grade is not Grade.BAD


def test_what_can_be_built_here_is_told_without_importing_it(config: GatewayConfig) -> None:
    (finding,) = doctor.build(config)
    assert finding.grade in {Grade.GOOD, Grade.DOUBTFUL}


def test_a_repository_that_is_not_there_is_told_with_its_reason(config: GatewayConfig) -> None:
    (finding,) = doctor_network.git(config)
    assert finding.grade is Grade.BAD
    assert "docs/git.md" in finding.remedy


def test_a_gateway_without_a_broker_is_not_asked_for_one(config: GatewayConfig) -> None:
    assert list(doctor_network.broker(config)) == []


def test_a_broker_that_nobody_runs_and_a_connection_that_is_not_private(config: GatewayConfig) -> None:
    local = list(doctor_network.broker(replace(config, mqtt=MqttConfig("localhost", port=1))))
    assert [finding.remedy for finding in local] == ["is it running, and does the firewall let us through?"]
    far = list(doctor_network.broker(replace(config, mqtt=MqttConfig("broker.invalid", port=1))))
    assert "not encrypted" in far[0].found
    assert far[1].grade is Grade.BAD


def test_beside_a_daemon_the_broker_is_not_connected_to(config: GatewayConfig) -> None:
    """Brokers that take the certificate's name for the client's would end the daemon's own connection."""
    with held(config.state_dir):
        (finding,) = doctor_network.broker(replace(config, mqtt=MqttConfig("localhost", port=1)))
    assert finding.found == "the daemon does not use the broker"
