# SPDX-License-Identifier: Apache-2.0
"""What is known of devices: replays, flapping, quarantines that end, and devices that are gone."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from reconciler.devices.reports import CapabilitiesBody, Flag
from reconciler.engine.observed.interpret import PackDefaults
from reconciler.engine.observed.inventory import Inventory
from reconciler.engine.state.records import QuarantineRecord
from reconciler.engine.state.writer import StateUnusable, StateWriter
from reconciler.model import DeviceId, Digest, RolloutId
from tests.engine.reports import NOON, PUMP, report

OTHER = DeviceId("pump-2")
FAILURE = QuarantineRecord(PUMP, Digest("ab" * 32), "the trial failed with -31", RolloutId("wear"), "revision")
CAPABILITIES = CapabilitiesBody(
    "board", bytes(16), 1, b"\x01", 8192, 1024, 512, 0, updates=True, prebaked=(), firmware="1"
)


def seen(inventory: Inventory) -> set[DeviceId]:
    return set(inventory.observed(PackDefaults(), {}).devices)


def test_an_unsolicited_report_that_is_not_newer_is_a_replay(inventory: Inventory) -> None:
    later = NOON + timedelta(minutes=1)
    assert inventory.record_report(PUMP, report(9), NOON, asked=True)
    assert not inventory.record_report(PUMP, report(9), later, asked=False)
    assert inventory.records[PUMP].seen_at == NOON
    assert inventory.record_report(PUMP, report(10), later, asked=False)
    assert inventory.records[PUMP].seen_at == later


def test_the_first_report_of_a_device_may_be_unsolicited(inventory: Inventory) -> None:
    assert inventory.record_report(PUMP, report(1), NOON, asked=False)


def test_an_answer_counts_even_if_its_counter_went_back(inventory: Inventory) -> None:
    """The device was reset: only an answer to our own question is known to be fresh."""
    inventory.record_report(PUMP, report(9, sequence=4), NOON, asked=True)
    assert inventory.record_report(PUMP, report(2), NOON, asked=True)
    assert inventory.report_of(PUMP) == report(2)


def test_the_answer_time_is_known_as_soon_as_a_device_has_told_it(inventory: Inventory, state: StateWriter) -> None:
    inventory.record_report(PUMP, report(1), NOON, asked=True)
    assert inventory.answer_s_of(PUMP) is None
    inventory.record_capabilities(PUMP, CAPABILITIES)
    assert inventory.answer_s_of(PUMP) == 2.0
    inventory.record_capabilities(PUMP, replace(CAPABILITIES, answer_ms=6_500))
    inventory.save()
    assert Inventory(state).answer_s_of(PUMP) == 6.5


def test_only_answers_enter_the_history_of_an_identity(inventory: Inventory) -> None:
    inventory.record_report(PUMP, report(1, sequence=3), NOON, asked=True)
    inventory.record_report(PUMP, report(2, sequence=9), NOON, asked=False)
    assert inventory.identities.max_sequence(PUMP) == 3
    inventory.record_report(PUMP, report(3, sequence=9), NOON, asked=True)
    assert inventory.identities.max_sequence(PUMP) == 9


def test_only_answers_tell_the_inference_rate(state: StateWriter) -> None:
    now = [0.0]
    inventory = Inventory(state, lambda: now[0])
    running = report(1).running
    assert running is not None
    for at, (inferences, asked) in enumerate(((0, True), (1000, False), (2000, False))):
        now[0] = float(at * 100)
        inventory.record_report(PUMP, replace(report(at + 1), inferences=inferences), NOON, asked=asked)
    assert inventory.evidence.rates.seconds_for(PUMP, running, 1) is None
    now[0] = 300.0
    inventory.record_report(PUMP, replace(report(4), inferences=3000), NOON, asked=True)
    assert inventory.evidence.rates.seconds_for(PUMP, running, 1000) == pytest.approx(100.0)


def test_a_report_that_verifies_ends_a_row_of_refused_ones(inventory: Inventory) -> None:
    inventory.trust.record_refused(PUMP, "SIGNATURE")
    inventory.record_report(PUMP, report(1), NOON, asked=True)
    assert inventory.trust.refused[PUMP].in_a_row == 0


def test_silence_over_a_restart_of_the_gateway_is_not_the_fault_of_a_device(
    inventory: Inventory, state: StateWriter
) -> None:
    inventory.record_report(PUMP, report(1), NOON, asked=True)
    inventory.save()
    restarted = Inventory(state)
    restarted.silent_after_s = 900.0
    restarted.record_report(PUMP, report(2), NOON + timedelta(hours=2), asked=True)
    assert restarted.observed(PackDefaults(), {}).devices[PUMP].flaps == 0
    restarted.record_report(PUMP, report(3), NOON + timedelta(hours=2, seconds=900), asked=True)
    assert restarted.observed(PackDefaults(), {}).devices[PUMP].flaps == 1


def test_a_quarantine_is_kept_over_a_restart(inventory: Inventory, state: StateWriter) -> None:
    inventory.quarantine(FAILURE)
    assert Inventory(state).why_quarantined(PUMP, FAILURE.digest) == FAILURE.why


def test_a_device_that_fell_silent_and_came_back_has_flapped(inventory: Inventory) -> None:
    inventory.silent_after_s = 900.0
    for minutes, counter in ((0, 1), (5, 2), (60, 3), (120, 4)):
        inventory.record_report(PUMP, report(counter), NOON + timedelta(minutes=minutes), asked=True)
    found = inventory.observed(PackDefaults(), {}).devices[PUMP]
    assert (found.flaps, found.flapped_at) == (2, NOON + timedelta(minutes=120))


def test_a_quarantine_ends_when_the_rollout_has_another_revision(inventory: Inventory, state: StateWriter) -> None:
    inventory.quarantine(FAILURE)
    assert inventory.why_quarantined(PUMP, FAILURE.digest) == FAILURE.why
    inventory.release_outdated({FAILURE.rollout: "revision"})
    assert inventory.observed(PackDefaults(), {}).quarantined == {(PUMP, FAILURE.digest)}
    inventory.release_outdated({FAILURE.rollout: "another revision"})
    assert inventory.observed(PackDefaults(), {}).quarantined == frozenset()
    assert inventory.why_quarantined(PUMP, FAILURE.digest) is None
    assert state.quarantined() == []


def test_nothing_is_left_of_a_device_that_is_gone(inventory: Inventory, state: StateWriter) -> None:
    for device in (PUMP, OTHER):
        inventory.record_report(device, report(1), NOON, asked=True)
    inventory.record_capabilities(PUMP, CAPABILITIES)
    inventory.quarantine(FAILURE)
    assert seen(inventory) == {PUMP, OTHER}
    inventory.save()
    inventory.forget(PUMP)  # while it is still to be interpreted, with new defaults
    assert seen(inventory) == {OTHER}
    assert inventory.capabilities_of(PUMP) is None
    assert inventory.observed(PackDefaults(), {}).quarantined == frozenset()
    assert [record.device for record in state.devices()] == [OTHER]


def test_without_a_change_the_same_object_is_observed(inventory: Inventory) -> None:
    inventory.record_report(PUMP, report(1), NOON, asked=True)
    defaults = PackDefaults()
    artifacts: dict[tuple[object, object], object] = {}
    first = inventory.observed(defaults, artifacts)  # type: ignore[arg-type]  # an empty one
    inventory.record_report(PUMP, report(2), NOON, asked=True)  # the same except for its counter
    assert inventory.observed(defaults, artifacts) is first  # type: ignore[arg-type]  # as above


def test_flags_are_counted_over_all_devices(inventory: Inventory) -> None:
    for number, flags in enumerate((Flag.JOURNAL_REPAIRED, Flag.JOURNAL_REPAIRED | Flag.ENVELOPE_REFUSED, Flag(0))):
        inventory.record_report(DeviceId(f"pump-{number}"), replace(report(1), flags=flags), NOON, asked=True)
    assert inventory.count_flags() == {"JOURNAL_REPAIRED": 2, "ENVELOPE_REFUSED": 1}


class CountedTransactions(StateWriter):
    """A state database that counts transactions, and that may have a full disk."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.transactions = 0
        self.full = False

    @contextmanager
    def transaction(self) -> Iterator[None]:
        if self.full:
            raise StateUnusable("the disk is full")
        self.transactions += 1
        with super().transaction():
            yield


