# SPDX-License-Identifier: Apache-2.0
"""Devices that come back wrong: what their counters and sequences tell."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.devices.reports import DecisionReason, DeviceReport, Flag, ModelLocation
from reconciler.engine.observed.identity import IdentityHistories, IdentityHistory
from reconciler.engine.observed.interpret import Facts
from reconciler.engine.observed.inventory import Inventory
from reconciler.engine.observed.trust import REFUSALS, TrustLedger
from reconciler.engine.state.database import StateDatabase
from reconciler.model import DeviceId, Hold, HoldReason, NoChange, ObservedDevice, Phase, RolloutId

PUMP = DeviceId("pump-1")
KEY = "aa" * 32
BOOT = 1 << 20
NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
WAITS = Hold(PUMP, RolloutId("r"), HoldReason.WAVE, "its wave")


def report(counter: int, sequence: int = 0) -> DeviceReport:
    return DeviceReport(
        counter=counter,
        sequence=sequence,
        epoch=1,
        gateway=bytes(8),
        phase=Phase.CONFIRMED,
        place=ModelLocation.SLOT_A,
        running=bytes(16),
        other=None,
        why=DecisionReason.CONFIRMED,
        failed=None,
        error=0,
        flags=Flag(0),
        parameters=0,
        boots=counter >> 20,
        inferences=0,
        anomalies=0,
        faults=0,
        transfer=None,
    )


@pytest.fixture
def state(tmp_path: Path) -> Iterator[StateDatabase]:
    made = StateDatabase(tmp_path / "state.db")
    yield made
    made.close()


def followed(*counters: int) -> IdentityHistory:
    history = IdentityHistory(PUMP, KEY, counters[0], counters[0], 0)
    for counter in counters[1:]:
        history = history.followed_by(report(counter))
    return history


@given(st.lists(st.integers(1, 1 << 40), min_size=1, unique=True))
def test_a_counter_that_only_grows_never_alternates(counters: list[int]) -> None:
    assert followed(*sorted(counters)).alternations == 0


@given(st.lists(st.integers(1, 200), min_size=1), st.lists(st.integers(1, 200), min_size=1))
def test_a_reset_to_factory_is_at_most_one_alternation(before: list[int], after: list[int]) -> None:
    """It starts low once; when it has outgrown its old counter, that is noticed once."""
    lives = [[sum(steps[: end + 1]) for end in range(len(steps))] for steps in (before, after)]
    assert followed(*lives[0], *lives[1]).alternations <= 1 + (lives[1][0] == lives[0][-1])


@given(st.integers(2, 6), st.integers(5, 50))
def test_two_devices_that_take_turns_are_found_after_two_of_them(turns: int, apart: int) -> None:
    counters = [value for turn in range(turns + 1) for value in ((apart + turn) * BOOT, (1 + turn) * BOOT)]
    assert followed(*counters).alternations >= min(turns, 2)


def test_the_same_counter_twice_can_not_come_from_one_device() -> None:
    assert followed(5, 5, 6, 6).alternations == 2


def test_a_clone_is_remembered_over_a_restart_and_ended_by_a_new_key(state: StateDatabase) -> None:
    histories = IdentityHistories(state)
    histories.know({PUMP: KEY})
    for counter in (9, 1, 10, 2, 11):
        histories.take(PUMP, report(counter * BOOT))
    again = IdentityHistories(state)
    again.know({PUMP: KEY})
    assert again.cloned(PUMP)
    again.know({PUMP: "bb" * 32})
    assert not again.cloned(PUMP)
    again.take(PUMP, report(BOOT))
    assert not again.cloned(PUMP)


def test_the_highest_sequence_outlives_a_reset_and_a_restart(state: StateDatabase) -> None:
    view = Inventory(state)
    view.know({PUMP: KEY})
    view.take_report(PUMP, report(5 * BOOT, sequence=7), NOON, asked=True)
    view.take_report(PUMP, report(BOOT, sequence=0), NOON, asked=True)
    again = Inventory(state)
    again.know({PUMP: KEY})
    assert again.histories.highest_sequence(PUMP) == 7
    again.forget(PUMP)
    assert again.histories.highest_sequence(PUMP) == 0


def test_a_clone_is_observed_as_one(state: StateDatabase) -> None:
    view = Inventory(state)
    view.know({PUMP: KEY})
    for counter in (9, 1, 10, 2, 11):
        view.take_report(PUMP, report(counter * BOOT), NOON, asked=True)
    assert view.observed(Facts(), {}).devices[PUMP].cloned


def test_a_sequence_that_went_back_is_doubted_until_the_device_is_where_git_wants_it(state: StateDatabase) -> None:
    view = Inventory(state)
    view.know({PUMP: KEY})
    view.take_report(PUMP, report(5 * BOOT, sequence=7), NOON, asked=True)
    view.take_report(PUMP, report(6 * BOOT, sequence=2), NOON, asked=True)
    devices = view.observed(Facts(), {}).devices
    doubt = view.doubts.about([WAITS], devices)[PUMP]
    assert doubt.reason == "SequenceWentBack"
    assert "held sequence 7 and now holds 2" in doubt.message
    assert view.doubts.about([NoChange(PUMP, "as wanted")], devices) == {}


def test_a_few_messages_that_do_not_verify_are_no_reason_to_doubt(state: StateDatabase) -> None:
    doubts = TrustLedger(IdentityHistories(state))
    seen = {PUMP: ObservedDevice(NOON, Phase.CONFIRMED, None)}
    told = [doubts.refuse(PUMP, "AUTHENTICATION") for _ in range(REFUSALS - 1)]
    assert not any(told)
    assert doubts.about([WAITS], seen) == {}
    doubts.believe(PUMP)
    told = [doubts.refuse(PUMP, "SIGNER") for _ in range(REFUSALS + 1)]
    assert told.count(True) == 1
    assert doubts.about([WAITS], seen)[PUMP].reason == "NotAuthentic"
    assert doubts.refused[PUMP].count == 2 * REFUSALS
    doubts.believe(PUMP)
    assert doubts.about([WAITS], seen) == {}


def test_flags_are_counted_over_all_devices(state: StateDatabase) -> None:
    view = Inventory(state)
    for number, flags in enumerate((Flag.JOURNAL_REPAIRED, Flag.JOURNAL_REPAIRED | Flag.ENVELOPE_REFUSED, Flag(0))):
        view.take_report(DeviceId(f"pump-{number}"), replace(report(BOOT), flags=flags), NOON, asked=True)
    assert view.count_flags() == {"JOURNAL_REPAIRED": 2, "ENVELOPE_REFUSED": 1}
