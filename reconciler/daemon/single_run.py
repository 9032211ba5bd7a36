# SPDX-License-Identifier: Apache-2.0
"""One reconciliation from start to end: poll every device, carry out the plan, wait until nothing is in progress."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from reconciler.daemon.assembly import Assembly
from reconciler.engine.delivery.deliveries import Delivered
from reconciler.engine.engine import Engine
from reconciler.engine.pass_state import Pass
from reconciler.errors import Unusable
from reconciler.model import DeviceId

TICK_S = 0.2  # how long to wait for a wake-up before progress is shown again


@dataclass(slots=True)
class RunProgress:
    """How far a reconciliation has come."""

    to_ask: int = 0
    in_progress: int = 0
    building: int = 0
    done: dict[DeviceId, Delivered] = field(default_factory=dict)  # the last one of each device

    @property
    def failed(self) -> tuple[Delivered, ...]:
        """Return the deliveries that failed."""
        return tuple(done for done in self.done.values() if not done.good)


@dataclass(frozen=True, slots=True)
class Ended:
    """How it ended."""

    last: Pass
    progress: RunProgress
    in_time: bool


class NothingToEnforce(Unusable):
    """The daemon has never seen a commit, and could not get one."""


async def reconcile_once(
    assembly: Assembly, show: Callable[[RunProgress], None], *, deliver: bool, timeout_s: float
) -> Ended:
    """Poll Git once and run passes until nothing is in progress; without `deliver` only poll and plan."""
    engine = assembly.engine
    progress = RunProgress()
    engine.on_delivered.append(lambda done: progress.done.update({done.device: done}))
    engine.poller.all_at_once = True
    await engine.poll_git()
    if not deliver:
        return Ended(await _pass(engine, act=False), progress, in_time=True)
    in_time = True
    await _pass(engine, act=False)  # raises if there is no commit to enforce
    try:
        async with asyncio.timeout(timeout_s), asyncio.TaskGroup() as group:
            background = [
                group.create_task(assembly.links.run(), name="links"),
                group.create_task(engine.listen(), name="listen"),
            ]
            await _until_quiet(engine, progress, show)
            for task in background:
                task.cancel()
    except TimeoutError:
        in_time = False
    await engine.stop()
    last = await _pass(engine, act=False)
    await engine.publish(at_once=True)
    await assembly.links.close()
    return Ended(last, progress, in_time)


async def _until_quiet(engine: Engine, progress: RunProgress, show: Callable[[RunProgress], None]) -> None:
    while True:
        engine.wake.clear()
        await _pass(engine, act=True)
        await engine.publish()
        progress.to_ask = engine.poller.pending
        progress.in_progress = len(engine.deliveries.running)
        progress.building = len(engine.artifacts.building)
        show(progress)
        if not engine.busy:
            return
        try:
            await asyncio.wait_for(engine.wake.wait(), TICK_S)
        except TimeoutError:
            continue


async def _pass(engine: Engine, *, act: bool) -> Pass:
    done = await engine.run_pass(act=act)
    if done is None or done.desired_state.desired is None:
        source = engine.source
        why = source.message if source is not None else "Git was not polled"
        problems = done.desired_state.problems if done is not None else ()
        raise NothingToEnforce("\n".join([f"there is no commit to enforce: {why}", *problems]))
    return done
