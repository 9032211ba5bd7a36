# SPDX-License-Identifier: Apache-2.0
"""Commands that look at a gateway: its configuration, its health, its service, and a mirror that is not there yet."""

from __future__ import annotations

import json
import shutil
from datetime import timedelta
from pathlib import Path

import click
import pytest
from click.shell_completion import ShellComplete
from click.testing import CliRunner

from reconciler.cli import cli, main
from reconciler.cli.commands.install_service import run_all
from reconciler.daemon.service_files import CannotInstall
from reconciler.model import Blocked, BlockedReason, DeviceId, RolloutId
from tests.cli.known import COMMIT, RUNS, Known, known
from tests.review.changes import Works, device_says, fleet_files, gateway_says, rollout_document, works
from tests.review.test_rollout_command import says


@pytest.fixture
def gateway(tmp_path: Path) -> Known:
    return known(tmp_path, '[[serial]]\nname = "line"\nport = "/dev/ttyS99"\n')


# ---------------------------------------------------------------- configuration and health


def test_a_configuration_names_files_that_are_not_there(gateway: Known) -> None:
    words = gateway.refused("config", "check")
    for name in ("keys.gateway", "keys.status"):
        assert f"{name}: {gateway.folder}" in words
    for name in ("keys", "status_ed25519"):
        (gateway.folder / name).touch()
    assert gateway.tinyfleet("config", "check").output.strip().endswith(f"gateway hall of {gateway.folder}/fleet.git")


def test_a_configuration_is_shown_with_every_default(gateway: Known) -> None:
    text = gateway.tinyfleet("config", "show").output.splitlines()
    assert "repository.interval_s = 60.0" in text
    assert 'serial[0].port = "/dev/ttyS99"' in text
    shown = json.loads(gateway.tinyfleet("config", "show", "--output", "json").output)
    assert shown["repository"]["url"] == f"{gateway.folder}/fleet.git"
    assert shown["serial"][0]["name"] == "line"


def test_the_doctor_says_what_is_wrong_and_what_to_do(gateway: Known) -> None:
    found = gateway.tinyfleet("doctor")
    assert found.exit_code == 1
    for_programs = json.loads(gateway.tinyfleet("doctor", "--output", "json").output)
    grades = {each["what"]: each["grade"] for each in for_programs}
    assert grades["configuration"] == "good"
    wrong = [each for each in for_programs if each["grade"] != "good"]
    assert wrong
    for each in wrong:
        assert f"{each['what']}: {each['found']}\n      → {each['remedy']}" in found.output


def test_the_doctor_looks_no_further_than_a_wrong_configuration(gateway: Known) -> None:
    gateway.config.write_text('name = "Not A Name"\n')
    found = json.loads(gateway.tinyfleet("doctor", "--output", "json").output)
    assert [each["what"] for each in found] == ["configuration"]
    assert "docs/configuration.md" in found[0]["remedy"]


# ---------------------------------------------------------------- the service


def test_a_command_of_systemd_that_fails_or_is_not_there_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(CannotInstall, match=r"`sh -c echo no >&2; exit 3` failed: no"):
        run_all((("sh", "-c", "echo no >&2; exit 3"),), Path("/"), dry_run=False)
    with pytest.raises(CannotInstall, match="is this a machine that runs systemd"):
        run_all((("no-such-systemctl", "daemon-reload"),), Path("/"), dry_run=False)
    capsys.readouterr()
    run_all((("true",), ("true", "again")), Path("/"), dry_run=False)
    run_all((("false",),), Path("/"), dry_run=True)
    run_all((("false",),), Path("/image"), dry_run=False)
    assert capsys.readouterr().out.splitlines() == [
        "run: true",
        "run: true again",
        "run: false",
        "not run for an image: false",
    ]


# ---------------------------------------------------------------- the command itself


def test_commands_are_listed_and_completed_by_their_names() -> None:
    listed = CliRunner().invoke(cli, ["--help"]).output
    assert "  doctor " in listed
    assert "Find what is wrong on this gateway" in listed
    complete = ShellComplete(cli, {}, "tinyfleet", "_TINYFLEET_COMPLETE")
    assert [item.value for item in complete.get_completions([], "re")] == ["reconcile"]
    assert "--version" in [item.value for item in complete.get_completions([], "--")]
    assert cli.get_command(click.Context(cli), "no-such-command") is None


