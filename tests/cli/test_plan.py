# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from reconciler.cli import cli
from reconciler.cli.commands.plan import FORMATS
from reconciler.cli.views.plan_groups import PlanResult
from reconciler.cli.views.rollout_summaries import RolloutLine, rollout_lines
from reconciler.errors import Invalid, Unusable
from reconciler.model import (
    ActivatePrebaked,
    Blocked,
    BlockedReason,
    Commit,
    Configure,
    DeviceId,
    Hold,
    HoldReason,
    Install,
    NoChange,
    Origin,
    Rollout,
    RolloutId,
    Selector,
)
from reconciler.plan import detailed_plan, plan
from tests.plan.example_fleet import (
    BUILT,
    ESP32,
    EVERYWHERE,
    NOW,
    SEALED,
    TINY,
    V1,
    V2,
    device,
    digest_of,
    fleet,
    observe,
    seen,
)

EXAMPLE = Path(__file__).parents[2] / "fleet-repo-example"
SATURDAY = "2026-11-21T12:00:00Z"


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(cli, ["plan", *map(str, arguments)])


def planned(*arguments: str | Path) -> dict[str, Any]:
    result = run(*arguments, "--output", "json", "--all", "--at", SATURDAY)
    assert result.exit_code == 0, result.output
    document: dict[str, Any] = json.loads(result.stdout)
    return document


def observed_file(folder: Path, document: dict[str, Any]) -> Path:
    path = folder / "observed.json"
    path.write_text(json.dumps({"apiVersion": "tinyfleet/v1alpha1", "kind": "Observed", **document}), encoding="utf-8")
    return path


def test_without_observed_state_every_device_counts_as_new() -> None:
    document = planned(EXAMPLE)
    assert document["assumed"] is True
    actions = {action["device"]: action for action in document["actions"]}
    assert actions["pump-north-1"]["action"] == "install"
    assert actions["pump-north-1"]["from"] == "build"
    assert actions["pump-north-2"]["reason"] == "Wave"
    assert actions["pump-north-5"]["action"] == "activate-prebaked"
    assert sum(document["counts"].values()) == len(actions) == 13


def test_observed_state_and_its_time_are_used(tmp_path: Path) -> None:
    report = {"lastSeen": "2026-11-21T07:59:00Z", "phase": "idle"}
    path = observed_file(tmp_path, {"at": "2026-11-21T08:00:00Z", "devices": {"pump-north-1": report, "ghost": report}})
    result = run(EXAMPLE, "--observed", path, "--output", "json")
    document = json.loads(result.stdout)
    assert (document["at"], document["assumed"]) == ("2026-11-21T08:00:00+00:00", False)
    reasons = {action["device"]: action.get("reason") for action in document["actions"]}
    assert reasons["ghost"] == "UnknownDevice"
    assert reasons["pump-north-1"] is None
    assert reasons["pump-north-2"] == "NotReporting"
    assert {action.get("reason") for action in planned(EXAMPLE, "--observed", path)["actions"]} >= {"NotReporting"}


def test_observed_state_can_be_yaml(tmp_path: Path) -> None:
    path = tmp_path / "observed.yaml"
    path.write_text('apiVersion: tinyfleet/v1alpha1\nkind: Observed\nat: "2026-11-21T08:00:00Z"\n', encoding="utf-8")
    assert "2026-11-21 08:00:00 UTC" in run(EXAMPLE, "--observed", path).stdout


