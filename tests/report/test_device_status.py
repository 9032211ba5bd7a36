# SPDX-License-Identifier: Apache-2.0
"""The status of a device: its conditions and its file."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
import yaml

from reconciler.model import (
    Action,
    Blocked,
    BlockedReason,
    DeviceId,
    Digest,
    Hold,
    HoldReason,
    Install,
    ModelRef,
    NoChange,
    ObservedDevice,
    Origin,
    Phase,
    RolloutId,
    Version,
)
from reconciler.report.conditions import Condition, Status
from reconciler.report.device_status import DeviceFacts, DeviceStatus, PassStamp, device_status
from reconciler.report.status_files import device_file, read_device_file

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
    return device_status(
        DeviceFacts(action, SEEN if seen else None, "vibration@1.0.0"), PassStamp(at, commit), previous
    )


def by_type(of: DeviceStatus) -> dict[str, Condition]:
    return {condition.type: condition for condition in of.conditions}


def test_a_device_in_the_desired_state_is_ready() -> None:
    found = status(DONE)
    assert (found.ready.type, found.ready.status, found.ready.reason) == ("Ready", Status.TRUE, "Ready")


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
    found = status(action, seen=seen)
    assert found.ready.reason == reason
    assert found.ready.status is not Status.TRUE


def test_a_device_that_does_not_fit_and_is_silent_has_two_conditions() -> None:
    found = by_type(
        status(Blocked(DEVICE, ROLLOUT, BlockedReason.SLOT, "short, silent too", 512, (BlockedReason.SILENT,)))
    )
    assert (found["Fits"].reason, found["Reporting"].reason) == ("SlotTooSmall", "NotReporting")


def test_since_moves_only_when_the_status_flips() -> None:
    first = status(INSTALL)
    held = status(Hold(DEVICE, ROLLOUT, HoldReason.WAVE, "wave 2"), at=LATER, previous=first)
    assert by_type(held)["UpToDate"].since == NOON
    done = status(DONE, at=LATER, previous=held)
    assert by_type(done)["UpToDate"].since == LATER
    assert by_type(done)["Known"].since == NOON


def test_a_new_commit_without_other_changes_changes_no_byte() -> None:
    first = status(DONE)
    again = status(DONE, at=LATER, commit="c2", previous=first)
    assert again == first
    assert device_file(again) == device_file(first)


def test_equal_parameters_keep_their_types() -> None:
    rendered = [
        device_file(replace(status(DONE), parameters={"threshold": value})).partition(b"threshold: ")[2][:4]
        for value in (1, 1.0, 1)
    ]
    assert rendered == [b"1\n  ", b"1.0\n", b"1\n  "]


def test_a_device_file_is_yaml() -> None:
    found = yaml.safe_load(device_file(status(INSTALL)))
    assert found["kind"] == "DeviceStatus"
    assert found["metadata"]["name"] == "pump-1"
    assert found["status"]["running"] == "a" * 64
    assert found["status"]["conditions"][0] == {
        "type": "Ready",
        "status": "False",
        "reason": "Updating",
        "message": "1.1.0 is wanted",
        "since": "2026-05-01T12:00:00Z",
        "observedCommit": "c1",
    }


@pytest.mark.parametrize(
    "name", ["pump-1", "on", "null", "y", "pump", "1e5", "0x1f", "a-0", "e1", "nan0", "inf1", "x-1-", "12", "1_0", "é1"]
)
@pytest.mark.parametrize("why", ["as wanted", "a: long - message, " * 20, "é: - not # in\nGit"])
def test_a_device_file_is_the_document_that_yaml_renders_as_a_whole(name: str, why: str) -> None:
    data = device_file(status(Blocked(DeviceId(name), None, BlockedReason.UNKNOWN, why)))
    assert yaml.safe_load(data)["metadata"] == {"name": name}
    whole = yaml.load(data, yaml.CSafeLoader)
    again = yaml.dump(whole, Dumper=yaml.CSafeDumper, sort_keys=False, allow_unicode=True, width=120, encoding="utf-8")
    assert data == again


@pytest.mark.parametrize("action", [DONE, INSTALL, Blocked(DEVICE, None, BlockedReason.UNKNOWN, "é: - not # in\nGit")])
@pytest.mark.parametrize("seen", [True, False])
def test_a_device_file_is_read_back(action: Action, seen: bool) -> None:  # noqa: FBT001 - a table's column
    found = status(action, seen=seen)
    assert read_device_file(device_file(found)) == found
