# SPDX-License-Identifier: Apache-2.0
"""The workflow files of the example, run line by line by a simulated forge runner."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from tests.git.forge import SshKey, make_ssh_key
from tests.review.changes import FleetHistory, device_status_file, fleet_history, gateway_status_files, silent
from tests.review.forge_runner import GitHub, Image, Notes, run_gitlab

EXAMPLE = Path(__file__).parents[2] / "fleet-repo-example"
GITHUB = EXAMPLE / ".github" / "workflows" / "validate.yml"
PROPOSE = EXAMPLE / ".github" / "workflows" / "propose.yml"
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
    assert "4 devices of 13 affected" in comment
    assert "/dev/ttyUSB0 at 2400 baud" in comment
    assert len(comment) < LIMIT
    assert runner.summary.read_text() == comment
    assert "gh pr comment 7 --repo works/fleet" in image.calls.read_text()


def test_github_installs_the_wheel_with_its_constraints(proposal: Proposal, tmp_path: Path) -> None:
    image = Image(tmp_path / "image")
    GitHub(GITHUB, proposal.repository.path, image, pull_request(proposal)).run()
    (line,) = [line for line in image.calls.read_text().splitlines() if line.startswith("pip")]
    assert line == f"pip install --constraint wheel/reconciler/constraints.txt ./{image.wheel.name}"


def test_another_wheel_is_not_installed(proposal: Proposal, tmp_path: Path) -> None:
    other = {"TINYFLEET_SHA256": "0" * 64}
    github, gitlab = Image(tmp_path / "github"), Image(tmp_path / "gitlab")
    with pytest.raises(AssertionError, match="FAILED"):
        GitHub(GITHUB, proposal.repository.path, github, pull_request(proposal), other).run()
    with pytest.raises(AssertionError, match="FAILED"):
        run_gitlab(GITLAB, "validate", gitlab, proposal.repository.path, other)
    assert not [
        line
        for image in (github, gitlab)
        if image.calls.exists()
        for line in image.calls.read_text().splitlines()
        if line.startswith("pip")
    ]


@pytest.mark.parametrize("workflow", [GITHUB, PROPOSE])
def test_actions_are_pinned_by_commit(workflow: Path) -> None:
    uses = re.findall(r"uses: (.+)", workflow.read_text())
    assert len(uses) >= 4
    assert [each for each in uses if not re.fullmatch(r"actions/[a-z-]+@[0-9a-f]{40}  # v\d+\.\d+\.\d+", each)] == []


def test_github_does_not_let_a_fork_write(proposal: Proposal, tmp_path: Path) -> None:
    image = Image(tmp_path / "image")
    assert GitHub(GITHUB, proposal.repository.path, image, pull_request(proposal, "fork/fleet")).run() == ["validate"]
    assert not image.comment.exists()


def test_github_on_a_push_shows_the_plan_of_the_branch(proposal: Proposal, tmp_path: Path) -> None:
    event = {"event_name": "push", "repository": "works/fleet", "sha": proposal.base, "event": {}}
    runner = GitHub(GITHUB, proposal.repository.path, Image(tmp_path / "image"), event)
    assert runner.run() == ["validate"]
    assert "Plan for the working directory" in runner.summary.read_text()


@pytest.fixture
def ada(tmp_path: Path) -> SshKey:
    return make_ssh_key(tmp_path / "keys", "ada")


def signed(proposal: Proposal, key: SshKey) -> Proposal:
    """Sign the commit of the proposal, and the forge's merge of it."""
    git = proposal.repository.git
    git("checkout", "--quiet", "fifty-trees")
    git(*key.signs(), "commit", "--quiet", "--amend", "--no-edit")
    head = git("rev-parse", "HEAD")
    git("checkout", "--quiet", "-B", "merged", "main")
    git("merge", "--quiet", "--no-ff", "--message", "Merge", "fifty-trees")
    merge = git("rev-parse", "HEAD")
    git("checkout", "--quiet", "main")
    return Proposal(proposal.repository, proposal.base, head, merge)


def test_github_verifies_the_signatures_of_a_pull_request(proposal: Proposal, ada: SshKey, tmp_path: Path) -> None:
    variables = {"ALLOWED_SIGNERS": f"ada@example.org {ada.public}"}

    def run(of: Proposal, name: str) -> GitHub:
        runner = GitHub(GITHUB, of.repository.path, Image(tmp_path / name), pull_request(of), variables)
        runner.run()
        return runner

    with pytest.raises(AssertionError, match="::error title=UnsignedCommit"):
        run(proposal, "unsigned")
    good = signed(proposal, ada)
    assert "::" not in run(good, "signed").output
    variables.clear()
    assert "::warning title=Signatures not verified" in run(good, "unset").output