def test_a_failure_that_is_known_is_one_line_and_a_code(
    gateway: Known, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["tinyfleet", "status", "--config", str(gateway.config)])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 1
    told = capsys.readouterr().err
    assert told.startswith("tinyfleet: ")
    assert told.count("\n") == 1


# ---------------------------------------------------------------- explain and rollout on a gateway


@pytest.fixture
def mirrored(gateway: Known, tmp_path: Path) -> tuple[Known, Works]:
    """A gateway that has applied a commit of a fleet, and told of it."""
    made = works(tmp_path)
    made.commit(fleet_files(), "The hall")
    return gateway, made


def apply(gateway: Known, made: Works) -> None:
    mirror = gateway.folder / "state" / "mirror.git"
    shutil.rmtree(mirror, ignore_errors=True)
    made.git("clone", "--quiet", "--mirror", str(made.path), str(mirror))
    made.git("--git-dir", str(mirror), "update-ref", "refs/tinyfleet/applied", "HEAD")


def test_a_gateway_without_a_mirror_has_not_worked_yet(gateway: Known) -> None:
    for words in (("explain", "pump-01"), ("rollout", "list")):
        assert "this gateway has not worked yet" in gateway.refused(*words)


def test_a_gateway_explains_a_device_from_what_its_daemon_knows(mirrored: tuple[Known, Works]) -> None:
    gateway, made = mirrored
    apply(gateway, made)
    silent = Blocked(DeviceId("pump-01"), RolloutId("wear"), BlockedReason.SILENT, "not reporting since noon")
    gateway.says(silent)
    gateway.heard("pump-01", timedelta(minutes=3))
    told = gateway.tinyfleet("explain", "pump-01").output
    assert f"the last order was {RUNS[:12]} with sequence 4" in told
    assert "the trial failed with -31" in told
    assert "no daemon works on this gateway at the moment" in told
    assert f"gateway hall enforces {COMMIT[:12]}" in told
    unheard = gateway.tinyfleet("explain", "pump-02").output
    assert "its gateway has told nothing of it yet" in unheard
    assert "the last order" not in unheard


def test_a_gateway_knows_its_peers_by_what_they_committed(mirrored: tuple[Known, Works]) -> None:
    gateway, made = mirrored
    apply(gateway, made)
    head = made.git("rev-parse", "HEAD")
    gateway.says()
    made.status({**gateway_says(head, "yard"), **device_says("pump-02", head)}, "yard")
    peers = gateway.folder / "state" / "peers.git"
    made.git("clone", "--quiet", "--mirror", str(made.path), str(peers))
    told = gateway.tinyfleet("explain", "pump-02").output
    assert "wear@1" in told
    assert "Reporting became True" in told


def test_a_gateway_tells_what_became_of_a_rollout_from_its_own_status(mirrored: tuple[Known, Works]) -> None:
    gateway, made = mirrored
    apply(gateway, made)
    gateway.says()
    made.status(says(done=3))
    made.status(says(done=12))
    status = gateway.folder / "state" / "status.git"
    made.git("clone", "--quiet", "--mirror", str(made.path), str(status))
    shown = json.loads(gateway.tinyfleet("rollout", "show", "wear", "--output", "json").output)
    assert shown["history"] == []  # nothing of it is ours yet
    made.git("--git-dir", str(status), "update-ref", "refs/tinyfleet/status", "refs/heads/status/hall")
    shown = json.loads(gateway.tinyfleet("rollout", "show", "wear", "--output", "json").output)
    assert [(each["gateway"], each["outcome"]) for each in shown["history"]] == [("hall", "complete")]


def test_a_commit_with_mistakes_is_no_fleet(mirrored: tuple[Known, Works]) -> None:
    gateway, made = mirrored
    made.commit({"rollout.yaml": rollout_document("9")}, "No such model")
    apply(gateway, made)
    gateway.says()
    words = gateway.refused("rollout", "list")
    assert "has mistakes; the first of 1:" in words
    assert "rollout.yaml" in words


def test_a_fleet_without_rollouts_has_none_to_show(mirrored: tuple[Known, Works]) -> None:
    gateway, made = mirrored
    made.git("rm", "--quiet", "rollout.yaml")
    made.commit({}, "None")
    apply(gateway, made)
    gateway.says()
    assert gateway.tinyfleet("rollout", "list").output.strip() == "no rollouts"
    assert "there is no rollout wear; there is none" in gateway.tinyfleet("rollout", "show", "wear").output
    explained = gateway.tinyfleet("explain", "pump-01").output
    assert "no rollout wants anything of it" in explained
