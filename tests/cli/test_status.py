# SPDX-License-Identifier: Apache-2.0
"""`tinyfleet status`: what is shown of a gateway's folder, with a daemon that works and without."""

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
from tests.cli.known import FAILED, RUNS, Known, known

RUNS_IT = NoChange(DeviceId("pump-1"), "runs wear@1")
SILENT = Blocked(DeviceId("pump-2"), RolloutId("wear"), BlockedReason.SILENT, "not reporting since noon")


@pytest.fixture
def gateway(tmp_path: Path) -> Known:
    return known(tmp_path)


def test_a_gateway_that_never_worked_says_so(gateway: Known) -> None:
    assert "this gateway has not run yet" in gateway.refused("status")


def test_a_database_without_a_pass_shows_that_nothing_was_told(gateway: Known) -> None:
    gateway.state().close()
    assert gateway.tinyfleet("status").output.splitlines() == ["this gateway has told nothing yet", "", "no devices"]
    assert json.loads(gateway.tinyfleet("status", "--output", "json").output)["gateway"] is None


def test_a_database_of_another_release_is_not_read(gateway: Known) -> None:
    gateway.state().close()
    with closing(sqlite3.connect(gateway.folder / "state" / "state.db")) as db:
        db.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
    assert f"has version {len(MIGRATIONS) + 1}" in gateway.refused("status")


def test_what_is_no_database_is_not_read(gateway: Known) -> None:
    gateway.state().close()
    (gateway.folder / "state" / "state.db").write_bytes(b"no database" * 1000)
    assert "are you allowed to read it" in gateway.refused("status")


@pytest.mark.parametrize(
    ("ago", "words"),
    [
        (timedelta(seconds=70), "70 s ago"),
        (timedelta(minutes=3), "3 min ago"),
        (timedelta(hours=5), "5 h ago"),
        (timedelta(days=4), "4 d ago"),
    ],
)
def test_how_long_ago_a_device_was_heard(gateway: Known, ago: timedelta, words: str) -> None:
    gateway.says(RUNS_IT)
    gateway.heard("pump-1", ago)
    assert words[2:] in gateway.tinyfleet("status").output  # the seconds go on


def test_the_table_names_what_is_not_well_and_what_the_models_did(gateway: Known) -> None:
    gateway.says(RUNS_IT, SILENT)
    gateway.heard("pump-1", timedelta(minutes=3))
    told = gateway.tinyfleet("status").output
    assert "1 of 2 devices are where Git wants them" in told
    assert "no daemon works here at the moment" in told
    rows = {line.split()[0]: line for line in told.splitlines() if line}
    assert rows["pump-1"].split()[1:3] == ["wear@1", "Ready"]
    assert rows["pump-2"].split() == [
        "pump-2",
        "wear@1",
        "NotReporting",
        "never",
        *["not", "reporting", "since", "noon"],
    ]
    assert rows["wear@1"].split() == ["wear@1", "1", "120", "7", "1", "2"]


def test_a_model_that_is_not_known_shows_its_digest(gateway: Known) -> None:
    gateway.says(RUNS_IT, model=None)
    assert f"pump-1  {RUNS[:12]}  Ready" in gateway.tinyfleet("status").output


def test_one_device_is_shown_with_all_that_it_said(gateway: Known) -> None:
    gateway.says(RUNS_IT, SILENT)
    gateway.heard("pump-1", timedelta(minutes=3))
    told = gateway.tinyfleet("status", "pump-1").output
    assert told.startswith("pump-1: Ready: ")
    for words in (
        "GOLDEN_VECTORS_FAILED, INFERENCE_FAULT",
        "last error",
        "8192 bytes",
        "1.4.0",
        f"failed {FAILED[:12]}",
    ):
        assert words in told
    assert "under way" not in told
    silent = gateway.tinyfleet("status", "pump-2").output
    assert "NotReporting" in silent
    assert "boots" not in silent  # it never reported


def test_programs_get_every_field(gateway: Known) -> None:
    gateway.says(RUNS_IT, SILENT)
    gateway.heard("pump-1", timedelta(minutes=3))
    told = json.loads(gateway.tinyfleet("status", "--output", "json").output)
    heard, silent = told["devices"]
    assert heard["counters"] == {"boots": 3, "inferences": 120, "anomalies": 7, "faults": 1}
    assert (heard["firmware"], heard["ready"], heard["quarantined"]) == (
        "1.4.0",
        True,
        {FAILED: "the trial failed with -31"},
    )
    assert "counters" not in silent
    assert "firmware" not in silent
    assert (silent["reason"], silent["seenAt"]) == ("NotReporting", None)
    assert told["models"]["wear@1"]["inferences"] == 120
    assert (told["running"], told["live"]) == (False, None)


def test_a_working_daemon_tells_of_the_moment(gateway: Known) -> None:
    gateway.says(RUNS_IT, SILENT)
    gateway.goes_on()
    assert "wear@3" not in gateway.tinyfleet("status").output  # a file that a dead daemon left tells nothing
    with held(gateway.folder / "state"):
        told = gateway.tinyfleet("status").output
        one, other = (gateway.tinyfleet("status", name).output for name in ("pump-1", "pump-2"))
    assert "no daemon works here" not in told
    for words in (
        "building wear@3 for board",
        "can't be built: wear@4 for board: auc is 0.7",
        "line: no such port",
        "line: speaks, not in Git, not served: pump-99",
        "pump-3: 14 messages in its name did not verify: the signature is not the device's",
        "under way: wear@2 is to be transferred",
        "will be tried again: lost: no answer to 6 questions",
    ):
        assert words in told
    assert "under way: wear@2 is to be transferred" in one
    assert "will be tried again: lost: no answer" in other
    assert "mqtt:" not in told  # nothing is wrong with it


def test_a_device_that_is_not_served_is_told_from_one_that_nobody_knows(gateway: Known) -> None:
    gateway.says(RUNS_IT)
    gateway.goes_on()
    with held(gateway.folder / "state"):
        stranger, nobody = (gateway.tinyfleet("status", name) for name in ("pump-99", "pump-98"))
    assert (stranger.exit_code, nobody.exit_code) == (1, 1)
    assert "speaks on a link but is not in Git" in stranger.output
    assert "this gateway serves no device pump-98" in nobody.output


def test_pages_are_the_whole_fleet_once(gateway: Known) -> None:
    gateway.says(RUNS_IT)
    folder = str(gateway.folder / "page")
    for wrong in (("pump-1", "--page", folder), ("--watch", "--page", folder)):
        assert gateway.tinyfleet("status", *wrong).exit_code == 2
    assert gateway.tinyfleet("status", "--page", folder).output.endswith(f"pages: {folder}/index.html\n")
    assert b"runs wear@1" in (Path(folder) / "devices" / "pump-1.html").read_bytes()
