# SPDX-License-Identifier: Apache-2.0
"""The service: passes when something happened, looks at Git in its cadence, and an end in good order."""

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
from reconciler.daemon.sd_notify import SystemdNotifier
from reconciler.engine.engine import Engine
from reconciler.engine.tasks import cancel_and_wait
from reconciler.errors import FleetError
from reconciler.git.errors import WatchUnavailable
from reconciler.git.local_watch import LocalWatch
from reconciler.git.poll_interval import PollInterval, delay_s

log = logging.getLogger(__name__)

MEND_S = 2.0  # before a failed step is tried again
COALESCE_S = 0.05  # a thousand devices that report together are one pass, not a thousand
REST = 3.0  # times as long as a pass took nothing is planned: ten thousand devices must not be gone through for each
LONGEST_REST_S = 3.0
LONGEST_IDLE_S = 30.0
TELL_S = 1.0


Result = TypeVar("Result")


class Service:
    """Runs one engine until told to stop."""

    def __init__(self, assembly: Assembly, cadence: PollInterval, watched: Path | None, health: Liveness) -> None:
        self._assembly = assembly
        self._engine: Engine = assembly.engine
        self._cadence = cadence
        self._watched = watched
        self._health = health
        self._notifier = SystemdNotifier()
        self._look = asyncio.Event()
        self._stop = asyncio.Event()
        self._passed = asyncio.Event()

    async def run(self) -> None:
        """Work until SIGTERM or SIGINT."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)
        self._look.set()
        async with self._watching(), asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(self._assembly.links.run(), name="links"),
                group.create_task(self._engine.listen(), name="listen"),
                group.create_task(self._looks(), name="git"),
                group.create_task(self._passes(), name="passes"),
                group.create_task(self._publishes(), name="status"),
                group.create_task(self._tells(), name="live"),
            ]
            await self._stop.wait()
            log.info("stopping: devices keep what they hold")
            self._notifier.stopping()
            await self._engine.stop()
            await cancel_and_wait(tasks)
        await self._assembly.links.close()
        await self._engine.publish(at_once=True)

    async def _looks(self) -> None:
        failures = 0
        while True:
            self._look.clear()  # before we look: what is pushed while we do is looked at next
            with self._health.working("git"):
                await self._tried("looking at Git", self._engine.look())
            source = self._engine.source
            failures = failures + 1 if source is not None and source.transient else 0
            wait_s = delay_s(self._cadence, failures, random.random())  # noqa: S311 - spreads load, guards nothing
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._look.wait(), wait_s)

    async def _tried(self, what: str, step: Awaitable[Result]) -> Result | None:
        """Do a step; what can be mended while we run (a full disk) is told and tried again, no reason to end."""
        try:
            return await step
        except FleetError as failure:
            log.error("%s failed: %s: %s", what, failure.reason, failure)  # noqa: TRY400 - expected: no traceback
            await asyncio.sleep(MEND_S)
            self._engine.wake.set()
            return None

    async def _passes(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._engine.wake.wait(), self._idle_s())
            self._engine.wake.clear()
            began_s = loop.time()
            with self._health.working("pass"):
                done = await self._tried("a pass", self._engine.run_pass())
            self._passed.set()
            status = self._engine.summary()
            if done is not None and not self._health.ready:
                self._health.ready = True
                self._notifier.ready(status)
                # What a fleet is made of stays: looking through all of it at each collection took half of all time.
                gc.collect()
                gc.freeze()
            if self._health.stuck() is None:
                self._notifier.alive(status)
            await asyncio.sleep(rest_s(loop.time() - began_s))  # a bounded share of the time goes to passes

    async def _publishes(self) -> None:
        """Commit the status when it is due; passes go on meanwhile."""
        while True:
            self._passed.clear()
            due_in_s = self._engine.publish_in_s()
            if due_in_s == 0.0:
                with self._health.working("status"):
                    await self._tried("committing the status", self._engine.publish())
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._passed.wait(), self._engine.publish_in_s())

    async def _tells(self) -> None:
        """Tell `tinyfleet status` of the moment, when there is news; a full disk must not end the daemon."""
        told = -1
        links, rates = self._assembly.links, self._assembly.rates
        while True:
            rates.note(links.statistics())
            if self._engine.passes != told:
                told = self._engine.passes
                try:
                    runtime_status.write(self._assembly.state_dir, runtime_status.live_of(self._engine, links, rates))
                except OSError as error:
                    log.warning("%s can't be written: %s", runtime_status.FILE, error.strerror)
            await asyncio.sleep(TELL_S)

    def _idle_s(self) -> float:
        watchdog_s = self._notifier.watchdog_s
        limits = [LONGEST_IDLE_S, self._engine.next_pass_in_s()]
        if watchdog_s is not None:
            limits.append(watchdog_s / 3)
        return min(limit for limit in limits if limit is not None)

    @contextlib.asynccontextmanager
    async def _watching(self) -> AsyncIterator[None]:
        """Watch a repository on this machine, so that a push is seen at once; without the watch we still poll."""
        if self._watched is None:
            yield
            return
        loop = asyncio.get_running_loop()
        try:
            watch = LocalWatch(self._watched, lambda: _wake(loop, self._look))
        except WatchUnavailable as unavailable:
            log.warning("%s; polling alone", unavailable)
            yield
            return
        with watch:
            yield


def rest_s(pass_s: float) -> float:
    """Return how long to collect news after a pass that took so long."""
    return max(COALESCE_S, min(REST * pass_s, LONGEST_REST_S))


def _wake(loop: asyncio.AbstractEventLoop, event: asyncio.Event) -> None:
    loop.call_soon_threadsafe(event.set)
