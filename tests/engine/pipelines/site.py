# SPDX-License-Identifier: Apache-2.0
"""A pipeline's devices, each a process of its own that holds one stage, and the gateway's session with them."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from reconciler.compiler.reference.interpreter import ReferenceInterpreter
from reconciler.compiler.stages.cut_network import CutNetwork
from reconciler.compiler.tflite.network_pack import DeviceLimits
from reconciler.devices.conversation import Confirmed
from reconciler.devices.link_session import LinkSession
from reconciler.devices.reports import DeviceReport
from reconciler.engine.clock import SystemClock
from reconciler.engine.device_sessions import DeviceIdentity, SessionPorts
from reconciler.engine.pipelines.holder import HolderPorts, RunLimit, StageHolder
from reconciler.engine.pipelines.router import PipelineRouter, RoutedFallback
from reconciler.engine.pipelines.stand_in import GatewayStandIn
from reconciler.model import DeviceId, ModelRef, Pipeline, PipelineId, PipelineStage, Recovery, Version
from reconciler.pipeline.route import Route, RoutedStage
from tests.firmware.bench import Bench, Made, make_pack
from tests.firmware.orders import digest
from tests.firmware.talk import job
from tests.firmware.vdev import Vdev

DEADLINE_S = 3600
BLOCK_BYTES = 1024
NO_LIMITS = DeviceLimits()


@dataclass(frozen=True)
class BuiltStages:
    """The packs of all stages of a network, and the route through them."""

    packs: tuple[bytes, ...]
    route: Route


def build_stages(network: CutNetwork, cuts: Sequence[int], limits: DeviceLimits = NO_LIMITS) -> BuiltStages:
    """Cut a network before these operators."""
    ends = (*cuts, network.operators)
    built = [network.stage(first, end, limits) for first, end in zip((0, *cuts), ends, strict=True)]
    routed = []
    for number, pack in enumerate(built, start=1):
        sizes = tuple(item.nbytes for item in ReferenceInterpreter(pack.data).outputs)
        routed.append(RoutedStage(number, digest(pack.data)[:16], pack.inputs, pack.outputs, sizes))
    sizes = tuple(item.nbytes for item in ReferenceInterpreter(built[0].data).inputs)
    return BuiltStages(tuple(pack.data for pack in built), Route(tuple(routed), network.inputs, sizes, network.outputs))


class Site:
    """Devices behind one link, and routers over them."""

    def __init__(self, bench: Bench, program: Path, link: LinkSession, options: Sequence[str]) -> None:
        self.bench, self.link = bench, link
        self.made: dict[str, Made] = {}
        self.vdevs: dict[str, Vdev] = {}
        self.reports: dict[DeviceId, DeviceReport] = {}  # what a gateway would know without asking
        self.changes: list[str] = []  # devices that stopped or began to answer
        self._program, self._options = program, options

    async def add(self, name: str, pack: bytes, *options: str) -> None:
        """Start a device, and give it a stage."""
        made = self.made[name] = self.bench.device(name)
        self.vdevs[name] = Vdev(self._program, [made], (make_pack(1),), *self._options, *options).start()
        await self.give(name, pack)

    async def give(self, name: str, pack: bytes) -> None:
        """Have a device take another stage."""
        made, before = self.made[name], await self.link.report(DeviceId(name))
        assert isinstance(before, DeviceReport), before
        envelope = self.bench.install(made, pack, before.sequence + 1)
        outcome, _ = await self.link.update(job(made, envelope, pack, before, block_bytes=BLOCK_BYTES))
        assert isinstance(outcome, Confirmed), outcome

    def send(self, name: str, how: signal.Signals) -> None:
        """Send a signal to a device."""
        os.kill(self.vdevs[name].pid, how)

    def limit_of(self, name: str) -> RunLimit:
        """Return how patient the gateway is with a device."""
        del name
        return asyncio.wait_for

    def holder(self, name: str, stage: RoutedStage) -> StageHolder:
        """Return a device as the holder of a stage."""
        made = self.made[name]
        identity = DeviceIdentity(DeviceId(name), made.target.device, made.identity.public)
        sessions = SessionPorts(lambda _: self.link, self.reports.get, self.bench.gateway, SystemClock())
        ports = HolderPorts(sessions, lambda: self.changes.append(name), self.limit_of(name))
        return StageHolder(identity, stage, ports)

    def router_of(  # noqa: PLR0913 - fields of the document
        self,
        built: BuiltStages,
        *holders: Sequence[str],
        recovery: tuple[Recovery, ...] = (),
        heal_after_s: int = 600,
        in_flight: int = 4,
        queue: int = 16,
        fallback: RoutedFallback | None = None,
    ) -> PipelineRouter:
        """Return a router over devices, the first of each list before its spares."""
        stages = tuple(PipelineStage(tuple(map(DeviceId, names))) for names in holders)
        document = Pipeline(
            PipelineId("line"), ModelRef("m", Version("1")), stages,
            deadline_s=DEADLINE_S, recovery=recovery, heal_after_s=heal_after_s, in_flight=in_flight, queue=queue,
        )  # fmt: skip
        routed = built.route.stages
        made = [[self.holder(name, stage) for name in names] for stage, names in zip(routed, holders, strict=True)]
        stand_in = GatewayStandIn({digest(pack)[:16]: pack for pack in built.packs})
        return PipelineRouter(document, built.route, made, stand_in.run, fallback)

    def close(self) -> None:
        """End all devices."""
        for vdev in self.vdevs.values():
            with contextlib.suppress(ProcessLookupError, AssertionError):
                os.kill(vdev.pid, signal.SIGCONT)
            vdev.__exit__()
