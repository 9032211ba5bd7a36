# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from reconciler.model import DeviceId, Hold, HoldReason, RolloutId
from tests.review.changes import (
    Works,
    device_says,
    fleet_files,
    gateway_says,
    model,
    rollout_document,
    run,
    silent,
    works,
)

TERMS = "  parameters: {threshold: 0.75}\n"


@pytest.fixture
def repository(tmp_path: Path) -> Works:
    made = works(tmp_path)
    made.commit(fleet_files(), "The hall")
    made.commit({"rollout.yaml": rollout_document("2", TERMS)}, "Better trees for everybody")
    made.commit({"notes.txt": "beside it"}, "Notes")
    return made


def explained(repository: Works, device: str = "pump-03") -> Any:  # noqa: ANN401 - JSON
    result = run("explain", device, repository.path, "--output", "json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def says(told: Any, kind: str, words: str) -> str | None:  # noqa: ANN401 - JSON
    where: str | None = next(row["where"] for row in told["wants"] if row["kind"] == kind and words in row["says"])
    return where


def line_of(repository: Works, file: str, text: str, nth: int = 0) -> int:
    lines = (repository.path / file).read_text().splitlines()
    return [number for number, line in enumerate(lines, start=1) if text in line][nth]


def test_each_wish_names_the_line_that_it_stands_on(repository: Works) -> None:
    told = explained(repository)
    assert says(told, "Rollout", "wants wear@2") == f"rollout.yaml:{line_of(repository, 'rollout.yaml', 'model:')}"
    threshold = line_of(repository, "rollout.yaml", "threshold")
    assert says(told, "Rollout", "threshold 0.75, over the model's 0.5") == f"rollout.yaml:{threshold}"
    fourth = line_of(repository, "devices.yaml", "apiVersion", 3)
    assert says(told, "Device", "/dev/ttyS0 at 2400 baud, address 4") == f"devices.yaml:{fourth}"
    second = line_of(repository, "models.yaml", "source:", 1)
    assert says(told, "Model", "is e3b0c44298fc") == f"models.yaml:{second}"
    assert says(told, "Gateway", "serves it") == f"gateway.yaml:{line_of(repository, 'gateway.yaml', 'selector')}"


def test_the_commits_are_the_newest_and_the_one_that_wrote_the_rollout(repository: Works) -> None:
    assert [row["subject"] for row in explained(repository)["commits"]] == ["Notes", "Better trees for everybody"]


def test_without_a_status_it_says_so_and_what_the_commit_would_do(repository: Works) -> None:
    told = explained(repository)
    assert told["done"] == [{"at": None, "what": "its gateway has told nothing of it yet"}]
    assert "has never reported" in told["next"][0]


def test_conditions_tell_what_was_done_and_what_comes_next(repository: Works) -> None:
    head = repository.git("rev-parse", "HEAD")
    hold = Hold(DeviceId("pump-03"), RolloutId("wear"), HoldReason.WINDOW, "outside its windows; opens Sun 02:00 UTC")
    repository.status({**gateway_says(head), **device_says("pump-03", head, action=hold)})
    told = explained(repository)
    assert told["next"] == ["HeldWindow: outside its windows; opens Sun 02:00 UTC"]
    assert any("Reporting became True" in row["what"] and row["at"] for row in told["done"])
    compared = {row["what"]: row for row in told["compared"]}
    assert (compared["model"]["wanted"], compared["model"]["found"], compared["model"]["same"]) == (
        "wear@2",
        "wear@1",
        False,
    )
    text = run("explain", "pump-03", repository.path).output
    assert "≠ model: wear@2; found: wear@1" in text
    assert "outside its windows" in text


def test_a_gateway_that_is_behind_is_told_with_what_it_would_do(repository: Works) -> None:
    old = repository.git("rev-parse", "HEAD~2")
    repository.status({**gateway_says(old), **device_says("pump-03", old)})
    (told,) = explained(repository)["next"]
    assert told.startswith(f"gateway hall enforces {old[:12]}")
    assert "wear@2 must be built first" in told


def test_who_can_not_hold_the_model_sees_it_compared(repository: Works) -> None:
    repository.commit({"models.yaml": "---\n".join((model("1"), model("2", slot=9000)))})
    compared = {row["what"]: row for row in explained(repository)["compared"]}
    assert compared["slot bytes"]["same"] is False
    assert compared["wave"]["wanted"] == "none: it can never have the model"


def test_a_silent_device_says_since_when(repository: Works) -> None:
    head = repository.git("rev-parse", "HEAD")
    repository.status({**gateway_says(head), **device_says("pump-03", head, action=silent("pump-03"))})
    assert "not reporting since" in explained(repository)["next"][0]


def test_a_device_that_git_does_not_know_is_answered_with_the_nearest(repository: Works) -> None:
    result = run("explain", "pump-3", repository.path)
    assert result.exit_code == 1
    assert "pump-03" in result.output
