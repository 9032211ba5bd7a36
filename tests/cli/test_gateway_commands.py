# SPDX-License-Identifier: Apache-2.0
"""Commands that operate on a gateway: its configuration, health, service and mirror."""

from __future__ import annotations

import json
import shutil
from datetime import timedelta
from pathlib import Path

import click
import pytest
from click.shell_completion import ShellComplete
from click.testing import CliRunner

from reconciler.cli import COMMANDS, GROUPS, cli, main
from reconciler.cli.commands.install_service import run_all
from reconciler.daemon.service_installation import CannotInstall
from reconciler.model import Blocked, BlockedReason, DeviceId, NoChange, RolloutId
from tests.cli.gateway_folder import COMMIT, RUNS, GatewayFolder, gateway_folder
from tests.review.changes import (
    FleetHistory,
    device_status_file,
    fleet_files,
    fleet_history,
    gateway_status_files,
    rollout_document,
)
from tests.review.test_rollout_command import rollout_status_file


@pytest.fixture
def gateway(tmp_path: Path) -> GatewayFolder:
    return gateway_folder(tmp_path, '[[serial]]\nname = "line"\nport = "/dev/ttyS99"\n')


# ---------------------------------------------------------------- configuration and health


def test_missing_files_of_a_configuration_are_listed(gateway: GatewayFolder) -> None:
    message = gateway.failure("config", "check")
    for setting, name in (("keys.gateway", "keys"), ("keys.status", "status_ed25519")):
        assert f"{gateway.folder}/{name} does not exist [{setting}]" in message
    for name in ("keys", "status_ed25519"):
        (gateway.folder / name).touch()
    assert gateway.tinyfleet("config", "check").output.strip().endswith(f"gateway hall of {gateway.folder}/fleet.git")


def test_a_configuration_is_shown_with_all_defaults(gateway: GatewayFolder) -> None:
    text = gateway.tinyfleet("config", "show").output.splitlines()
    assert "repository.interval_s = 60.0" in text
    assert 'serial[0].port = "/dev/ttyS99"' in text
    shown = json.loads(gateway.tinyfleet("config", "show", "--output", "json").output)
    assert shown["repository"]["url"] == f"{gateway.folder}/fleet.git"
    assert shown["serial"][0]["name"] == "line"


def test_the_doctor_shows_problems_and_remedies(gateway: GatewayFolder) -> None:
    found = gateway.tinyfleet("doctor")
    assert found.exit_code == 1
    for_programs = json.loads(gateway.tinyfleet("doctor", "--output", "json").output)
    severities = {each["check"]: each["severity"] for each in for_programs}
    assert severities["configuration"] == "ok"
    wrong = [each for each in for_programs if each["severity"] != "ok"]
    assert wrong
    for each in wrong:
        assert f"{each['message']}; to do: {each['remedy']}" in found.output


def test_the_doctor_stops_at_an_invalid_configuration(gateway: GatewayFolder) -> None:
    gateway.config.write_text('name = "Not A Name"\n')
    found = json.loads(gateway.tinyfleet("doctor", "--output", "json").output)
    assert [each["check"] for each in found] == ["configuration"]
    assert "docs/configuration.md" in found[0]["remedy"]


# ---------------------------------------------------------------- the service


