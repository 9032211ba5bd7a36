# SPDX-License-Identifier: Apache-2.0
"""What doctor says of each thing that can be wrong on a machine."""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from reconciler.config import Config, Keys, Mqtt, Notify, Repository, Serial
from reconciler.daemon import checkup, checkup_network
from reconciler.daemon.checkup import Finding, Grade
from reconciler.daemon.exclusive import held


@pytest.fixture
def config(tmp_path: Path) -> Config:
    (tmp_path / "gateway").mkdir()
    return Config("hall", Repository(str(tmp_path / "none.git")), Keys(tmp_path / "gateway"), tmp_path / "state")


def grades(findings: list[Finding]) -> dict[str, Grade]:
    return {finding.what: finding.grade for finding in findings}


def test_a_daemon_is_seen_by_its_lock(config: Config) -> None:
    (idle,) = checkup.daemon(config)
    assert (idle.grade, "systemctl start" in idle.remedy) == (Grade.DOUBTFUL, True)
    with held(config.state_dir):
        (running,) = checkup.daemon(config)
    assert running.found == f"runs as process {os.getpid()}"


def test_a_gateway_without_a_key_is_told_where_to_get_one(config: Config) -> None:
    (finding,) = checkup.keys(config)
    assert finding.grade is Grade.BAD
    assert "tinyfleet keys gateway init" in finding.found


@pytest.mark.parametrize(
    ("left", "grade"),
    [(timedelta(days=-1), Grade.BAD), (timedelta(days=5), Grade.DOUBTFUL), (timedelta(days=300), Grade.GOOD)],
)
def test_what_ends_soon_is_told_before_it_ends(left: timedelta, grade: Grade) -> None:
    assert checkup.expiry("certificate", datetime.now(UTC) + left, "renew it").grade is grade


def test_serial_ports_are_looked_at_and_not_opened(config: Config, tmp_path: Path) -> None:
    master, slave = os.openpty()
    (tmp_path / "file").touch()
    lines = {
        "good": os.ttyname(slave),
        "gone": str(tmp_path / "gone"),
        "file": str(tmp_path / "file"),
        "remote": "socket://localhost:1",
        "virtual": "unix:/none",
    }
    found = grades(list(checkup.serial(replace(config, serial=tuple(Serial(*line) for line in lines.items())))))
    os.close(master)
    os.close(slave)
    assert found == {
        "serial good": Grade.GOOD,
        "serial gone": Grade.BAD,
        "serial file": Grade.BAD,
        "serial remote": Grade.GOOD,
        "serial virtual": Grade.GOOD,
    }


def test_secrets_that_others_may_read_are_found(config: Config) -> None:
    key = config.keys.gateway / "gateway-1.key"
    key.touch(mode=0o640)
    findings = list(checkup.permissions(config))
    wrong = next(finding for finding in findings if finding.what == f"permissions of {key.name}")
    assert (wrong.grade, wrong.remedy) == (Grade.BAD, f"chmod 600 {key}")
    key.chmod(0o600)
    assert set(grades(list(checkup.permissions(config))).values()) == {Grade.GOOD}


def test_a_secret_for_notices_must_be_secret_and_long_enough(config: Config, tmp_path: Path) -> None:
    assert list(checkup.notices(config)) == []
    secret = tmp_path / "secret"
    told = replace(config, notify=Notify("https://hooks.example.org/fleet", secret))
    assert [finding.grade for finding in checkup.notices(told)] == [Grade.BAD]
    secret.touch(mode=0o600)
    secret.write_text("short")
    assert "at least 16" in next(checkup.notices(told)).found
    secret.write_text("0123456789abcdef" * 2)
    assert [finding.grade for finding in checkup.notices(told)] == [Grade.GOOD]
    secret.chmod(0o640)
    assert "chmod 600" in next(checkup.notices(told)).found


def test_room_is_measured_where_the_state_will_be(config: Config) -> None:
    """The state folder is not there before the first start."""
    assert grades(list(checkup.disk(config)))["disk"] is Grade.GOOD
    assert not config.state_dir.exists()


def test_a_clock_is_believed_when_nothing_speaks_against_it(config: Config) -> None:
    (finding,) = checkup.clock(config)
    assert finding.grade is not Grade.BAD


def test_what_can_be_built_here_is_told_without_importing_it(config: Config) -> None:
    (finding,) = checkup.build(config)
    assert finding.grade in {Grade.GOOD, Grade.DOUBTFUL}


def test_a_repository_that_is_not_there_is_told_with_its_reason(config: Config) -> None:
    (finding,) = checkup_network.git(config)
    assert finding.grade is Grade.BAD
    assert "docs/git.md" in finding.remedy


def test_a_gateway_without_a_broker_is_not_asked_for_one(config: Config) -> None:
    assert list(checkup_network.broker(config)) == []


def test_a_broker_that_nobody_runs_and_a_connection_that_is_not_private(config: Config) -> None:
    local = list(checkup_network.broker(replace(config, mqtt=Mqtt("localhost", port=1))))
    assert [finding.remedy for finding in local] == ["is it running, and does the firewall let us through?"]
    far = list(checkup_network.broker(replace(config, mqtt=Mqtt("broker.invalid", port=1))))
    assert "not encrypted" in far[0].found
    assert far[1].grade is Grade.BAD


def test_beside_a_daemon_the_broker_is_not_connected_to(config: Config) -> None:
    """Brokers that take the certificate's name for the client's would end the daemon's own connection."""
    with held(config.state_dir):
        (finding,) = checkup_network.broker(replace(config, mqtt=Mqtt("localhost", port=1)))
    assert finding.found == "the daemon does not use the broker"
