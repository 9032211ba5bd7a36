# SPDX-License-Identifier: Apache-2.0
"""The workflow files of the example, run line by line by a simulated forge runner."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.review.changes import FleetHistory, device_status_file, fleet_history, gateway_status_files, silent
from tests.review.forge_runner import GitHub, Image, Notes, run_gitlab

EXAMPLE = Path(__file__).parents[2] / "fleet-repo-example"
GITHUB = EXAMPLE / ".github" / "workflows" / "validate.yml"
GITLAB = EXAMPLE / ".gitlab-ci.yml"
ROLLOUT = "rollouts/line-current.yaml"
LIMIT = 65_536


@dataclass
class Proposal:
    """A pull request against the example: its branch, its base, and the forge's merge of both."""

    repository: FleetHistory
    base: str
    head: str
    merge: str


@pytest.fixture
def proposal(tmp_path: Path) -> Proposal:
    made = fleet_history(tmp_path)
    shutil.copytree(EXAMPLE, made.path, dirs_exist_ok=True)
    rollout = (made.path / ROLLOUT).read_text()
    assert 'version: "1.1.0"' in rollout
    base = made.commit({ROLLOUT: rollout.replace('version: "1.1.0"', 'version: "1.0.0"')}, "The fleet")
    made.git("checkout", "--quiet", "-b", "fifty-trees")
    head = made.commit({ROLLOUT: rollout}, "Fifty trees for the feeders")
    made.git("checkout", "--quiet", "main")
    made.git("merge", "--quiet", "--no-ff", "--message", "Merge", "fifty-trees")
    merge = made.git("rev-parse", "HEAD")
    made.git("branch", "merged")
    made.git("reset", "--quiet", "--hard", base)
    return Proposal(made, base, head, merge)


def pull_request(proposal: Proposal, repository: str = "works/fleet") -> dict[str, object]:
    return {
        "event_name": "pull_request",
        "repository": "works/fleet",
        "sha": proposal.merge,
        "token": "t0ken",
        "event": {
            "pull_request": {
                "number": 7,
                "base": {"sha": proposal.base},
                "head": {"sha": proposal.head, "repo": {"full_name": repository}},
            }
        },
    }


def test_github_comments_the_plan_on_a_pull_request(proposal: Proposal, tmp_path: Path) -> None:
    image = Image(tmp_path / "image")
    runner = GitHub(GITHUB, proposal.repository.path, image, pull_request(proposal))
    assert runner.run() == ["validate", "comment"]
    comment = image.comment.read_text()
    assert "line-current 1.0.0 → 1.1.0" in comment
    assert "4 devices of 12 affected" in comment
    assert "/dev/ttyUSB0 at 2400 baud" in comment
    assert len(comment) < LIMIT
    assert runner.summary.read_text() == comment
    assert "gh pr comment 7 --repo works/fleet" in image.calls.read_text()


def test_github_does_not_let_a_fork_write(proposal: Proposal, tmp_path: Path) -> None:
    image = Image(tmp_path / "image")
    assert GitHub(GITHUB, proposal.repository.path, image, pull_request(proposal, "fork/fleet")).run() == ["validate"]
    assert not image.comment.exists()


def test_github_on_a_push_shows_the_plan_of_the_branch(proposal: Proposal, tmp_path: Path) -> None:
    event = {"event_name": "push", "repository": "works/fleet", "sha": proposal.base, "event": {}}
    runner = GitHub(GITHUB, proposal.repository.path, Image(tmp_path / "image"), event)
    assert runner.run() == ["validate"]
    assert "Plan for the working directory" in runner.summary.read_text()


def test_gitlab_comments_once_and_updates_its_comment(proposal: Proposal, tmp_path: Path) -> None:
    image = Image(tmp_path / "image")
    clone = tmp_path / "clone"
    url = proposal.repository.path.as_uri()
    subprocess.run(["git", "clone", "--quiet", "--branch", "fifty-trees", url, str(clone)], check=True)
    notes = Notes("t0ken", {1: "Looks good"})
    with notes.served() as api:
        variables = {
            "CI_PIPELINE_SOURCE": "merge_request_event",
            "CI_MERGE_REQUEST_DIFF_BASE_SHA": proposal.base,
            "CI_MERGE_REQUEST_IID": "7",
            "CI_PROJECT_ID": "3",
            "CI_API_V4_URL": api,
            "PLAN_TOKEN": "t0ken",
        }
        run_gitlab(GITLAB, "validate", image, clone, variables)
        run_gitlab(GITLAB, "comment", image, clone, variables)
        run_gitlab(GITLAB, "comment", image, clone, variables)
    assert notes.methods == ["GET", "POST", "GET", "PUT"]
    assert notes.bodies.keys() == {1, 2}
    assert "line-current 1.0.0 → 1.1.0" in notes.bodies[2]
    assert len(notes.bodies[2]) < LIMIT


def test_gitlab_reads_the_status_of_the_gateways(proposal: Proposal, tmp_path: Path) -> None:
    status = gateway_status_files(proposal.base, "hall-south")
    status |= device_status_file(
        "feeder-south-2", proposal.base, action=silent("feeder-south-2"), model="line-current@1.0.0"
    )
    proposal.repository.status(status, "hall-south")
    clone = tmp_path / "clone"
    url = proposal.repository.path.as_uri()
    command = ["git", "clone", "--quiet", "--single-branch", "--branch", "fifty-trees", url, str(clone)]
    subprocess.run(command, check=True)
    variables = {"CI_MERGE_REQUEST_DIFF_BASE_SHA": proposal.base}
    run_gitlab(GITLAB, "validate", Image(tmp_path / "image"), clone, variables)
    assert "NotReporting" in (clone / "plan.md").read_text()


def test_gitlab_on_the_default_branch_shows_its_plan(proposal: Proposal, tmp_path: Path) -> None:
    clone = tmp_path / "clone"
    subprocess.run(["git", "clone", "--quiet", proposal.repository.path.as_uri(), str(clone)], check=True)
    run_gitlab(GITLAB, "validate", Image(tmp_path / "image"), clone, {})
    assert "Plan for the working directory" in (clone / "plan.md").read_text()
