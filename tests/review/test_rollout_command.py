# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from reconciler.cli.inputs.repositories import find_repository
from reconciler.load import CheckCache
from reconciler.model import DeviceId, GatewayId, RolloutId, RolloutReport
from reconciler.plan.revision import revision_of
from reconciler.report.device_status import PassStamp
from reconciler.report.rollout_file import rollout_file
from reconciler.report.rollout_status import RolloutFacts, WaveFacts, rollout_status
from reconciler.review.rollout_history import past_rollouts
from tests.review.changes import (
    CAREFUL,
    NOON,
    FleetHistory,
    device_status_file,
    fleet_files,
    fleet_history,
    gateway_status_files,
    rollout_document,
    run,
    silent,
)


def rollout_status_file(  # noqa: PLR0913 - one parameter for each field of a status
    *,
    done: int = 0,
    failed: int = 0,
    missing: int = 0,
    stopped: str = "",
    held: str = "",
    model: str = "wear@2",
    revision: str = "w2",
) -> dict[str, bytes]:
    """Write the status of a rollout over twelve pumps, with a canary and the rest."""
    names = [DeviceId(f"pump-{number:02}") for number in range(12)]
    ends = [done, done + failed, done + failed + missing]
    word = RolloutReport(
        revision,
        done=frozenset(names[: ends[0]]),
        failed=frozenset(names[ends[0] : ends[1]]),
        missing=frozenset(names[ends[1] : ends[2]]),
        due=frozenset(names[ends[2] :]),
        stopped=stopped,
        at=NOON,
    )
    waves = (
        WaveFacts("canary", 1, min(done, 1), 0, 0, 0, 0, open=True),
        WaveFacts("rest", 11, max(0, done - 1), 0, 12 - ends[2], failed, missing, open=done > 0),
    )
    facts = RolloutFacts(
        RolloutId("wear"), model, word, waves, complete=done == 12, waiting="wave 2 (rest): 3 of 11 are done", held=held
    )
    return {"rollouts/wear.yaml": rollout_file(rollout_status(facts, PassStamp(NOON, "c" * 40), None))}


@pytest.fixture
def repository(tmp_path: Path) -> FleetHistory:
    made = fleet_history(tmp_path)
    made.commit({**fleet_files(), "rollout.yaml": rollout_document("2", CAREFUL)})
    return made


