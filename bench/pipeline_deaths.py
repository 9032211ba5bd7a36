# SPDX-License-Identifier: Apache-2.0
"""Deaths of devices while a pipeline works, their return, and a new version in the middle of inputs."""

from __future__ import annotations

import asyncio
import signal
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from statistics import median

import numpy as np

from bench.bars import at_most, exactly
from bench.pipeline_case import Case
from bench.pipeline_live import Figure, add_board, add_boards, names_of, running_site
from reconciler.compiler.stages.cut_network import CutNetwork
from reconciler.compiler.tflite.oracle import Oracle
from reconciler.engine.pipelines.router import PipelineRouter, PipelineStopped
from reconciler.model import Recovery
from reconciler.pipeline.forecast import GATEWAY
from reconciler.pipeline.partition import PartitionGoal
from tests.engine.pipelines.site import BuiltStages, Site, build_stages
from tests.pipeline.networks import branched

STAND_IN, SPARE = (Recovery.STAND_IN,), (Recovery.SPARE,)
VICTIM, PLACE = "d2", 1  # the device of the second stage
TYPICAL, REPEATED = 6, 5
INFERENCES, DEATHS = 1000, 20
IN_FLIGHT = 4
HEAL_AFTER_S = 2
CUT = 3  # of the small networks whose versions change


@asynccontextmanager
async def three_boards(case: Case, *more: str, quick: bool = False) -> AsyncIterator[tuple[Site, BuiltStages]]:
    """Start the boards of the fastest cuts; quick ones compute as fast as this machine."""
    found = case.cut(PartitionGoal.LATENCY)
    built = build_stages(case.network, found.cuts, case.limits)
    names = names_of(len(built.packs))
    with tempfile.TemporaryDirectory(prefix="pipe") as name:
        async with running_site(Path(name), [*names, *more]) as (site, _):
            await add_boards(site, case, found, built, quick=quick)
            yield site, built


async def deaths(case: Case) -> list[Figure]:
    """Measure how long an input waits for a device that dies, who answers then, and that nothing is lost."""
    return [*await _gaps(case), await _spare(case), *await _many_deaths(case)]


async def _gaps(case: Case) -> list[Figure]:
    """Kill and freeze a device while it computes."""
    longest: list[float] = []
    returned_s = 0.0
    async with three_boards(case) as (site, built):
        router = site.router_of(built, ["d1"], ["d2"], ["d3"], recovery=STAND_IN, heal_after_s=HEAL_AFTER_S)
        given = case.inputs(1)[0]
        typical_s = median([await _timed(router, given) for _ in range(TYPICAL)][1:])
        for how in (signal.SIGKILL, signal.SIGSTOP):
            longest.append(0.0)
            for _ in range(REPEATED):
                await _until(router, given, VICTIM)
                running = asyncio.create_task(_timed(router, given))
                await asyncio.sleep(typical_s / 2)  # it has the input by then
                site.send(VICTIM, how)
                longest[-1] = max(longest[-1], await running - typical_s)
                holder = router.holders[PLACE][0]
                failed_s = holder.failed_at_s or time.monotonic()
                _revive(site, VICTIM, how)
                allowed_s = max(time.monotonic(), failed_s + HEAL_AFTER_S)
                await _until(router, given, VICTIM)
                returned_s = max(returned_s, time.monotonic() - allowed_s)
    killed_s, frozen_s = longest
    return [
        (at_most("gap_killed_ms", 500), round(1000 * killed_s)),
        (at_most("gap_frozen_ms", 1500), round(1000 * frozen_s)),
        (at_most("heal_after_s", 3), round(returned_s, 2)),
    ]


async def _spare(case: Case) -> Figure:
    """Kill a device that has a spare, while inputs come."""
    async with three_boards(case, "d4") as (site, built):
        await add_board(site, "d4", case, built.packs[PLACE], 0.0)
        router = site.router_of(built, ["d1"], ["d2", "d4"], ["d3"], recovery=SPARE)
        given = case.inputs(1)[0]
        await _until(router, given, VICTIM)
        site.send(VICTIM, signal.SIGKILL)
        began_s = time.monotonic()
        await _until(router, given, "d4")
        return at_most("spare_s", 10), round(time.monotonic() - began_s, 2)


