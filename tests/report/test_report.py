# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
import yaml

from reconciler.model import Action, Blocked, BlockedReason, DeviceId, Digest, Hold, HoldReason, Install, ModelRef, NoChange, ObservedDevice, Origin, Phase, RolloutId, Version
from reconciler.report.conditions import Condition, Status, carried
from reconciler.report.device_status import DeviceStatus, PassStamp, device_status
from reconciler.report.gateway_status import GatewayFacts, SourceState, gateway_status
from reconciler.report.status_files import device_file, gateway_file, read_device_file, read_gateway_file, readme

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
LATER = NOON + timedelta(hours=1)
DEVICE = DeviceId("pump-1")
ROLLOUT = RolloutId("vibration")
SEEN = ObservedDevice(last_seen=NOON, phase=Phase.CONFIRMED, running=Digest("a" * 64), sequence=3)
DONE = NoChange(DEVICE, "runs vibration@1.0.0")
INSTALL = Install(DEVICE, ROLLOUT, ModelRef("vibration", Version("1.1.0")), Origin.ARTIFACT, {}, "1.1.0 is wanted")


def status(
    action: Action, *, at: datetime = NOON, commit: str = "c1", previous: DeviceStatus | None = None, seen: bool = True
) -> DeviceStatus:
    return device_status(action, SEEN if seen else None, "vibration@1.0.0", PassStamp(at, commit), previous)


def by_type(of: DeviceStatus) -> dict[str, Condition]:
    return {condition.type: condition for condition in of.conditions}


def test_a_device_that_is_where_git_wants_it_is_ready() -> None:
    told = status(DONE)
    assert (told.ready.type, told.ready.status, told.ready.reason) == ("Ready", Status.TRUE, "Ready")


@pytest.mark.parametrize(
    ("action", "seen", "reason"),
    [
        (INSTALL, True, "Updating"),
        (INSTALL, False, "NeverSeen"),
        (Hold(DEVICE, ROLLOUT, HoldReason.WINDOW, "opens at 22:00"), True, "HeldWindow"),
        (Blocked(DEVICE, None, BlockedReason.UNKNOWN, "not in Git"), True, "UnknownDevice"),
        (Blocked(DEVICE, ROLLOUT, BlockedReason.SILENT, "silent for an hour"), True, "NotReporting"),
        (Blocked(DEVICE, ROLLOUT, BlockedReason.SLOT, "512 bytes short", 512), True, "SlotTooSmall"),
        (
            Blocked(DEVICE, ROLLOUT, BlockedReason.SLOT, "short, silent too", 512, (BlockedReason.SILENT,)),
            True,
            "NotReporting",
        ),
        (Blocked(DEVICE, ROLLOUT, BlockedReason.WRONG_TYPE, "Git says a, it says b"), True, "WrongType"),
        (Blocked(DEVICE, ROLLOUT, BlockedReason.QUARANTINED, "failed here before"), True, "Quarantined"),
    ],
)
def test_ready_takes_the_first_reason_of_the_priority_list(action: Action, seen: bool, reason: str) -> None:  # noqa: FBT001 - a table's column
    told = status(action, seen=seen)
    assert told.ready.reason == reason
    assert told.ready.status is not Status.TRUE


def test_two_truths_of_one_device_are_two_conditions() -> None:
    told = by_type(
        status(Blocked(DEVICE, ROLLOUT, BlockedReason.SLOT, "short, silent too", 512, (BlockedReason.SILENT,)))
    )
    assert (told["Fits"].reason, told["Reporting"].reason) == ("SlotTooSmall", "NotReporting")


def test_since_moves_only_when_the_status_flips() -> None:
    first = status(INSTALL)
    held = status(Hold(DEVICE, ROLLOUT, HoldReason.WAVE, "wave 2"), at=LATER, previous=first)
    assert by_type(held)["UpToDate"].since == NOON
    done = status(DONE, at=LATER, previous=held)
    assert by_type(done)["UpToDate"].since == LATER
    assert by_type(done)["Known"].since == NOON


def test_a_new_commit_alone_changes_no_byte() -> None:
    first = status(DONE)
    again = status(DONE, at=LATER, commit="c2", previous=first)
    assert again == first
    assert device_file(again) == device_file(first)


def test_a_changed_message_is_told_without_moving_since() -> None:
    old = Condition("UpToDate", Status.FALSE, "Updating", "block 1", NOON, "c1")
    (new,) = carried([replace(old, message="block 2", since=LATER)], [old])
    assert (new.message, new.since) == ("block 2", NOON)


def test_files_are_yaml_that_says_the_same() -> None:
    told = yaml.safe_load(device_file(status(INSTALL)))
    assert told["kind"] == "DeviceStatus"
    assert told["metadata"]["name"] == "pump-1"
    assert told["status"]["running"] == "a" * 64
    assert told["status"]["conditions"][0] == {
        "type": "Ready",
        "status": "False",
        "reason": "Updating",
        "message": "1.1.0 is wanted",
        "since": "2026-05-01T12:00:00Z",
        "observedCommit": "c1",
    }


@pytest.mark.parametrize("action", [DONE, INSTALL, Blocked(DEVICE, None, BlockedReason.UNKNOWN, "é: - not # in\nGit")])
@pytest.mark.parametrize("seen", [True, False])
def test_reading_a_file_gives_the_status_back(action: Action, seen: bool) -> None:  # noqa: FBT001 - a table's column
    told = status(action, seen=seen)
    assert read_device_file(device_file(told)) == told


def test_the_gateway_tells_the_first_problem_and_how_many_more() -> None:
    source = SourceState(good=False, reason="UnsignedCommit", message="commit c2 is not signed")
    facts = GatewayFacts(
        "hall", source, problems=("a.yaml:1:1: x", "b.yaml:2:2: y"), links={"mqtt": "refused", "line": None}
    )
    told = gateway_status(facts, PassStamp(NOON, "c1"), None)
    assert told.ready.reason == "UnsignedCommit"
    conditions = {condition.type: condition for condition in told.conditions}
    assert conditions["Valid"].message == "a.yaml:1:1: x (and 1 more)"
    assert conditions["LinksUp"].message == "mqtt: refused"
    healed = gateway_status(GatewayFacts("hall", SourceState(True, "Fetched", "ok")), PassStamp(LATER, "c2"), told)  # noqa: FBT003 - names the field `good`
    assert healed.ready.status is Status.TRUE
    assert healed.ready.since == LATER
    assert yaml.safe_load(gateway_file(healed))["status"]["commit"] == "c2"
    assert read_gateway_file(gateway_file(healed)) == healed


def test_the_readme_counts_and_lists_what_is_stuck() -> None:
    gateway = gateway_status(GatewayFacts("hall", SourceState(True, "Fetched", "ok")), PassStamp(NOON, "c1"), None)  # noqa: FBT003 - as above
    stuck = [replace(status(INSTALL), device=DeviceId(f"pump-{number:02}")) for number in range(25)]
    devices = [status(DONE), *stuck]
    text = readme(gateway, devices, {each.device: ROLLOUT for each in devices}).decode()
    assert "1 of 26 devices" in text
    assert "| vibration | 1 | 25 Updating |" in text
    assert "and 5 more" in text
    assert text.count("| Updating |") == 20