def test_all_reports_since_the_last_pass_are_saved_in_one_transaction(tmp_path: Path) -> None:
    state = CountedTransactions(tmp_path / "state.db")
    inventory = Inventory(state)
    for counter in range(1, 4):
        for number in range(50):
            inventory.record_report(DeviceId(f"pump-{number}"), report(counter), NOON, asked=True)
    assert (state.transactions, state.devices(), state.identities()) == (0, [], [])
    inventory.save()
    assert state.transactions == 1
    assert [record.report for record in state.devices()] == 50 * [report(3)]
    assert len(state.identities()) == 50
    inventory.save()
    assert state.transactions == 1
    state.close()


def test_reports_that_can_not_be_saved_are_saved_by_the_next_pass(tmp_path: Path) -> None:
    state = CountedTransactions(tmp_path / "state.db")
    inventory = Inventory(state)
    inventory.record_report(PUMP, report(1), NOON, asked=True)
    state.full = True
    with pytest.raises(StateUnusable):
        inventory.save()
    state.full = False
    inventory.save()
    assert [record.device for record in state.devices()] == [PUMP]
    state.close()


def test_devices_with_another_root_are_known(state: StateWriter) -> None:
    old, new = b"old-root", b"new-root"
    inventory = Inventory(state)
    for number, root in enumerate((old, new, None)):
        inventory.record_report(DeviceId(f"d{number}"), replace(report(1), root=root), NOON, asked=True)
    inventory.save()
    assert inventory.with_another_root(new) == {"d0"}
    assert Inventory(state).with_another_root(new) == {"d0"}
    inventory.record_report(DeviceId("d0"), replace(report(2), root=new), NOON, asked=True)
    assert inventory.with_another_root(new) == set()
    inventory.forget(DeviceId("d1"))
    assert inventory.with_another_root(old) == {"d0"}