def test_a_commit_is_planned_without_a_working_directory(tmp_path: Path) -> None:
    def git(*arguments: str) -> str:
        settings = ("-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false")
        command = ["git", "-C", str(tmp_path), *settings, *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    git("init", "--quiet", "--initial-branch=main")
    (tmp_path / "fleet.yaml").write_text(
        "apiVersion: tinyfleet/v1alpha1\nkind: Fleet\nmetadata: {name: empty}\nspec: {}\n", encoding="utf-8"
    )
    git("add", ".")
    git("commit", "--quiet", "--message", "empty")
    (tmp_path / "fleet.yaml").unlink()
    assert planned(tmp_path, "--commit", "HEAD")["commit"] == git("rev-parse", "HEAD")
    assert run(tmp_path).exit_code == 1
    assert run(tmp_path, "--commit", "no-such-thing").exit_code == 1


def test_a_plan_can_be_limited_to_one_gateway() -> None:
    south = planned(EXAMPLE, "--gateway", "hall-south")
    assert {action["device"].split("-")[1] for action in south["actions"]} == {"south"}
    result = run(EXAMPLE, "--gateway", "hall-soth")
    assert result.exit_code == 1
    assert "did you mean `hall-south`?" in str(result.exception)


def test_a_repository_with_errors_has_no_plan(tmp_path: Path) -> None:
    (tmp_path / "fleet.yaml").write_text("kind: Fleet\n", encoding="utf-8")
    result = run(tmp_path)
    assert result.exit_code == 1
    assert "fleet.yaml:1:1" in result.stderr
    assert result.stdout == ""


def test_strict_fails_if_a_device_is_blocked(tmp_path: Path) -> None:
    path = observed_file(tmp_path, {"devices": {}})
    assert run(EXAMPLE, "--observed", path).exit_code == 0
    assert run(EXAMPLE, "--observed", path, "--strict").exit_code == 1
    assert run(EXAMPLE, "--strict").exit_code == 0


@pytest.mark.parametrize(
    "arguments", [["--at", "noon"], ["--at", "2026-11-21T12:00:00"], ["--output", "xml"], ["nowhere"]]
)
def test_a_wrong_command_line_exits_with_2(arguments: Sequence[str]) -> None:
    assert run(*arguments).exit_code == 2


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("o.json", "{", "not JSON"),
        ("o.json", "[" * 100_000, "not JSON"),
        ("o.json", "[]", "found a list"),
        ("o.yaml", "a: 1\na: 2\n", "duplicate key"),
        ("o.yaml", "", "0 documents"),
        ("o.yaml", "kind: Observed\napiVersion: tinyfleet/v1alpha1\ndevices: {d1: {phase: idle}}\n", "lastSeen"),
        (
            "o.yaml",
            'kind: Observed\napiVersion: tinyfleet/v1alpha1\nat: "2026-02-30T08:00:00Z"\n',
            "not a valid date and time",
        ),
        ("o.json", '{"apiVersion": "tinyfleet/v1alpha1", "kind": "Observed", "device": {}}', "did you mean `devices`"),
    ],
)
def test_observed_state_with_errors_is_refused(tmp_path: Path, name: str, text: str, expected: str) -> None:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    result = run(EXAMPLE, "--observed", path)
    assert isinstance(result.exception, Invalid)
    assert str(path) in str(result.exception)
    assert expected in str(result.exception)


def test_an_unreadable_file_is_reported(tmp_path: Path) -> None:
    assert isinstance(run(EXAMPLE, "--observed", tmp_path / "none.json").exception, Unusable)


# ---------------------------------------------------------------- views

MANY = fleet([device(number) for number in range(3000)], [EVERYWHERE])


def large_plan() -> PlanResult:
    """Three thousand devices: one is silent, every hundredth has never reported, and nothing is built."""
    reports = {str(each): seen() for number, each in enumerate(MANY.devices) if number % 100}
    reports["d007"] = seen(last_seen=NOW.replace(hour=3))
    return PlanResult(plan(MANY, observe(reports), NOW), Commit("c" * 40), NOW, assumed=False)


@pytest.mark.parametrize("form", ["text", "markdown"])
def test_three_thousand_devices_fit_a_screen_exceptions_first(form: str) -> None:
    output = FORMATS[form](large_plan(), every=False)
    assert len(output.splitlines()) < 25
    assert output.index("NotReporting") < output.index("from build")
    assert "d000, d100, d1000, d1100, d1200, d1300 and 24 more: has never reported" in output
    assert "d007: not reporting since 2026-11-21 03:00:00 UTC" in output
    assert "2,969" in output


@pytest.mark.parametrize("form", ["text", "markdown"])
def test_all_lists_every_device(form: str) -> None:
    lines = FORMATS[form](large_plan(), every=True).splitlines()
    assert sum("d1234" in line for line in lines) == 1


def test_json_lists_devices_without_a_change_only_on_request() -> None:
    quiet = PlanResult((NoChange(DeviceId("d1"), "w"),), Commit(""), NOW, assumed=False)
    short, full = (json.loads(FORMATS["json"](quiet, every=every)) for every in (False, True))
    assert (short["counts"]["no-change"], short["actions"], short["commit"]) == (1, [], None)
    assert full["actions"] == [{"device": "d1", "action": "no-change", "message": "w"}]


def test_many_different_reasons_are_cut_short() -> None:
    actions = tuple(Blocked(DeviceId(f"d{n}"), None, BlockedReason.SILENT, f"reason {n}") for n in range(9))
    output = FORMATS["text"](PlanResult(actions, Commit(""), NOW, assumed=True), every=False)
    assert "reason 4" in output
    assert "reason 5" not in output
    assert "and 4 more devices, each with its own reason" in output
    assert "No observed state given" in output


def test_markup_in_messages_is_escaped() -> None:
    action = Blocked(DeviceId("d1"), None, BlockedReason.SILENT, "<b>*x*</b> | @team #1")
    output = FORMATS["markdown"](PlanResult((action,), Commit(""), NOW, assumed=False), every=True)
    assert "\\<b\\>\\*x\\*\\</b\\> \\| \\@team \\#1" in output


