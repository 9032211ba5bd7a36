# SPDX-License-Identifier: Apache-2.0
"""Nothing runs twice, within limits."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from reconciler.operations.limits import REMEMBERED_S
from reconciler.operations.recent_calls import CallState, RecentCalls

S = CallState


def test_a_call_that_comes_again_gets_the_same_answer() -> None:
    calls = RecentCalls[str, bytes]()
    assert calls.begin("a", 0.0) == (S.NEW, None)
    assert calls.begin("a", 1.0) == (S.RUNNING, None)
    calls.end("a", b"answer", 6)
    assert calls.begin("a", REMEMBERED_S - 0.1) == (S.ANSWERED, b"answer")
    assert calls.begin("a", REMEMBERED_S) == (S.NEW, None)


def test_a_call_that_still_runs_is_never_forgotten() -> None:
    calls = RecentCalls[str, bytes]()
    calls.begin("a", 0.0)
    assert calls.begin("b", 5 * REMEMBERED_S) == (S.NEW, None)
    assert calls.begin("a", 5 * REMEMBERED_S) == (S.RUNNING, None)


def test_the_oldest_answers_are_dropped_and_their_calls_remembered() -> None:
    calls = RecentCalls[str, bytes](answer_bytes=10)
    for name in "abc":
        calls.begin(name, 0.0)
        calls.end(name, b"12345", 5)
    assert calls.begin("a", 1.0) == (S.DROPPED, None)
    assert calls.begin("c", 1.0) == (S.ANSWERED, b"12345")


def test_more_calls_than_can_be_remembered_are_refused() -> None:
    calls = RecentCalls[str, bytes](calls=2)
    for name in "ab":
        assert calls.begin(name, 0.0)[0] is S.NEW
        calls.end(name, b"", 0)
    assert calls.begin("c", 1.0) == (S.FULL, None)
    assert calls.begin("c", REMEMBERED_S) == (S.NEW, None)


EVENTS = st.lists(st.tuples(st.sampled_from("abcd"), st.floats(0, 400), st.booleans()), max_size=40)


@given(EVENTS)
def test_nothing_runs_twice_within_the_time(events: list[tuple[str, float, bool]]) -> None:
    calls = RecentCalls[str, int](calls=3, answer_bytes=2)
    now, begun, running = 0.0, dict[str, float](), set[str]()
    for name, later, ends in events:
        now += later
        state, answer = calls.begin(name, now)
        if state is S.NEW:
            assert name not in running
            assert now - begun.get(name, -REMEMBERED_S) >= REMEMBERED_S
            begun[name] = now
            running.add(name)
        elif state is S.ANSWERED:
            assert answer == begun[name]
        if ends and name in running:
            running.discard(name)
            calls.end(name, begun[name], 1)  # type: ignore[arg-type]  # the answer names when the call began
