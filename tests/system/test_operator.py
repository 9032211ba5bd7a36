# SPDX-License-Identifier: Apache-2.0
"""The commands that an operator runs on a gateway, against a real site."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from demo.site import Site, model, rollout
from demo.world import GATEWAY, TINYFLEET, threshold_model
from reconciler.cli import cli
from tests.git.forge import make_ssh_key

WITHIN_S = 60
SECOND = threshold_model([3, -4, 2] * 40, 800)


def tinyfleet(site: Site, *words: str) -> Result:
    return CliRunner().invoke(cli, [*words, "--config", str(site.world.folder / "gateway.toml")])


def parsed(result: Result) -> Any:  # noqa: ANN401 - any JSON value
    assert result.stdout, (result.output, result.exception)
    return json.loads(result.stdout)


def reconciled(site: Site) -> Any:  # noqa: ANN401 - any JSON value
    result = tinyfleet(site, "reconcile", "--output", "json")
    assert result.exit_code == 0, (result.output, result.exception)
    return parsed(result)


def files(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_reconcile_once_updates_every_device_and_ends(site: Site) -> None:
    site.start_devices()
    site.world.commit("Begin", site.first_files())
    first = reconciled(site)
    assert first["counts"]["no-change"] == 3
    site.world.commit("1.1.0", {"rollout.yaml": rollout("1.1.0"), **model("1.1.0", SECOND)})
    second = reconciled(site)
    assert [each["succeeded"] for each in second["deliveries"]] == [True] * 3
    assert site.are_ready("1.1.0")  # the status ref is complete when the command ends
    third = reconciled(site)
    assert third["deliveries"] == []


def test_reconcile_once_reports_failures(site: Site) -> None:
    site.start_devices("--fault", "golden=1")
    site.world.commit("Begin", site.first_files())
    reconciled(site)
    site.world.commit("bad", {"rollout.yaml": rollout("1.1.0"), **model("1.1.0", SECOND)})
    result = tinyfleet(site, "reconcile")
    assert result.exit_code == 1
    assert "the trial failed" in result.output


def test_a_dry_run_shows_the_plan_and_leaves_no_trace(site: Site) -> None:
    site.start_devices()
    site.world.commit("Begin", site.first_files())
    reconciled(site)
    head = site.world.commit("1.1.0", {"rollout.yaml": rollout("1.1.0"), **model("1.1.0", SECOND)})
    state = site.world.folder / "state"
    before, remote = files(state), files(site.world.remote)
    result = tinyfleet(site, "reconcile", "--dry-run", "--output", "json")
    assert result.exit_code == 0, result.output
    plan = parsed(result)
    assert plan["commit"] == head
    assert plan["counts"]["install"] == 3
    assert files(state) == before
    assert files(site.world.remote) == remote


def test_two_processes_can_not_share_one_state_folder(site: Site) -> None:
    site.start_devices()
    site.world.commit("Begin", site.first_files())
    site.start_gateway()
    site.world.wait_for("1.0.0", lambda: site.are_ready("1.0.0"), within_s=WITHIN_S)
    result = tinyfleet(site, "reconcile")
    assert result.exit_code == 1
    assert "is in use by process" in str(result.exception)


def test_status_shows_the_fleet_and_one_device_with_and_without_a_daemon(site: Site) -> None:
    site.start_devices()
    site.world.commit("Begin", site.first_files())
    assert "has not run yet" in str(tinyfleet(site, "status").exception)
    gateway = site.start_gateway()
    site.world.wait_for("1.0.0", lambda: site.are_ready("1.0.0"), within_s=WITHIN_S)
    fleet = parsed(tinyfleet(site, "status", "--output", "json"))
    assert fleet["running"]
    assert [device["model"] for device in fleet["devices"]] == ["vibration@1.0.0"] * 3
    site.world.wait_for(  # the runtime status is up to a second behind
        "the line in the runtime status",
        lambda: "/dev/line" in parsed(tinyfleet(site, "status", "--output", "json"))["live"]["links"],
        within_s=10,
    )
    one = tinyfleet(site, "status", "pump-2").output
    assert "UpToDate" in one
    assert "firmware" in one
    assert "no device of this gateway named pump-9" in str(tinyfleet(site, "status", "pump-9").exception)
    gateway.stop()
    text = tinyfleet(site, "status").output
    assert "the daemon is not running" in text
    assert text.count("vibration@1.0.0") >= 3


def test_status_can_be_watched_until_ctrl_c(site: Site) -> None:
    site.start_devices()
    site.world.commit("Begin", site.first_files())
    reconciled(site)
    configuration = site.world.folder / "gateway.toml"
    watching = site.world.start("watch", TINYFLEET, "status", "--watch", "--config", configuration)
    site.world.wait_for("the table", lambda: "pump-3" in watching.said, within_s=WITHIN_S)
    os.kill(watching.pid, signal.SIGINT)
    assert watching._process.wait(20) == 0


def test_a_rewritten_history_is_enforced_once_an_operator_accepts_it(site: Site) -> None:
    site.start_devices()
    world = site.world
    world.commit("Begin", site.first_files())
    old = world.run("git", "rev-parse", "HEAD", cwd=world.work).strip()
    site.start_gateway()
    world.wait_for("1.0.0", lambda: site.are_ready("1.0.0"), within_s=WITHIN_S)
    world.run("git", "checkout", "-q", "--orphan", "rewritten", cwd=world.work)
    (world.work / "rollout.yaml").write_bytes(rollout("1.0.0", parameters={"threshold": 7}))
    world.run("git", "add", "-A", cwd=world.work)
    world.run("git", "commit", "-q", "-m", "Rewritten", cwd=world.work)
    world.run("git", "push", "-q", "--force", "origin", "HEAD:main", cwd=world.work)
    new = world.run("git", "rev-parse", "HEAD", cwd=world.work).strip()
    world.wait_for(
        "HistoryRewritten", lambda: "HistoryRewritten" in (world.status_file("README.md") or ""), within_s=20
    )
    assert "the branch is at" in str(tinyfleet(site, "accept-history", old).exception)
    result = tinyfleet(site, "accept-history", new)
    assert result.exit_code == 0, (result.output, result.exception)
    world.run("git", "commit", "-q", "--allow-empty", "-m", "Continue", cwd=world.work)
    world.run("git", "push", "-q", "origin", "HEAD:main", cwd=world.work)
    world.wait_for("the parameter", lambda: world.device_status("pump-1")["sequence"] == 1, within_s=WITHIN_S)


def test_accept_takes_a_full_commit_id_of_an_allowed_and_valid_commit(site: Site) -> None:
    world = site.world
    wrong = world.commit("oops", {"rollout.yaml": b"kind: Rollot\n"})
    assert tinyfleet(site, "accept-history", wrong[:12]).exit_code == 2
    assert "rollout.yaml" in str(tinyfleet(site, "accept-history", wrong).exception)
    world.run("git", "config", "commit.gpgsign", "false", cwd=world.work)
    unsigned = world.commit("unsigned", site.first_files())
    assert getattr(tinyfleet(site, "accept-history", unsigned).exception, "reason", "") == "UnsignedCommit"


def test_accept_takes_no_commit_that_a_gateway_signed(site: Site) -> None:
    world = site.world
    robot = make_ssh_key(world.folder, "robot")
    (world.folder / "automation").write_text(f"hall {robot.public}\n")
    with (world.folder / "gateway.toml").open("a") as configuration:
        configuration.write(f'\n[automation]\nallowed_signers = "{world.folder / "automation"}"\n')
    world.run("git", "config", "user.signingKey", str(robot.path), cwd=world.work)
    made = world.commit("By a gateway", site.first_files())
    assert getattr(tinyfleet(site, "accept-history", made).exception, "reason", "") == "NotApproved"


def test_doctor_finds_no_problem_in_a_working_site(site: Site) -> None:
    site.world.commit("Begin", site.first_files())
    result = tinyfleet(site, "doctor", "--output", "json")
    findings = parsed(result)
    assert [each for each in findings if each["severity"] == "error"] == []
    assert result.exit_code == 0
    assert {"gateway key", "git", "signers", "disk", "clock"} <= {each["check"] for each in findings}


def test_doctor_says_what_is_wrong_and_how_to_fix_it(site: Site) -> None:
    world = site.world
    world.run("git", "config", "commit.gpgsign", "false", cwd=world.work)
    world.commit("unsigned", site.first_files())
    for key in (world.folder / "gateway").glob("*.key"):
        key.chmod(0o644)
    (world.folder / "allowed_signers").chmod(0o666)
    with (world.folder / "gateway.toml").open("a") as toml:
        toml.write('[[serial]]\nname = "other"\nport = "/dev/not-there"\n')
        toml.write(f'[[serial]]\nname = "file"\nport = "{world.folder}/gateway.toml"\n')
        toml.write('[mqtt]\nhost = "broker.invalid"\nport = 1\n')
    result = tinyfleet(site, "doctor")
    assert result.exit_code == 1
    for words in ("UnsignedCommit", "chmod 600", "chmod go-w", "/dev/not-there does not exist", "not a serial port"):
        assert words in result.output
    assert "not encrypted" in result.output
    assert "correct `host`" in result.output


def test_doctor_finds_a_clock_that_was_set_back(site: Site) -> None:
    site.start_devices()
    site.world.commit("Begin", site.first_files())
    reconciled(site)
    db = sqlite3.connect(site.world.folder / "state" / "state.db")
    with db:
        db.execute("UPDATE device SET seen_at = seen_at + 864000")
    db.close()
    findings = {each["check"]: each for each in parsed(tinyfleet(site, "doctor", "--output", "json"))}
    assert findings["clock"]["severity"] == "error"


def test_config_is_checked_and_shown_with_defaults(site: Site) -> None:
    checked = tinyfleet(site, "config", "check")
    assert checked.exit_code == 0
    assert f"gateway {GATEWAY}" in checked.output
    shown = parsed(tinyfleet(site, "config", "show", "--output", "json"))
    assert shown["status"] == {"interval_s": 0.5, "history": 1000, "page": False}
    assert "repository.interval_s = 60.0" in tinyfleet(site, "config", "show").output
    (site.world.folder / "allowed_signers").unlink()
    assert "signers.allowed_signers" in str(tinyfleet(site, "config", "check").exception)


@pytest.mark.parametrize("words", [("doctor",), ("config", "check"), ("status",), ("reconcile",)])
def test_every_command_reports_an_invalid_configuration(site: Site, words: tuple[str, ...]) -> None:
    (site.world.folder / "gateway.toml").write_text('name = "Not A Name"\n')
    result = tinyfleet(site, *words)
    assert result.exit_code == 1
    assert "missing required field `repository`" in result.output + str(result.exception)
