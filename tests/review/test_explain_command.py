# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from reconciler.model import DeviceId, Hold, HoldReason, RolloutId
from tests.review.changes import (
    FleetHistory,
    device_status_file,
    fleet_files,
    fleet_history,
    gateway_status_files,
    model,
    rollout_document,
    run,
    silent,
)

TERMS = "  parameters: {threshold: 0.75}\n"


@pytest.fixture
def repository(tmp_path: Path) -> FleetHistory:
    made = fleet_history(tmp_path)
    made.commit(fleet_files(), "The hall")
    made.commit({"rollout.yaml": rollout_document("2", TERMS)}, "Better trees for everyone")
    made.commit({"notes.txt": "unrelated"}, "Notes")
    return made


def explained(repository: FleetHistory, device: str = "pump-03") -> Any:  # noqa: ANN401 - JSON
    result = run("explain", device, repository.path, "--output", "json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def location(document: Any, kind: str, text: str) -> str | None:  # noqa: ANN401 - JSON
    found: str | None = next(
        row["location"] for row in document["desired"] if row["kind"] == kind and text in row["text"]
    )
    return found


def line_of(repository: FleetHistory, file: str, text: str, nth: int = 0) -> int:
    lines = (repository.path / file).read_text().splitlines()
    return [number for number, line in enumerate(lines, start=1) if text in line][nth]


def test_each_statement_names_its_line(repository: FleetHistory) -> None:
    document = explained(repository)
    assert (
        location(document, "Rollout", "sets the model wear@2")
        == f"rollout.yaml:{line_of(repository, 'rollout.yaml', 'model:')}"
    )
    threshold = line_of(repository, "rollout.yaml", "threshold")
    assert location(document, "Rollout", "threshold to 0.75, overriding the model's 0.5") == f"rollout.yaml:{threshold}"
    fourth = line_of(repository, "devices.yaml", "apiVersion", 3)
    assert location(document, "Device", "/dev/ttyS0 at 2400 baud, address 4") == f"devices.yaml:{fourth}"
    second = line_of(repository, "models.yaml", "source:", 1)
    assert location(document, "Model", "has the source e3b0c44298fc") == f"models.yaml:{second}"
    assert (
        location(document, "Gateway", "serves the device")
        == f"gateway.yaml:{line_of(repository, 'gateway.yaml', 'selector')}"
    )


def test_the_commits_are_the_newest_and_the_last_change_of_the_rollout(repository: FleetHistory) -> None:
    assert [row["subject"] for row in explained(repository)["commits"]] == ["Notes", "Better trees for everyone"]


def test_without_a_status_it_shows_what_the_commit_would_do(repository: FleetHistory) -> None:
    document = explained(repository)
    assert document["history"] == [{"at": None, "text": "its gateway has not reported it yet"}]
    assert "has never reported" in document["next"][0]


def test_conditions_show_the_history_and_what_is_next(repository: FleetHistory) -> None:
    head = repository.git("rev-parse", "HEAD")
    hold = Hold(DeviceId("pump-03"), RolloutId("wear"), HoldReason.WINDOW, "outside its windows; opens Sun 02:00 UTC")
    repository.status({**gateway_status_files(head), **device_status_file("pump-03", head, action=hold)})
    document = explained(repository)
    assert document["next"] == ["HeldWindow: outside its windows; opens Sun 02:00 UTC"]
    assert any("Reporting became True" in row["text"] and row["at"] for row in document["history"])
    compared = {row["subject"]: row for row in document["comparison"]}
    assert (compared["model"]["desired"], compared["model"]["observed"], compared["model"]["matches"]) == (
        "wear@2",
        "wear@1",
        False,
    )
    text = run("explain", "pump-03", repository.path).output
    assert "≠ model: desired wear@2; observed wear@1" in text
    assert "outside its windows" in text


def test_a_gateway_that_is_behind_shows_what_it_would_do(repository: FleetHistory) -> None:
    old = repository.git("rev-parse", "HEAD~2")
    repository.status({**gateway_status_files(old), **device_status_file("pump-03", old)})
    (step,) = explained(repository)["next"]
    assert step.startswith(f"gateway hall enforces {old[:12]}")
    assert "wear@2 must be built first" in step


def test_a_model_that_does_not_fit_shows_in_the_comparison(repository: FleetHistory) -> None:
    repository.commit({"models.yaml": "---\n".join((model("1"), model("2", slot=9000)))})
    compared = {row["subject"]: row for row in explained(repository)["comparison"]}
    assert compared["slot bytes"]["matches"] is False
    assert compared["wave"]["desired"] == "none: the device can never run the model"


def test_a_silent_device_shows_since_when(repository: FleetHistory) -> None:
    head = repository.git("rev-parse", "HEAD")
    repository.status({**gateway_status_files(head), **device_status_file("pump-03", head, action=silent("pump-03"))})
    assert "not reporting since" in explained(repository)["next"][0]


def test_an_unknown_device_gets_a_suggestion(repository: FleetHistory) -> None:
    result = run("explain", "pump-3", repository.path)
    assert result.exit_code == 1
    assert "did you mean `pump-03`?" in str(result.exception)


def test_a_clone_that_is_behind_its_gateway_says_so(repository: FleetHistory) -> None:
    head = repository.git("rev-parse", "HEAD")
    repository.status({**gateway_status_files(head), **device_status_file("pump-03", head)})
    assert explained(repository)["warnings"] == []
    newer = repository.commit({"rollout.yaml": rollout_document("1")}, "Back")
    repository.status(gateway_status_files(newer))
    repository.git("reset", "--quiet", "--hard", head)
    result = run("explain", "pump-03", repository.path)
    warning = f"gateway hall enforces {newer[:12]}, which HEAD ({head[:12]}) does not contain; run `git pull`"
    assert f"warning: {warning}" in result.stderr
    assert explained(repository)["warnings"] == [warning]
    repository.status(gateway_status_files("e" * 40))
    assert "which this clone does not have" in explained(repository)["warnings"][0]
    repository.status(gateway_status_files("--help"))  # a status is not trusted
    assert explained(repository)["warnings"] == []


def test_a_clone_that_is_behind_its_upstream_says_so(repository: FleetHistory, tmp_path: Path) -> None:
    clone = FleetHistory(tmp_path / "clone")
    repository.git("clone", "--quiet", str(repository.path), str(clone.path))
    assert explained(clone)["warnings"] == []
    for number in range(2):
        repository.commit({"notes.txt": f"{number}"})
    clone.git("fetch", "--quiet")
    assert explained(clone)["warnings"] == ["this clone is 2 commits behind its upstream; run `git pull`"]