def test_gitlab_verifies_the_signatures_of_a_merge_request(proposal: Proposal, ada: SshKey, tmp_path: Path) -> None:
    allowed = tmp_path / "allowed"
    allowed.write_text(f"ada@example.org {ada.public}\n")
    variables = {"CI_MERGE_REQUEST_DIFF_BASE_SHA": proposal.base, "ALLOWED_SIGNERS": str(allowed)}
    url = proposal.repository.path.as_uri()

    def run(name: str) -> None:
        clone = tmp_path / name
        subprocess.run(["git", "clone", "--quiet", "--branch", "fifty-trees", url, str(clone)], check=True)
        run_gitlab(GITLAB, "validate", Image(tmp_path / f"{name}-image"), clone, variables)

    with pytest.raises(AssertionError, match="UnsignedCommit"):
        run("unsigned")
    signed(proposal, ada)
    run("signed")


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


BRANCH = "propose/hall-south/line-current"
HOSTILE = "$(touch pwned) `touch pwned` ${{ github.token }} '; touch pwned #"
MESSAGE = f"""line-current: replace line-current@1.0.0 by line-current@1.1.0

The pool disagrees with the champion on feeder-south-2. {HOSTILE}

    rank  false alarms   missed  candidate
     +41        1.20 %   0.30 %  line-current@1.1.0  (proposed)

Contest: line-current"""
TITLE = MESSAGE.splitlines()[0]


@pytest.fixture
def branch(proposal: Proposal) -> Proposal:
    """The same change, on a branch of a gateway."""
    proposal.repository.git("branch", BRANCH, "fifty-trees")
    return proposal


def pushed(branch: Proposal) -> dict[str, object]:
    return {
        "event_name": "push",
        "repository": "works/fleet",
        "sha": branch.head,
        "ref_name": BRANCH,
        "token": "t0ken",
        "event": {"head_commit": {"message": MESSAGE}, "repository": {"default_branch": "main"}},
    }


def test_github_opens_a_pull_request_with_the_reasons_and_the_plan(branch: Proposal, tmp_path: Path) -> None:
    image = Image(tmp_path / "image")
    runner = GitHub(PROPOSE, branch.repository.path, image, pushed(branch))
    assert runner.run() == ["validate", "open"]
    body = image.comment.read_text()
    assert body.startswith("The pool disagrees with the champion on feeder-south-2. $(touch pwned)")
    assert "     +41        1.20 %" in body
    assert "line-current 1.0.0 → 1.1.0" in body
    assert len(body) < LIMIT
    assert runner.summary.read_text() == body
    create = image.calls.read_text().splitlines()[-1]
    assert create.startswith(f"gh pr create --repo works/fleet --head {BRANCH} --base main --title {TITLE} --body-file")
    assert not list(tmp_path.rglob("pwned"))


def test_github_updates_the_pull_request_that_is_open(branch: Proposal, tmp_path: Path) -> None:
    image = Image(tmp_path / "image")
    image.numbers.write_text("7\n")
    GitHub(PROPOSE, branch.repository.path, image, pushed(branch)).run()
    assert image.calls.read_text().splitlines()[-1].startswith("gh pr edit 7 --repo works/fleet --title")


def test_only_the_job_that_runs_no_code_of_the_branch_may_write() -> None:
    workflow = yaml.safe_load(PROPOSE.read_text(encoding="utf-8"))
    assert workflow["permissions"] == {"contents": "read"}
    written = {name: job["permissions"] for name, job in workflow["jobs"].items() if "permissions" in job}
    assert written == {"open": {"pull-requests": "write"}}
    uses = [str(step.get("uses")).partition("@")[0] for step in workflow["jobs"]["open"]["steps"]]
    assert uses == ["actions/download-artifact", "None"]
    scripts = [step.get("run", "") for job in workflow["jobs"].values() for step in job["steps"]]
    assert not [script for script in scripts if "${{" in script]  # text from outside passes through variables


def test_gitlab_opens_a_merge_request_once_and_updates_it(tmp_path: Path) -> None:
    image = Image(tmp_path / "image")
    folder = tmp_path / "job"
    folder.mkdir()
    requests = Notes("t0ken")
    with requests.served() as api:
        variables = {
            "CI_COMMIT_BRANCH": BRANCH,
            "CI_COMMIT_TITLE": TITLE,
            "CI_COMMIT_DESCRIPTION": MESSAGE.partition("\n\n")[2],
            "CI_DEFAULT_BRANCH": "main",
            "CI_PROJECT_ID": "3",
            "CI_API_V4_URL": api,
            "PROPOSAL_TOKEN": "t0ken",
        }
        run_gitlab(GITLAB, "propose", image, folder, variables)
        run_gitlab(GITLAB, "propose", image, folder, variables)
    assert requests.methods == ["GET", "POST", "GET", "PUT"]
    assert requests.bodies == {1: MESSAGE.partition("\n\n")[2]}
    expected = {"source_branch": BRANCH, "target_branch": "main", "title": TITLE}
    assert requests.forms[0].items() >= expected.items()
    assert not list(tmp_path.rglob("pwned"))


def test_gitlab_runs_it_for_pushes_of_proposals_alone() -> None:
    job = yaml.safe_load(GITLAB.read_text(encoding="utf-8"))["propose"]
    assert job["rules"] == [
        {"if": '$CI_PIPELINE_SOURCE == "push" && $CI_COMMIT_BRANCH =~ /^propose\\// && $PROPOSAL_TOKEN'}
    ]
    assert job["variables"] == {"GIT_STRATEGY": "none"}
