# SPDX-License-Identifier: Apache-2.0
"""The comment on a pull request, and the overview of rollouts on a terminal."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from rich.text import Text

from reconciler.cli.views.plan_markdown import escaped
from reconciler.cli.views.rollout_text import listed, shown
from reconciler.model import DeviceId, GatewayId, RolloutId
from reconciler.report.rollout_status import WaveFacts
from reconciler.review.formatting import duration
from reconciler.review.rollout_history import PastRollout
from reconciler.review.rollout_state import RolloutOverview, RolloutState, StuckDevice
from tests.review.changes import (
    FleetHistory,
    commented,
    device_status_file,
    fleet_files,
    fleet_history,
    gateway_status_files,
    model,
    rollout_document,
)

WIDTH = 140
NOON = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


@pytest.fixture
def repository(tmp_path: Path) -> FleetHistory:
    return fleet_history(tmp_path)


def test_a_new_rollout_shows_all_its_settings(repository: FleetHistory) -> None:
    files = fleet_files()
    rollout = files.pop("rollout.yaml")
    base = repository.commit(files)
    head = repository.commit({"rollout.yaml": rollout})
    text = commented(repository, base, head)
    assert f"#### Rollout wear: {escaped('wear@1')}, a new rollout" in text
    assert "parameters: threshold unset → 0.5" in text


def test_a_rollout_that_changes_to_another_model_names_both(repository: FleetHistory) -> None:
    base = repository.commit(fleet_files())
    other = model("1").replace("metadata: {name: wear}", "metadata: {name: tear}")
    changed = rollout_document("1").replace("model: {name: wear", "model: {name: tear")
    head = repository.commit({"other.yaml": other, "rollout.yaml": changed})
    names = f"{escaped('wear@1')} → {escaped('tear@1')}"
    assert f"#### Rollout wear: {names}" in commented(repository, base, head)


def test_new_devices_are_counted_with_the_documents(repository: FleetHistory) -> None:
    base = repository.commit(fleet_files(devices=3))
    head = repository.commit(fleet_files(devices=5))
    assert "- Devices: 2 added" in commented(repository, base, head)


def test_pending_devices_are_counted_separately(repository: FleetHistory) -> None:
    base = repository.commit(fleet_files(devices=3, rollout="") | {"rollout.yaml": rollout_document("2")})
    repository.status({**gateway_status_files(base), **device_status_file("pump-00", base, model="wear@1")})
    head = repository.commit({"notes.txt": "unrelated"})
    text = commented(repository, base, head)
    assert "**No device affected**, of 3 devices." in text
    assert "3 more devices not yet" in text.partition("No device affected")[2]


# ---------------------------------------------------------------- overviews of rollouts


def overview(**changes: object) -> RolloutOverview:
    waves = (
        WaveFacts("canary", 2, done=2, at_risk=0, due=0, failed=0, missing=0, open=True),
        WaveFacts("rest", 10, done=3, at_risk=1, due=4, failed=1, missing=1, open=True),
        WaveFacts("last", 4, done=0, at_risk=0, due=4, failed=0, missing=0, open=False),
    )
    fields: dict[str, object] = {
        "rollout": RolloutId("wear"),
        "model": "wear@2",
        "state": RolloutState.IN_PROGRESS,
        "since": None,
        "waves": waves,
        "message": "",
        "reported_by": (),
        "reported_at": None,
        "stuck": (),
        "stuck_count": 0,
        "ends_at": None,
        "left_s": None,
    }
    return RolloutOverview(**{**fields, **changes})  # type: ignore[arg-type]  # a test's shorthand


def drawn(*lines: Text) -> str:
    return "\n".join(line.plain for line in lines)


def test_an_overview_leaves_out_what_is_unknown() -> None:
    text = drawn(*shown(overview(), (), NOON, WIDTH))
    assert "in progress" in text
    for absent in (" for ", "at the earliest", "STUCK", "STARTED", "reported by"):
        assert absent not in text
    rows = {line.split()[1]: line.split() for line in text.splitlines() if line[:1].isdigit()}
    assert (rows["canary"][-1], rows["rest"][-1]) == ("complete", "open")
    assert rows["last"][-1] == "pending"


def test_an_overview_shows_all_that_is_known() -> None:
    stuck = StuckDevice(DeviceId("pump-07"), GatewayId("hall"), "Quarantined", "golden vectors differ", NOON)
    silent = StuckDevice(DeviceId("pump-08"), GatewayId("hall"), "NotReporting", "since noon", None)
    past = PastRollout(RolloutId("wear"), GatewayId("hall"), "wear@1", "w", NOON, NOON.replace(hour=14), "complete")
    going = PastRollout(RolloutId("wear"), GatewayId("hall"), "wear@2", "w2", NOON, None, "in-progress")
    whole = overview(
        since=NOON.replace(hour=9),
        message="wave 2 (rest): 1 missing",
        ends_at=NOON.replace(hour=15),
        left_s=10800.0,
        reported_by=(GatewayId("hall"),),
        reported_at=NOON,
        stuck=(stuck, silent),
        stuck_count=7,
    )
    text = drawn(*shown(whole, (past, going), NOON, WIDTH))
    for part in (
        f"in progress for {duration(3 * 3600)}",
        "wave 2 (rest): 1 missing",
        "at 2026-11-21 15:00 UTC",
        "golden vectors differ",
        "and 5 more",
        f"complete     {duration(7200)}",
        "reported by hall; last report at 2026-11-21 12:00:00 UTC",
    ):
        assert part in text, part


def test_a_list_shows_the_message_or_the_number_of_stuck_devices() -> None:
    assert drawn(*listed((), WIDTH)).strip() == "no rollouts"
    text = drawn(
        *listed([overview(message="suspended", left_s=60.0), overview(rollout=RolloutId("tear"), stuck_count=3)], WIDTH)
    )
    lines = {line.split()[0]: line for line in text.splitlines() if line[:1].isalpha()}
    assert lines["wear"].rstrip().endswith("suspended")
    assert lines["tear"].rstrip().endswith("3 stuck")
    assert " 5/16 " in lines["wear"]
