# SPDX-License-Identifier: Apache-2.0
"""A change as a trace, from the enforced commit to the confirmation, taken by a collector over real HTTP."""

from __future__ import annotations

import asyncio
from collections import deque

import pytest

from reconciler.config import TracingConfig
from reconciler.daemon.trace_sender import MAX_SPANS, ChangeTracer, TraceSender
from reconciler.devices.conversation import Confirmed, Lost
from reconciler.engine.delivery.deliveries import Delivered
from reconciler.model import DeviceId
from reconciler.report.change_trace import ChangeSpan, traces_request
from reconciler.report.commit_outcome import CommitOutcome, CommitState
from tests.daemon.webhook_receiver import Receiver
from tests.engine.reports import report

COMMIT, NEXT = "5" * 40, "6" * 40
PENDING = CommitOutcome(COMMIT, CommitState.PENDING, "wave 1 of 3")
SUCCESS = CommitOutcome(COMMIT, CommitState.SUCCESS, "1 rollout complete")
FAILURE = CommitOutcome(COMMIT, CommitState.FAILURE, "stopped")
PUMP = DeviceId("pump-1")
RUNNING = {PUMP: "pump-1: forest@2"}


class Nanoseconds:
    """A clock that a test moves."""

    now = 0

    def __call__(self) -> int:
        return self.now


@pytest.fixture
def clock() -> Nanoseconds:
    return Nanoseconds()


@pytest.fixture
def tracer(clock: Nanoseconds) -> ChangeTracer:
    return ChangeTracer(clock)


def change(tracer: ChangeTracer, clock: Nanoseconds) -> None:
    """Go from a commit to a confirmed device, with a delivery that is lost first."""
    clock.now = 100
    tracer.look(COMMIT, [PENDING], {})
    clock.now = 200
    tracer.look(COMMIT, [PENDING], RUNNING)
    clock.now = 300
    tracer.delivered(Delivered(PUMP, "pump-1: forest@2", Lost("no answer")))
    tracer.look(COMMIT, [PENDING], {})
    clock.now = 400
    tracer.look(COMMIT, [PENDING], RUNNING)
    clock.now = 500
    tracer.delivered(Delivered(PUMP, "pump-1: forest@2", Confirmed(report(1))))
    clock.now = 600
    tracer.look(COMMIT, [SUCCESS], {})


def sent(tracer: ChangeTracer, gateway: str = "hall") -> dict[str, dict[str, object]]:
    """Send what has ended to a collector; return its spans by id."""
    receiver = Receiver(answers=[200])
    with receiver.served() as url:
        settings = TracingConfig(url.removesuffix("/hook"), 5.0)
        asyncio.run(TraceSender(gateway, settings, lambda: 0.0).flush(tracer.ended))
    got = receiver.taken.get_nowait()
    assert (got.method, got.path) == ("POST", "/v1/traces")
    (resource,) = got.document["resourceSpans"]
    named = {each["key"]: each["value"]["stringValue"] for each in resource["resource"]["attributes"]}
    assert (named["service.name"], named["service.instance.id"]) == ("tinyfleet", gateway)
    (scope,) = resource["scopeSpans"]
    return {span["spanId"]: span for span in scope["spans"]}


def test_a_change_is_one_trace_from_the_commit_to_the_confirmation(tracer: ChangeTracer, clock: Nanoseconds) -> None:
    change(tracer, clock)
    spans = sent(tracer)
    assert len(spans) == 3
    assert {span["traceId"] for span in spans.values()} == {COMMIT[:32]}
    (root,) = [span for span in spans.values() if "parentSpanId" not in span]
    assert (root["name"], root["startTimeUnixNano"], root["endTimeUnixNano"]) == ("change", "100", "600")
    assert root["status"] == {"code": 1}
    children = [span for span in spans.values() if span is not root]
    assert {span["parentSpanId"] for span in children} == {root["spanId"]}
    assert [(each["startTimeUnixNano"], each["endTimeUnixNano"], each["status"]) for each in children] == [
        ("200", "300", {"code": 2, "message": "lost: no answer"}),
        ("400", "500", {"code": 1}),
    ]
    assert not tracer.ended


def test_gateways_share_the_trace_and_not_the_spans(clock: Nanoseconds) -> None:
    found = []
    for gateway in ("hall", "yard"):
        tracer = ChangeTracer(clock)
        change(tracer, clock)
        found.append(sent(tracer, gateway))
    assert {span["traceId"] for spans in found for span in spans.values()} == {COMMIT[:32]}
    assert found[0].keys().isdisjoint(found[1].keys())


def test_a_failed_change_is_an_error(tracer: ChangeTracer) -> None:
    tracer.look(COMMIT, [PENDING], {})
    tracer.look(COMMIT, [FAILURE], {})
    (span,) = tracer.ended
    assert (span.good, span.message) == (False, "stopped")


def test_a_commit_that_was_settled_before_the_start_is_not_traced(tracer: ChangeTracer) -> None:
    tracer.look(COMMIT, [], {})
    tracer.look(COMMIT, [SUCCESS], {})
    assert not tracer.ended
    tracer.look(NEXT, [], {})
    tracer.look(NEXT, [CommitOutcome(NEXT, CommitState.SUCCESS, "complete")], {})
    assert [span.commit for span in tracer.ended] == [NEXT]


def test_a_change_ends_when_the_next_begins_and_a_cancelled_delivery_is_none(tracer: ChangeTracer) -> None:
    tracer.look(COMMIT, [PENDING], RUNNING)
    tracer.look(NEXT, [], {})
    assert [(span.name, span.message) for span in tracer.ended] == [("change", "replaced by another commit")]


def test_a_delivery_between_two_looks_begins_at_the_first(tracer: ChangeTracer, clock: Nanoseconds) -> None:
    clock.now = 100
    tracer.look(COMMIT, [PENDING], {})
    clock.now = 150
    tracer.delivered(Delivered(PUMP, "pump-1: forest@2", Confirmed(report(1))))
    (span,) = tracer.ended
    assert (span.commit, span.started_ns, span.ended_ns) == (COMMIT, 100, 150)


def test_what_a_collector_refuses_is_sent_again(tracer: ChangeTracer, clock: Nanoseconds) -> None:
    change(tracer, clock)
    receiver = Receiver(answers=[503, 200])
    now = 0.0
    with receiver.served() as url:
        sender = TraceSender("hall", TracingConfig(url.removesuffix("/hook"), 5.0), lambda: now)
        asyncio.run(sender.flush(tracer.ended))
        assert len(tracer.ended) == 3
        asyncio.run(sender.flush(tracer.ended))
        assert receiver.taken.qsize() == 1, "it waits first"
        now = 2.0
        asyncio.run(sender.flush(tracer.ended))
    assert receiver.taken.qsize() == 2
    assert not tracer.ended


def test_spans_are_bounded(tracer: ChangeTracer) -> None:
    span = ChangeSpan(COMMIT, "x", 0, 1, good=True)
    tracer.ended.extend([span] * (MAX_SPANS + 10))
    assert len(tracer.ended) == MAX_SPANS
    assert isinstance(tracer.ended, deque)


def test_ids_have_the_lengths_of_opentelemetry() -> None:
    (resource,) = traces_request("hall", "0.1.0", [ChangeSpan(COMMIT, "x", 0, 1, good=True)])["resourceSpans"]
    (span,) = resource["scopeSpans"][0]["spans"]
    assert (len(span["traceId"]), len(span["spanId"])) == (32, 16)
    assert int(span["spanId"], 16) != 0