def test_a_failing_or_missing_systemd_command_is_reported(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(CannotInstall, match=r"`sh -c echo no >&2; exit 3` failed: no"):
        run_all((("sh", "-c", "echo no >&2; exit 3"),), Path("/"), dry_run=False)
    with pytest.raises(CannotInstall, match="does this machine run systemd"):
        run_all((("no-such-systemctl", "daemon-reload"),), Path("/"), dry_run=False)
    capsys.readouterr()
    run_all((("true",), ("true", "again")), Path("/"), dry_run=False)
    run_all((("false",),), Path("/"), dry_run=True)
    run_all((("false",),), Path("/image"), dry_run=False)
    assert capsys.readouterr().out.splitlines() == [
        "run: true",
        "run: true again",
        "run: false",
        "skip for an image: false",
    ]


# ---------------------------------------------------------------- the command itself


def test_help_lists_the_commands_by_reader() -> None:
    lines = CliRunner().invoke(cli, ["--help"]).output.splitlines()
    shown = [line.strip(": ") if line.endswith(":") else line.split()[0] for line in lines if line[:3].strip()]
    expected = [word for title, commands in GROUPS.items() for word in (title, *commands)]
    assert [word for word in shown if word in expected] == expected
    assert "Diagnose this gateway" in "\n".join(lines)


def test_every_command_has_the_name_of_its_module_and_its_own_help() -> None:
    context = click.Context(cli)
    for name, purpose in COMMANDS.items():
        command = cli.get_command(context, name)
        assert command is not None
        assert command.get_short_help_str(200) == purpose
        assert command.help


def test_the_help_of_every_subcommand_fits_its_line() -> None:
    for name in COMMANDS:
        lines = CliRunner().invoke(cli, [name, "--help"]).output.partition("Commands:")[2].splitlines()
        assert [line for line in lines if line.endswith("...")] == []


def test_commands_are_completed() -> None:
    complete = ShellComplete(cli, {}, "tinyfleet", "_TINYFLEET_COMPLETE")
    assert [item.value for item in complete.get_completions([], "re")] == ["reconcile"]
    assert "--version" in [item.value for item in complete.get_completions([], "--")]
    assert cli.get_command(click.Context(cli), "no-such-command") is None


def test_a_known_failure_is_one_line_and_exit_code_1(
    gateway: GatewayFolder, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["tinyfleet", "status", "--config", str(gateway.config)])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 1
    printed = capsys.readouterr().err
    assert printed.startswith("tinyfleet: ")
    assert printed.count("\n") == 1


# ---------------------------------------------------------------- explain and rollout on a gateway


@pytest.fixture
def mirrored(gateway: GatewayFolder, tmp_path: Path) -> tuple[GatewayFolder, FleetHistory]:
    """A gateway, and a repository whose commit it applies."""
    made = fleet_history(tmp_path)
    made.commit(fleet_files(), "The hall")
    return gateway, made


def apply(gateway: GatewayFolder, made: FleetHistory) -> None:
    mirror = gateway.folder / "state" / "mirror.git"
    shutil.rmtree(mirror, ignore_errors=True)
    made.git("clone", "--quiet", "--mirror", str(made.path), str(mirror))
    made.git("--git-dir", str(mirror), "update-ref", "refs/tinyfleet/applied", "HEAD")


def test_a_gateway_without_a_mirror_has_not_run_yet(gateway: GatewayFolder) -> None:
    for arguments in (("explain", "pump-01"), ("rollout", "list")):
        assert "has not run yet" in gateway.failure(*arguments)


def test_explain_includes_the_state_of_the_daemon(mirrored: tuple[GatewayFolder, FleetHistory]) -> None:
    gateway, made = mirrored
    apply(gateway, made)
    silent = Blocked(DeviceId("pump-01"), RolloutId("wear"), BlockedReason.SILENT, "not reporting since noon")
    gateway.publish(silent)
    gateway.record_report("pump-01", timedelta(minutes=3))
    text = gateway.tinyfleet("explain", "pump-01").output
    assert f"the last order: {RUNS[:12]} with sequence 4" in text
    assert "the trial failed with -31" in text
    assert "the daemon of this gateway is not running" in text
    assert f"gateway hall enforces {COMMIT[:12]}" in text
    never_seen = gateway.tinyfleet("explain", "pump-02").output
    assert "its gateway has not reported it yet" in never_seen
    assert "the last order" not in never_seen


def test_explain_includes_the_status_of_peers(mirrored: tuple[GatewayFolder, FleetHistory]) -> None:
    gateway, made = mirrored
    apply(gateway, made)
    head = made.git("rev-parse", "HEAD")
    gateway.publish()
    made.status({**gateway_status_files(head, "yard"), **device_status_file("pump-02", head)}, "yard")
    peers = gateway.folder / "state" / "peers.git"
    made.git("clone", "--quiet", "--mirror", str(made.path), str(peers))
    text = gateway.tinyfleet("explain", "pump-02").output
    assert "wear@1" in text
    assert "Reporting became True" in text


def test_a_gateway_plans_what_it_enforces_with_what_it_has_recorded(
    mirrored: tuple[GatewayFolder, FleetHistory], monkeypatch: pytest.MonkeyPatch
) -> None:
    gateway, made = mirrored
    apply(gateway, made)
    head = made.git("rev-parse", "HEAD")
    silent = Blocked(DeviceId("pump-01"), RolloutId("wear"), BlockedReason.SILENT, "not reporting since noon")
    gateway.publish(NoChange(DeviceId("pump-00"), "as desired"), silent)
    document = json.loads(gateway.tinyfleet("plan", "--output", "json", "--all").output)
    assert (document["commit"], document["assumed"]) == (head, False)
    reasons = {each["device"]: each.get("reason") for each in document["actions"]}
    assert (reasons["pump-00"], reasons["pump-01"]) == (None, "NotReporting")
    assert "cannot be combined with PATH" in gateway.tinyfleet("plan", str(made.path)).output
    monkeypatch.setenv("TINYFLEET_CONFIG", str(gateway.config))
    by_variable = CliRunner().invoke(cli, ["plan", "--output", "json", "--all"]).output
    assert json.loads(by_variable)["commit"] == head
    of_files = CliRunner().invoke(cli, ["plan", str(made.path), "--output", "json"]).output
    assert json.loads(of_files)["assumed"] is True  # a path wins over the variable


def test_the_history_of_a_rollout_comes_from_the_gateways_own_status(
    mirrored: tuple[GatewayFolder, FleetHistory],
) -> None:
    gateway, made = mirrored
    apply(gateway, made)
    gateway.publish()
    made.status(rollout_status_file(done=3))
    made.status(rollout_status_file(done=12))
    status = gateway.folder / "state" / "status.git"
    made.git("clone", "--quiet", "--mirror", str(made.path), str(status))
    shown = json.loads(gateway.tinyfleet("rollout", "show", "wear", "--output", "json").output)
    assert shown["history"] == []  # the mirror has no status of this gateway yet
    made.git("--git-dir", str(status), "update-ref", "refs/tinyfleet/status", "refs/heads/status/hall")
    shown = json.loads(gateway.tinyfleet("rollout", "show", "wear", "--output", "json").output)
    assert [(each["gateway"], each["outcome"]) for each in shown["history"]] == [("hall", "complete")]


def test_a_commit_with_errors_is_reported(mirrored: tuple[GatewayFolder, FleetHistory]) -> None:
    gateway, made = mirrored
    made.commit({"rollout.yaml": rollout_document("9")}, "No such model")
    apply(gateway, made)
    gateway.publish()
    message = gateway.failure("rollout", "list")
    assert "has 1 error; the first:" in message
    assert "rollout.yaml" in message


def test_a_fleet_without_rollouts(mirrored: tuple[GatewayFolder, FleetHistory]) -> None:
    gateway, made = mirrored
    made.git("rm", "--quiet", "rollout.yaml")
    made.commit({}, "None")
    apply(gateway, made)
    gateway.publish()
    assert gateway.tinyfleet("rollout", "list").output.strip() == "no rollouts"
    assert "no rollout named wear; known rollouts: none" in gateway.failure("rollout", "show", "wear")
    explained = gateway.tinyfleet("explain", "pump-01").output
    assert "no rollout selects the device" in explained
