# SPDX-License-Identifier: Apache-2.0
"""The service: polls Git at intervals, runs a pass when something happened, and ends in good order.

One task for each job, all on the event loop's thread; signals end them.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import random
import signal
from collections.abc import AsyncIterator, Awaitable
from pathlib import Path
from typing import TypeVar

from reconciler.daemon import runtime_status
from reconciler.daemon.assembly import Assembly
from reconciler.daemon.liveness import Liveness
from reconciler.daemon.pipeline_socket import pipeline_socket
from reconciler.daemon.sd_notify import SystemdNotifier
from reconciler.engine.engine import Engine
from reconciler.engine.task_cancellation import cancel_and_wait
from reconciler.errors import EXHAUSTED, FleetError, ResourcesExhausted
from reconciler.git.errors import WatchUnavailable
from reconciler.git.local_watch import LocalWatch
from reconciler.git.poll_interval import PollInterval, delay_s

log = logging.getLogger(__name__)

RETRY_S = 2.0  # before a failed step is tried again
COALESCE_S = 0.05  # a thousand devices that report together are one pass, not a thousand
REST = 8.0  # times the length of a pass before the next: one report must not cost a pass over ten thousand devices
MAX_REST_S = 3.0
MAX_IDLE_S = 30.0
WRITE_STATUS_S = 1.0


Result = TypeVar("Result")


class Service:
    """Runs one engine until a signal stops it."""

    def __init__(self, assembly: Assembly, cadence: PollInterval, watched: Path | None, health: Liveness) -> None:
        self._assembly = assembly
        self._engine: Engine = assembly.engine
        self._cadence = cadence
        self._watched = watched
        self._health = health
        self._notifier = SystemdNotifier()
        self._poll = asyncio.Event()
        self._stop = asyncio.Event()
        self._passed = asyncio.Event()

    async def run(self) -> None:
        """Run until SIGTERM or SIGINT."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)
        self._poll.set()
        pipelines = pipeline_socket(self._assembly.state_dir, self._engine.pipelines)
        async with self._watching(), pipelines, asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(self._assembly.links.run(), name="links"),
                group.create_task(self._engine.listen(), name="listen"),
                group.create_task(self._poll_git(), name="git"),
                group.create_task(self._run_passes(), name="passes"),
                group.create_task(self._publish_status(), name="status"),
                group.create_task(self._write_runtime_status(), name="runtime status"),
                group.create_task(self._engine.node.run(), name="operations"),
            ]
            await self._stop.wait()
            log.info("stopping: devices keep what they hold")
            self._notifier.stopping()
            await self._engine.stop()
            await cancel_and_wait(tasks)
        await self._assembly.links.close()
        await self._engine.publish(at_once=True)

    async def _poll_git(self) -> None:
        failures = 0
        while True:
            self._poll.clear()  # before the poll: a push meanwhile causes another one
            with self._health.working("git"):
                await self._try("polling Git", self._engine.poll_git())
            source = self._engine.source
            failures = failures + 1 if source is not None and source.transient else 0
            wait_s = delay_s(self._cadence, failures, random.random())  # noqa: S311 - spreads load, guards nothing
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._poll.wait(), wait_s)

    async def _try(self, what: str, step: Awaitable[Result]) -> Result | None:
        """Run a step; a failure that may pass or that an operator can repair (a full disk) is logged and retried."""
        try:
            return await step
        except FleetError as failure:
            log.error("%s failed: %s: %s", what, failure.reason, failure)  # noqa: TRY400 - expected: no traceback
        except OSError as error:
            if error.errno not in EXHAUSTED:
                raise
            log.error("%s failed: %s: %s", what, ResourcesExhausted.reason, error)  # noqa: TRY400 - expected
        await asyncio.sleep(RETRY_S)  # what was full or used up may be free by then
        self._engine.wake.set()
        return None

    async def _run_passes(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._engine.wake.wait(), self._idle_s())
            self._engine.wake.clear()
            began_s = loop.time()
            with self._health.working("pass"):
                done = await self._try("a pass", self._engine.run_pass())
            self._passed.set()
            status = self._engine.summary()
            if done is not None and not self._health.ready:
                self._health.ready = True
                self._notifier.ready(status)
                # The fleet stays in memory: scanning all of it at each garbage collection took half of the time.
                gc.collect()
                gc.freeze()
            if self._health.stuck() is None:
                self._notifier.alive(status)
            await asyncio.sleep(rest_s(loop.time() - began_s))  # so passes take a bounded share of the time

    async def _publish_status(self) -> None:
        """Commit the status when it is due; passes continue meanwhile."""
        while True:
            self._passed.clear()
            due_in_s = self._engine.publish_in_s()
            if due_in_s == 0.0:
                with self._health.working("status"):
                    await self._try("committing the status", self._engine.publish())
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._passed.wait(), self._engine.publish_in_s())

    async def _write_runtime_status(self) -> None:
        """Write the runtime status for `tinyfleet status` after each pass; a full disk must not end the daemon."""
        written = -1
        links, rates = self._assembly.links, self._assembly.rates
        while True:
            rates.note(links.statistics())
            if self._engine.passes != written:
                written = self._engine.passes
                try:
                    runtime_status.write(self._assembly.state_dir, runtime_status.live_of(self._engine, links, rates))
                except OSError as error:
                    log.warning("cannot write %s: %s", runtime_status.FILE, error.strerror)
            await asyncio.sleep(WRITE_STATUS_S)

    def _idle_s(self) -> float:
        watchdog_s = self._notifier.watchdog_s
        limits = [MAX_IDLE_S, self._engine.next_pass_in_s()]
        if watchdog_s is not None:
            limits.append(watchdog_s / 3)
        return min(limit for limit in limits if limit is not None)

    @contextlib.asynccontextmanager
    async def _watching(self) -> AsyncIterator[None]:
        """Watch a repository on this machine, so that a push is seen at once; polling works without it."""
        if self._watched is None:
            yield
            return
        loop = asyncio.get_running_loop()
        try:
            watch = LocalWatch(self._watched, lambda: _wake(loop, self._poll))
        except WatchUnavailable as unavailable:
            log.warning("%s; polling only", unavailable)
            yield
            return
        with watch:
            yield


def rest_s(pass_s: float) -> float:
    """Return how long to collect changes after a pass that took this long."""
    return max(COALESCE_S, min(REST * pass_s, MAX_REST_S))


def _wake(loop: asyncio.AbstractEventLoop, event: asyncio.Event) -> None:
    loop.call_soon_threadsafe(event.set)
