# SPDX-License-Identifier: Apache-2.0
"""What a device can cause that sends whatever windows it likes, under its own name."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from reconciler.contest.decision import ContestState
from reconciler.contest.evaluated_sample import EvaluatedSample
from tests.contest.rows import EVERY, EVERYONE, RULES, A, B, alarms, decided, row

VOTES = st.fixed_dictionaries({each: st.sampled_from([True, False, None]) for each in EVERYONE})
POISON: st.SearchStrategy[list[EvaluatedSample]] = st.lists(
    st.builds(lambda minutes, votes: row(minutes, votes, device="poisoned"), st.integers(1, 119), VOTES), max_size=80
)


def honest(errors: int) -> list[EvaluatedSample]:
    """Return the rows of three other devices, with fewer errors on each than the rules allow."""
    rows = []
    for number in range(3):
        device = f"pump-{number}"
        rows += [row(2 * minute, alarms(), device=device) for minute in range(1, 20)]
        rows += [row(50 + error, alarms(A), device=device) for error in range(errors)]
    return rows


@given(POISON, st.integers(0, RULES.false_positives - 1))
def test_one_device_replaces_nothing_where_two_must_agree(poison: list[EvaluatedSample], errors: int) -> None:
    found = decided([*honest(errors), *poison], on_devices=2)
    assert found.state is ContestState.WATCHING
    assert found.cause is None


def test_without_that_rule_it_can_have_a_candidate_proposed_and_nothing_more() -> None:
    """Which is why a proposal is among the candidates of the contest, names the device, and is merged by a person."""
    poison = [row(60 + index, alarms(A), device="poisoned") for index in range(RULES.false_positives)]
    found = decided([*honest(0), *poison])
    assert found.state is ContestState.DUE
    assert found.successor in EVERYONE
    assert list(found.errors) == ["poisoned"]


def test_what_it_sends_weighs_no_more_than_the_windows_of_others() -> None:
    """A flood of false anomalies moves the rates by its own share alone: each row is one window."""
    flood = [row(60 + index / 100, alarms(A, B), device="poisoned") for index in range(500)]
    weighed = decided([*honest(0), *flood]).evidence.comparisons[B]
    assert weighed.windows == 3 * 19 * EVERY + 500
