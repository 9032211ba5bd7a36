# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from reconciler.cli.inputs.repositories import find
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
    Works,
    device_says,
    fleet_files,
    gateway_says,
    rollout_document,
    run,
    silent,
    works,
)


def says(  # noqa: PLR0913 - one parameter for each thing that a rollout may say
    *,
    done: int = 0,
    failed: int = 0,
    missing: int = 0,
    stopped: str = "",
    held: str = "",
    model: str = "wear@2",
    revision: str = "w2",
) -> dict[str, bytes]:
    """Tell of a rollout over twelve pumps, dealt to a canary and the rest."""
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
def repository(tmp_path: Path) -> Works:
    made = works(tmp_path)
    made.commit({**fleet_files(), "rollout.yaml": rollout_document("2", CAREFUL)})
    return made


def told(*words: str | Path) -> Any:  # noqa: ANN401 - JSON
    result = run("rollout", *words, "--output", "json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_a_rollout_of_which_nobody_told_shows_its_waves(repository: Works) -> None:
    (row,) = told("list", repository.path)
    assert (row["state"], row["devices"], row["done"]) == ("nothing told", 12, 0)
    assert [wave["name"] for wave in row["waves"]] == ["canary", "half", "rest"]
    assert row["secondsLeft"] is not None


def test_how_far_it_is_with_what_is_left(repository: Works) -> None:
    status = says(done=4)
    head = repository.git("rev-parse", "HEAD")
    for number in range(12):
        status |= device_says(f"pump-{number:02}", head, model="wear@2" if number < 4 else "wear@1")
    repository.status({**gateway_says(head), **status})
    (row,) = told("list", repository.path)
    assert (row["state"], row["done"], row["devices"], row["toldBy"]) == ("under way", 4, 12, ["hall"])
    assert row["secondsLeft"] > 0
    text = run("rollout", "list", repository.path).output
    assert "4/12" in text
    assert "━" in text


def test_what_is_stuck_is_told_with_its_reason(repository: Works) -> None:
    head = repository.git("rev-parse", "HEAD")
    status = {**says(done=1, failed=1, missing=1), **device_says("pump-02", head, action=silent("pump-02"))}
    repository.status({**gateway_says(head), **status})
    shown = told("show", "wear", repository.path)
    stuck = {row["device"]: row for row in shown["stuck"]}
    assert stuck.keys() == {"pump-01", "pump-02"}
    assert stuck["pump-02"]["reason"] == "NotReporting"
    assert "not reporting since" in stuck["pump-02"]["message"]
    assert stuck["pump-01"]["reason"] == "failed"
    assert "not reporting since" in run("rollout", "show", "wear", repository.path).output


@pytest.mark.parametrize(
    ("says_so", "state"),
    [
        (says(done=12), "complete"),
        (says(failed=2, stopped="stopped: 2 failed, 0 allowed"), "stopped"),
        (says(held="rollout wear is suspended"), "waiting"),
    ],
    ids=["complete", "stopped", "suspended"],
)
def test_states_come_from_the_gateways(repository: Works, says_so: dict[str, bytes], state: str) -> None:
    repository.status(says_so)
    (row,) = told("list", repository.path)
    assert row["state"] == state
    if state in {"complete", "stopped"}:
        assert row["secondsLeft"] is None


def test_of_several_gateways_the_one_that_knows_most_is_shown(repository: Works) -> None:
    """Each sees all waves, and the others as they were some time ago."""
    repository.status(says(done=3), "hall")
    repository.status(says(done=7), "yard")
    repository.status(says(done=12, model="wear@1"), "roof")
    (row,) = told("list", repository.path)
    assert (row["done"], row["toldBy"]) == (7, ["hall", "yard"])
    repository.status(says(done=3, failed=2, stopped="stopped: 2 failed, 0 allowed"), "hall")
    (row,) = told("list", repository.path)
    assert (row["state"], row["done"]) == ("stopped", 3)  # one that stopped stops all
    shown = run("rollout", "show", "wear", repository.path).output
    assert "told by hall, yard" in shown


def test_who_speaks_of_what_git_wants_comes_before_who_spoke_of_another_wish(repository: Works) -> None:
    found = find(repository.path)
    desired = found.load(found.resolve("HEAD"), CheckCache()).desired
    assert desired is not None
    wanted = revision_of(desired, RolloutId("wear"))
    repository.status(says(done=12), "hall")
    repository.status(says(done=1, revision=wanted), "yard")
    (row,) = told("list", repository.path)
    assert (row["state"], row["done"]) == ("under way", 1)


def test_the_word_on_another_model_is_not_taken_for_this_one(repository: Works) -> None:
    repository.status(says(done=12, model="wear@1"))
    assert told("list", repository.path)[0]["state"] == "nothing told"


def test_history_is_what_git_keeps_of_the_status(repository: Works) -> None:
    for status in (
        says(done=3, model="wear@0", revision="w0"),
        says(done=2, model="wear@1", revision="w1"),
        says(done=12, model="wear@1", revision="w1"),
        says(done=4),
        says(done=4, failed=1, stopped="stopped: 1 failed, 0 allowed"),
    ):
        repository.status(status)
    history = told("show", "wear", repository.path)["history"]
    assert [(row["model"], row["outcome"]) for row in history] == [
        ("wear@2", "stopped"),
        ("wear@1", "complete"),
        ("wear@0", "replaced"),
    ]
    assert history[1]["endedAt"] > history[1]["beganAt"]
    assert history[2]["endedAt"] is None


def test_versions_that_are_no_status_are_passed_over() -> None:
    now = datetime(2026, 11, 21, tzinfo=UTC)
    good = says(done=12)["rollouts/wear.yaml"]
    (chapter,) = past_rollouts(GatewayId("hall"), [(now, b"\xff"), (now - timedelta(hours=1), good)])
    assert chapter.outcome == "complete"


def test_an_unknown_rollout_is_told_with_those_there_are(repository: Works) -> None:
    result = run("rollout", "show", "tear", repository.path)
    assert result.exit_code == 1
    assert "there is wear" in result.output