EACH_KIND = (
    Blocked(DeviceId("d1"), EVERYWHERE.name, BlockedReason.SLOT, "short", 512, (BlockedReason.SILENT,)),
    Hold(DeviceId("d2"), EVERYWHERE.name, HoldReason.WAVE, "later"),
    Install(DeviceId("d3"), EVERYWHERE.name, V2, Origin.OTHER_SLOT, {"threshold": 0.5}, "still there"),
    ActivatePrebaked(DeviceId("d4"), EVERYWHERE.name, V1, {}, "made with it"),
    Configure(DeviceId("d5"), EVERYWHERE.name, {"threshold": 0.7}, "0.5 → 0.7"),
    NoChange(DeviceId("d6"), "fine"),
)


@pytest.mark.parametrize("form", ["text", "markdown"])
def test_kinds_of_action_keep_their_order(form: str) -> None:
    output = FORMATS[form](PlanResult(EACH_KIND, Commit(""), NOW, assumed=False), every=False)
    assert [output.index(action.why) for action in EACH_KIND] == sorted(
        output.index(action.why) for action in EACH_KIND
    )


def test_json_has_every_field() -> None:
    document = json.loads(FORMATS["json"](PlanResult(EACH_KIND, Commit(""), NOW, assumed=False), every=True))
    rows = [
        {key: value for key, value in row.items() if key not in {"device", "message"}} for row in document["actions"]
    ]
    assert rows == [
        {
            "action": "blocked",
            "rollout": "everywhere",
            "reason": "SlotTooSmall",
            "shortBy": 512,
            "also": ["NotReporting"],
        },
        {"action": "hold", "rollout": "everywhere", "reason": "Wave"},
        {
            "action": "install",
            "rollout": "everywhere",
            "model": "m@2",
            "from": "other-slot",
            "parameters": {"threshold": 0.5},
        },
        {"action": "activate-prebaked", "rollout": "everywhere", "model": "m@1", "parameters": {}},
        {"action": "configure", "rollout": "everywhere", "parameters": {"threshold": 0.7}},
        {"action": "no-change"},
    ]


def test_a_comment_fits_the_limit_of_forges() -> None:
    names = [f"device-with-a-name-as-long-as-they-come-{number:06}" for number in range(10_000)]
    actions = tuple(
        Hold(DeviceId(name), RolloutId(f"rollout-{number % 300}"), HoldReason.WAVE, f"why {number % 1500}" * 20)
        for number, name in enumerate(names)
    )
    output = FORMATS["markdown"](PlanResult(actions, Commit("c" * 40), NOW, assumed=True), every=False)
    assert 40_000 < len(output) < 65_536
    assert output.splitlines()[-1].startswith("- and ")


FIRST = replace(EVERYWHERE, name=RolloutId("first"), priority=1, selector=Selector(types=(TINY.name,)))
PROGRESS = [
    (EVERYWHERE, "m@2, 1 wave; wave 1 (all): 0 of 2 devices done, 2 to go"),
    (replace(EVERYWHERE, suspend=True), "m@2, suspended"),
    (replace(EVERYWHERE, depends_on=(FIRST.name,)), "m@2, starts when first is complete"),
    (replace(EVERYWHERE, priority=2, selector=Selector(types=(TINY.name,))), "m@2, none of its devices can run it"),
    (replace(EVERYWHERE, selector=Selector(types=(SEALED.name,))), "m@2, no devices"),
]


@pytest.mark.parametrize(("rollout", "summary"), PROGRESS)
def test_a_plan_shows_the_progress_of_each_rollout(rollout: Rollout, summary: str) -> None:
    desired = fleet([device(1), device(2), device(3, TINY.name)], [rollout, FIRST])
    reasoned = detailed_plan(desired, observe({name: seen() for name in ("d001", "d002", "d003")}, *BUILT), NOW)
    summaries = {each.rollout: each.summary for each in rollout_lines(desired, reasoned)}
    assert summaries["everywhere"] == summary


def test_a_complete_and_a_stopped_rollout() -> None:
    desired = fleet([device(1)], [EVERYWHERE])
    wanted = digest_of(V2, ESP32.name)
    done = detailed_plan(desired, observe({"d001": seen(wanted, parameters={"threshold": 0.5})}, *BUILT), NOW)
    assert [(each.complete, each.summary) for each in rollout_lines(desired, done)] == [(True, "m@2, complete")]
    observed = replace(observe({"d001": seen()}, *BUILT), quarantined=frozenset({(DeviceId("d001"), wanted)}))
    stopped = detailed_plan(desired, observed, NOW)
    assert [each.summary for each in rollout_lines(desired, stopped)] == ["m@2, stopped: 1 failed, 0 allowed"]


@pytest.mark.parametrize("form", ["text", "markdown"])
def test_rollouts_in_progress_come_first_and_long_lists_are_cut(form: str) -> None:
    rollouts = tuple(RolloutLine(f"r{number:02}", "m@1", number != 7, f"summary {number}", ()) for number in range(40))
    output = FORMATS[form](PlanResult((), Commit(""), NOW, assumed=False, rollouts=rollouts), every=False)
    assert output.index("summary 7") < output.index("summary 0")
    assert "and 10 more" in output