def shown(*arguments: str | Path) -> Any:  # noqa: ANN401 - JSON
    result = run("rollout", *arguments, "--output", "json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_a_rollout_without_status_shows_its_waves(repository: FleetHistory) -> None:
    (row,) = shown("list", repository.path)
    assert (row["state"], row["devices"], row["done"]) == ("unknown", 12, 0)
    assert [wave["name"] for wave in row["waves"]] == ["canary", "half", "rest"]
    assert row["secondsLeft"] is not None


def test_progress_and_time_left(repository: FleetHistory) -> None:
    status = rollout_status_file(done=4)
    head = repository.git("rev-parse", "HEAD")
    for number in range(12):
        status |= device_status_file(f"pump-{number:02}", head, model="wear@2" if number < 4 else "wear@1")
    repository.status({**gateway_status_files(head), **status})
    (row,) = shown("list", repository.path)
    assert (row["state"], row["done"], row["devices"], row["reportedBy"]) == ("in-progress", 4, 12, ["hall"])
    assert row["secondsLeft"] > 0
    text = run("rollout", "list", repository.path).output
    assert "4/12" in text
    assert "━" in text


def test_stuck_devices_are_listed_with_their_reason(repository: FleetHistory) -> None:
    head = repository.git("rev-parse", "HEAD")
    status = {
        **rollout_status_file(done=1, failed=1, missing=1),
        **device_status_file("pump-02", head, action=silent("pump-02")),
    }
    repository.status({**gateway_status_files(head), **status})
    document = shown("show", "wear", repository.path)
    stuck = {row["device"]: row for row in document["stuck"]}
    assert stuck.keys() == {"pump-01", "pump-02"}
    assert stuck["pump-02"]["reason"] == "NotReporting"
    assert "not reporting since" in stuck["pump-02"]["message"]
    assert stuck["pump-01"]["reason"] == "failed"
    assert "not reporting since" in run("rollout", "show", "wear", repository.path).output


@pytest.mark.parametrize(
    ("status", "state"),
    [
        (rollout_status_file(done=12), "complete"),
        (rollout_status_file(failed=2, stopped="stopped: 2 failed, 0 allowed"), "stopped"),
        (rollout_status_file(held="rollout wear is suspended"), "waiting"),
    ],
    ids=["complete", "stopped", "suspended"],
)
def test_the_state_comes_from_the_gateways(repository: FleetHistory, status: dict[str, bytes], state: str) -> None:
    repository.status(status)
    (row,) = shown("list", repository.path)
    assert row["state"] == state
    if state in {"complete", "stopped"}:
        assert row["secondsLeft"] is None


def test_of_several_gateways_the_most_advanced_report_is_shown(repository: FleetHistory) -> None:
    """Each gateway reports all waves, but sees those of others with a delay."""
    repository.status(rollout_status_file(done=3), "hall")
    repository.status(rollout_status_file(done=7), "yard")
    repository.status(rollout_status_file(done=12, model="wear@1"), "roof")
    (row,) = shown("list", repository.path)
    assert (row["done"], row["reportedBy"]) == (7, ["hall", "yard"])
    repository.status(rollout_status_file(done=3, failed=2, stopped="stopped: 2 failed, 0 allowed"), "hall")
    (row,) = shown("list", repository.path)
    assert (row["state"], row["done"]) == ("stopped", 3)  # one that stopped stops all
    text = run("rollout", "show", "wear", repository.path).output
    assert "reported by hall, yard" in text


def test_a_report_on_the_current_revision_comes_before_others(repository: FleetHistory) -> None:
    found = find_repository(repository.path)
    desired = found.load(found.resolve("HEAD"), CheckCache()).desired
    assert desired is not None
    current = revision_of(desired, RolloutId("wear"))
    repository.status(rollout_status_file(done=12), "hall")
    repository.status(rollout_status_file(done=1, revision=current), "yard")
    (row,) = shown("list", repository.path)
    assert (row["state"], row["done"]) == ("in-progress", 1)


def test_a_report_on_another_model_does_not_count(repository: FleetHistory) -> None:
    repository.status(rollout_status_file(done=12, model="wear@1"))
    assert shown("list", repository.path)[0]["state"] == "unknown"


def test_the_history_comes_from_the_versions_of_the_status(repository: FleetHistory) -> None:
    for status in (
        rollout_status_file(done=3, model="wear@0", revision="w0"),
        rollout_status_file(done=2, model="wear@1", revision="w1"),
        rollout_status_file(done=12, model="wear@1", revision="w1"),
        rollout_status_file(done=4),
        rollout_status_file(done=4, failed=1, stopped="stopped: 1 failed, 0 allowed"),
    ):
        repository.status(status)
    history = shown("show", "wear", repository.path)["history"]
    assert [(row["model"], row["outcome"]) for row in history] == [
        ("wear@2", "stopped"),
        ("wear@1", "complete"),
        ("wear@0", "replaced"),
    ]
    assert history[1]["endedAt"] > history[1]["startedAt"]
    assert history[2]["endedAt"] is None


def test_unreadable_versions_are_skipped() -> None:
    now = datetime(2026, 11, 21, tzinfo=UTC)
    good = rollout_status_file(done=12)["rollouts/wear.yaml"]
    (past,) = past_rollouts(GatewayId("hall"), [(now, b"\xff"), (now - timedelta(hours=1), good)])
    assert past.outcome == "complete"


def test_an_unknown_rollout_lists_the_known_ones(repository: FleetHistory) -> None:
    result = run("rollout", "show", "milling", repository.path)
    assert result.exit_code == 1
    assert "known rollouts: `wear`" in str(result.exception)
