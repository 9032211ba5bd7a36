# SPDX-License-Identifier: Apache-2.0
"""Clones and factory resets are found in the counters and sequences that a device reports."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from reconciler.engine.observed.identity_history import IdentityHistories, followed_by
from reconciler.engine.observed.interpret import PackDefaults
from reconciler.engine.observed.inventory import Inventory
from reconciler.engine.state.records import IdentityRecord
from reconciler.engine.state.writer import StateWriter
from tests.engine.reports import NOON, PUMP, report

KEY = "aa" * 32
BOOT = 1 << 20


def history_of(*counters: int) -> IdentityRecord:
    history = IdentityRecord(PUMP, KEY, counters[0], counters[0], 0)
    for counter in counters[1:]:
        history = followed_by(history, report(counter))
    return history


@given(st.lists(st.integers(1, 1 << 40), min_size=1, unique=True))
def test_a_counter_that_only_grows_never_alternates(counters: list[int]) -> None:
    assert history_of(*sorted(counters)).alternations == 0


@given(st.lists(st.integers(1, 200), min_size=1), st.lists(st.integers(1, 200), min_size=1))
def test_a_factory_reset_is_at_most_one_alternation(before: list[int], after: list[int]) -> None:
    """The counter starts low once; outgrowing the old counter counts once."""
    lives = [[sum(steps[: end + 1]) for end in range(len(steps))] for steps in (before, after)]
    assert history_of(*lives[0], *lives[1]).alternations <= 1 + (lives[1][0] == lives[0][-1])


@given(st.integers(2, 6), st.integers(5, 50))
def test_two_devices_that_answer_in_turn_are_found_after_two_turns(turns: int, apart: int) -> None:
    counters = [value for turn in range(turns + 1) for value in ((apart + turn) * BOOT, (1 + turn) * BOOT)]
    assert history_of(*counters).alternations >= min(turns, 2)


def test_a_counter_that_repeats_counts_as_an_alternation() -> None:
    assert history_of(5, 5, 6, 6).alternations == 2


def test_a_clone_is_remembered_over_a_restart_and_ended_by_a_new_key(state: StateWriter) -> None:
    identities = IdentityHistories(state)
    identities.set_public_keys({PUMP: KEY})
    for counter in (9, 1, 10, 2, 11):
        identities.record(PUMP, report(counter * BOOT))
    state.save_identities(identities.of([PUMP]))
    restarted = IdentityHistories(state)
    restarted.set_public_keys({PUMP: KEY})
    assert restarted.cloned(PUMP)
    restarted.set_public_keys({PUMP: "bb" * 32})
    assert not restarted.cloned(PUMP)
    restarted.record(PUMP, report(BOOT))
    assert not restarted.cloned(PUMP)


def test_the_max_sequence_outlives_a_factory_reset_and_a_restart(state: StateWriter) -> None:
    inventory = Inventory(state)
    inventory.set_public_keys({PUMP: KEY})
    inventory.record_report(PUMP, report(5 * BOOT, sequence=7), NOON, asked=True)
    inventory.record_report(PUMP, report(BOOT, sequence=0), NOON, asked=True)
    inventory.save()
    restarted = Inventory(state)
    restarted.set_public_keys({PUMP: KEY})
    assert restarted.identities.max_sequence(PUMP) == 7
    restarted.forget(PUMP)
    assert restarted.identities.max_sequence(PUMP) == 0


def test_a_clone_is_observed_as_cloned(inventory: Inventory) -> None:
    inventory.set_public_keys({PUMP: KEY})
    for counter in (9, 1, 10, 2, 11):
        inventory.record_report(PUMP, report(counter * BOOT), NOON, asked=True)
    assert inventory.observed(PackDefaults(), {}).devices[PUMP].cloned


def test_a_device_is_behind_while_it_holds_a_lower_sequence_than_before(state: StateWriter) -> None:
    identities = IdentityHistories(state)
    identities.compare(PUMP, report(BOOT, sequence=1))
    assert identities.behind == set()  # nothing is known of it
    for counter, sequence, behind in ((1, 7, set()), (2, 6, {PUMP}), (3, 7, set()), (4, 2, {PUMP})):
        identities.record(PUMP, report(counter * BOOT, sequence=sequence))
        assert identities.behind == behind
    assert identities.max_sequence(PUMP) == 7
    identities.forget(PUMP)
    assert identities.behind == set()
    assert identities.of([PUMP]) == []


def test_an_alternation_is_a_counter_that_went_back_and_then_outgrew_the_highest() -> None:
    assert history_of(5, 3, 5).alternations == 0  # as high as the highest, not higher
    assert history_of(5, 3, 6).alternations == 1
    assert history_of(5, 6, 7).alternations == 0
