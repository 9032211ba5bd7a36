# SPDX-License-Identifier: Apache-2.0
"""`tinyfleet status`, with and without a running daemon."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from reconciler.daemon.instance_lock import held
from reconciler.engine.state.schema import MIGRATIONS
from reconciler.model import Blocked, BlockedReason, DeviceId, NoChange, RolloutId
from tests.cli.gateway_folder import FAILED, RUNS, GatewayFolder, gateway_folder

RUNS_IT = NoChange(DeviceId("pump-1"), "runs wear@1")
SILENT = Blocked(DeviceId("pump-2"), RolloutId("wear"), BlockedReason.SILENT, "not reporting since noon")


@pytest.fixture
def gateway(tmp_path: Path) -> GatewayFolder:
    return gateway_folder(tmp_path)


def test_a_gateway_that_has_not_run_yet(gateway: GatewayFolder) -> None:
    assert "this gateway has not run yet" in gateway.failure("status")


def test_a_database_without_a_pass(gateway: GatewayFolder) -> None:
    gateway.state().close()
    assert gateway.tinyfleet("status").output.splitlines() == ["this gateway has not reported yet", "", "no devices"]
    assert json.loads(gateway.tinyfleet("status", "--output", "json").output)["gateway"] is None


def test_a_database_of_another_release_is_not_read(gateway: GatewayFolder) -> None:
    gateway.state().close()
    with closing(sqlite3.connect(gateway.folder / "state" / "state.db")) as db:
        db.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
    assert f"has version {len(MIGRATIONS) + 1}" in gateway.failure("status")


def test_a_file_that_is_not_a_database_is_not_read(gateway: GatewayFolder) -> None:
    gateway.state().close()
    (gateway.folder / "state" / "state.db").write_bytes(b"no database" * 1000)
    assert "are you allowed to read it" in gateway.failure("status")


@pytest.mark.parametrize(
    ("ago", "text"),
    [
        (timedelta(seconds=70), "70 s ago"),
        (timedelta(minutes=3), "3 min ago"),
        (timedelta(hours=5), "5 h ago"),
        (timedelta(days=4), "4 d ago"),
    ],
)
def test_the_time_since_the_last_report(gateway: GatewayFolder, ago: timedelta, text: str) -> None:
    gateway.publish(RUNS_IT)
    gateway.record_report("pump-1", ago)
    assert text[2:] in gateway.tinyfleet("status").output  # seconds pass during the test


def test_the_table_shows_problems_and_totals(gateway: GatewayFolder) -> None:
    gateway.publish(RUNS_IT, SILENT)
    gateway.record_report("pump-1", timedelta(minutes=3))
    output = gateway.tinyfleet("status").output
    assert "1 of 2 devices ready" in output
    assert "the daemon is not running" in output
    rows = {line.split()[0]: line for line in output.splitlines() if line}
    assert rows["pump-1"].split()[1:3] == ["wear@1", "Ready"]
    assert rows["pump-2"].split() == [
        "pump-2",
        "wear@1",
        "NotReporting",
        "never",
        *["not", "reporting", "since", "noon"],
    ]
    assert rows["wear@1"].split() == ["wear@1", "1", "120", "7", "1", "2", "3", "min"]


def test_an_unknown_model_is_shown_by_its_digest(gateway: GatewayFolder) -> None:
    gateway.publish(RUNS_IT, model=None)
    assert f"pump-1  {RUNS[:12]}  Ready" in gateway.tinyfleet("status").output


def test_one_device_is_shown_with_its_last_report(gateway: GatewayFolder) -> None:
    gateway.publish(RUNS_IT, SILENT)
    gateway.record_report("pump-1", timedelta(minutes=3))
    output = gateway.tinyfleet("status", "pump-1").output
    assert output.startswith("pump-1: Ready: ")
    for text in (
        "GOLDEN_VECTORS_FAILED, INFERENCE_FAULT",
        "last error",
        "8192 bytes",
        "1.4.0",
        f"failed {FAILED[:12]}",
    ):
        assert text in output
    assert "in progress" not in output
    silent = gateway.tinyfleet("status", "pump-2").output
    assert "NotReporting" in silent
    assert "boots" not in silent  # it never reported


def test_json_has_every_field(gateway: GatewayFolder) -> None:
    gateway.publish(RUNS_IT, SILENT)
    gateway.record_report("pump-1", timedelta(minutes=3))
    document = json.loads(gateway.tinyfleet("status", "--output", "json").output)
    reported, silent = document["devices"]
    assert reported["counters"] == {"boots": 3, "inferences": 120, "anomalies": 7, "faults": 1}
    assert (reported["firmware"], reported["ready"], reported["quarantined"]) == (
        "1.4.0",
        True,
        {FAILED: "the trial failed with -31"},
    )
    assert "counters" not in silent
    assert "firmware" not in silent
    assert (silent["reason"], silent["seenAt"]) == ("NotReporting", None)
    assert document["models"]["wear@1"]["inferences"] == 120
    assert (document["running"], document["live"]) == (False, None)


def test_a_running_daemon_adds_its_runtime_status(gateway: GatewayFolder) -> None:
    gateway.publish(RUNS_IT, SILENT)
    gateway.write_runtime_status()
    assert "wear@3" not in gateway.tinyfleet("status").output  # the file of a dead daemon does not count
    with held(gateway.folder / "state"):
        output = gateway.tinyfleet("status").output
        one, other = (gateway.tinyfleet("status", name).output for name in ("pump-1", "pump-2"))
    assert "not running" not in output
    for text in (
        "building wear@3 for board",
        "build failed: BuildGateFailed: auc is 0.7",
        "line: no such port",
        "line: unknown devices, not in Git and not served: pump-99",
        "pump-3: 14 messages in its name failed verification: the signature is not the device's",
        "in progress: wear@2 is to be transferred",
        "waiting to retry: lost: no answer to 6 questions",
    ):
        assert text in output
    assert "in progress: wear@2 is to be transferred" in one
    assert "waiting to retry: lost: no answer" in other
    assert "mqtt:" not in output  # it has no problem


def test_an_unknown_device_on_a_link_differs_from_one_that_does_not_exist(gateway: GatewayFolder) -> None:
    gateway.publish(RUNS_IT)
    gateway.write_runtime_status()
    with held(gateway.folder / "state"):
        unknown, missing = (gateway.failure("status", name) for name in ("pump-99", "pump-98"))
    assert "reports on a link but is not in Git" in unknown
    assert "no device of this gateway named pump-98; did you mean `pump-1`?" in missing


def test_pages_show_the_whole_fleet(gateway: GatewayFolder) -> None:
    gateway.publish(RUNS_IT)
    folder = str(gateway.folder / "page")
    page = ("--output", "html", "--out", folder)
    for wrong in (("pump-1", *page), ("--watch", *page), ("--output", "html"), ("--out", folder)):
        assert gateway.tinyfleet("status", *wrong).exit_code == 2
    assert gateway.tinyfleet("status", *page).output.endswith(f"pages, start with {folder}/index.html\n")
    assert b"runs wear@1" in (Path(folder) / "devices" / "pump-1.html").read_bytes()