async def _many_deaths(case: Case) -> list[Figure]:
    """Kill and freeze one device after the other, in the middle of a thousand inputs."""
    lost = wrong = answers = done = 0
    async with three_boards(case, quick=True) as (site, built):
        router = site.router_of(built, ["d1"], ["d2"], ["d3"], recovery=STAND_IN, heal_after_s=1, in_flight=IN_FLIGHT)
        places, changed = asyncio.Semaphore(IN_FLIGHT), asyncio.Condition()

        async def one(given: bytes) -> None:
            nonlocal lost, wrong, answers, done
            async with places:
                try:
                    result = await router.run(given)
                except PipelineStopped:
                    lost += 1
                else:
                    answers += 1
                    wrong += result.outputs != case.expected(given)
            async with changed:
                done += 1
                changed.notify_all()

        async def reached(share: float) -> None:
            async with changed:
                await changed.wait_for(lambda: done >= share * INFERENCES)

        running = [asyncio.create_task(one(given)) for given in case.inputs(INFERENCES)]
        for number in range(DEATHS):
            await reached((number + 0.3) / DEATHS)
            victim = f"d{number % 3 + 1}"
            how = (signal.SIGKILL, signal.SIGSTOP)[number // 3 % 2]
            site.send(victim, how)
            await reached((number + 0.8) / DEATHS)
            _revive(site, victim, how)
        await asyncio.gather(*running)
        stood_in = sum(tally.by.get(GATEWAY, 0) for tally in router.tallies)
        print(f"# {DEATHS} deaths: the gateway ran {stood_in} of {len(built.packs) * INFERENCES} stages")
        doubled = router.answered - answers
    return [(exactly("lost", 0), lost), (exactly("wrong", 0), wrong), (exactly("doubled", 0), doubled)]


async def cutover() -> list[Figure]:
    """Change to another network while inputs come: one router after the other, as the daemon has it."""
    old, new = branched(), branched(9)
    built = [build_stages(CutNetwork(model), (CUT,)) for model in (old, new)]
    oracles = [Oracle(model) for model in (old, new)]
    chance, lost, mixed = np.random.default_rng(4), 0, 0
    with tempfile.TemporaryDirectory(prefix="pipe") as name:
        async with running_site(Path(name), ("d1", "d2")) as (site, _):
            for device, pack in zip(("d1", "d2"), built[0].packs, strict=True):
                await site.add(device, pack)
            routers = [site.router_of(each, ["d1"], ["d2"], recovery=STAND_IN, heal_after_s=0) for each in built]

            async def deliver() -> None:
                for device, pack in zip(("d1", "d2"), built[1].packs, strict=True):
                    await site.give(device, pack)

            delivering: asyncio.Task[None] | None = None
            for number in range(200):
                given = chance.bytes(built[0].route.input_bytes[0])
                router = routers[0 if number < 10 else 1]  # noqa: PLR2004 - the new packs are built
                if number == 10:  # noqa: PLR2004
                    delivering = asyncio.create_task(deliver())
                try:
                    result = await router.run(given)
                except PipelineStopped:
                    lost += 1
                    continue
                right = oracles[routers.index(router)].run([np.frombuffer(given, np.int8)])[0]
                mixed += result.outputs != right.astype(np.int8).tobytes()
                if delivering is not None and delivering.done() and result.ran == ("d1", "d2"):
                    break
            else:
                raise SystemExit("the devices never took the new version")
    return [(exactly("cutover_lost", 0), lost), (exactly("cutover_mixed", 0), mixed)]


async def _timed(router: PipelineRouter, given: bytes) -> float:
    began_s = time.monotonic()
    await router.run(given)
    return time.monotonic() - began_s


async def _until(router: PipelineRouter, given: bytes, device: str) -> None:
    """Run inputs until a device runs one."""
    while (await router.run(given)).ran[PLACE] != device:
        pass


def _revive(site: Site, name: str, how: signal.Signals) -> None:
    """Let a device continue, or start it again with the flash that it had."""
    if how is signal.SIGKILL:
        site.vdevs[name].kill()
        site.vdevs[name].start()
    else:
        site.send(name, signal.SIGCONT)
