# SPDX-License-Identifier: Apache-2.0
"""Sends changes as OpenTelemetry traces to a collector, from the enforced commit to the confirmations of devices.

Traces are for people who look into the past, and nothing depends on them: what a collector does not take is sent again
with growing pauses, and the oldest spans are dropped once there are too many.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import version

from reconciler.config import GatewayConfig, TracingConfig
from reconciler.daemon.commit_status_sender import outcomes_of
from reconciler.daemon.outgoing_http import WebhookRejected, json_request, send
from reconciler.engine.delivery.deliveries import Delivered
from reconciler.engine.engine import Engine
from reconciler.model import DeviceId
from reconciler.report.change_trace import ChangeSpan, traces_request
from reconciler.report.commit_outcome import CommitOutcome, CommitState

log = logging.getLogger(__name__)

INTERVAL_S = 0.1  # shorter than the build of a small model, so that its commit is seen while it is pending
MAX_SPANS = 2000  # that wait for the collector
MOST_AT_ONCE = 500
FIRST_WAIT_S, LONGEST_WAIT_S = 2.0, 300.0
CHANGE = "change"


@dataclass(frozen=True, slots=True)
class _Started:
    commit: str
    at_ns: int


class ChangeTracer:
    """Makes spans from what an engine does. For the event loop's thread."""

    def __init__(self, clock_ns: Callable[[], int]) -> None:
        self.ended: deque[ChangeSpan] = deque(maxlen=MAX_SPANS)
        self._clock_ns = clock_ns
        self._change: _Started | None = None
        self._seen: str | None = None
        self._tentative = True  # the first commit may have been settled long before this daemon started
        self._worked = False  # a delivery was seen, so the first commit was not settled before
        self._deliveries: dict[DeviceId, _Started] = {}
        self._looked: _Started | None = None

    def look(self, commit: str | None, outcomes: list[CommitOutcome], running: Mapping[DeviceId, str]) -> None:
        """Take in the enforced commit, what became of it, and the deliveries that run."""
        self._worked = self._worked or bool(running)
        if commit is not None and commit != self._seen:
            self._end_change(good=True, message="replaced by another commit")
            self._tentative = self._seen is None and not self._worked
            self._seen, self._change = commit, _Started(commit, self._clock_ns())
        for outcome in outcomes:
            if self._change is not None and outcome.commit == self._change.commit:
                self._settle(outcome)
        for device in running.keys() - self._deliveries.keys():
            self._deliveries[device] = _Started(commit or "", self._clock_ns())
        for device in self._deliveries.keys() - running.keys():
            del self._deliveries[device]  # cancelled: another pass wanted something else
        self._looked = _Started(commit or "", self._clock_ns())

    def delivered(self, done: Delivered) -> None:
        """Take in how a delivery ended."""
        self._worked, self._tentative = True, False
        started = self._deliveries.pop(done.device, self._looked)  # a short one began after the last look
        if started is not None and started.commit:
            about = {"tinyfleet.device": done.device, "tinyfleet.outcome": done.message}
            span = ChangeSpan(
                started.commit, f"deliver {done.subject}", started.at_ns, self._clock_ns(), done.good, done.message,
                CHANGE, about,
            )  # fmt: skip
            self.ended.append(span)

    def _settle(self, outcome: CommitOutcome) -> None:
        if outcome.state is CommitState.PENDING:
            self._tentative = False
        else:
            self._end_change(good=outcome.state is CommitState.SUCCESS, message=outcome.description)

    def _end_change(self, *, good: bool, message: str) -> None:
        if self._change is not None and not self._tentative:
            about = {"tinyfleet.outcome": message}
            started, ended = self._change.at_ns, self._clock_ns()
            self.ended.append(ChangeSpan(self._change.commit, CHANGE, started, ended, good, message, None, about))
        self._change = None


class TraceSender:
    """Sends spans that have ended."""

    def __init__(self, gateway: str, settings: TracingConfig, clock_s: Callable[[], float]) -> None:
        self._gateway = gateway
        self._settings = settings
        self._clock_s = clock_s
        self._tries = 0
        self._due_s = 0.0

    async def flush(self, ended: deque[ChangeSpan]) -> None:
        """Send what has ended, if that is due."""
        if not ended or self._clock_s() < self._due_s:
            return
        batch = [*ended][:MOST_AT_ONCE]
        body = traces_request(self._gateway, version("tinyfleet"), batch)
        request = json_request(f"{self._settings.url.rstrip('/')}/v1/traces", body)
        try:
            await asyncio.to_thread(send, request, self._settings.timeout_s)
        except WebhookRejected as failure:
            wait_s = min(LONGEST_WAIT_S, FIRST_WAIT_S * 2.0 ** min(self._tries, 16))
            self._tries, self._due_s = self._tries + 1, self._clock_s() + wait_s
            log.warning("%d spans: %s (attempt %d)", len(batch), failure, self._tries, extra={"reason": failure.reason})
            return
        self._tries = 0
        sent = {id(each) for each in batch}
        while ended and id(ended[0]) in sent:
            ended.popleft()


@contextlib.asynccontextmanager
async def sending_traces(settings: GatewayConfig, engine: Engine) -> AsyncIterator[None]:
    """Send traces for the duration of the context, if `[tracing]` is configured."""
    if settings.tracing is None:
        yield
        return
    tracer = ChangeTracer(time.time_ns)
    sender = TraceSender(settings.name, settings.tracing, asyncio.get_running_loop().time)
    engine.on_delivered.append(tracer.delivered)
    task = asyncio.create_task(_run(tracer, sender, engine), name="traces")
    try:
        yield
    finally:
        engine.on_delivered.remove(tracer.delivered)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _run(tracer: ChangeTracer, sender: TraceSender, engine: Engine) -> None:
    while True:
        tracer.look(engine.enforced, outcomes_of(engine), engine.deliveries.running)
        await sender.flush(tracer.ended)
        await asyncio.sleep(INTERVAL_S)  # nothing signals that a delivery began
