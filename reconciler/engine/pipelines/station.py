# SPDX-License-Identifier: Apache-2.0
"""The pipelines of this gateway: a router for each whose stages are built, replaced as a whole when Git changes one."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

from reconciler.compiler.evaluation.estimate_limits import CYCLES_PER_INSTRUCTION
from reconciler.compiler.pack.io_section import decode_io
from reconciler.compiler.pack.pack_format import SectionId, disassemble
from reconciler.engine.artifacts.catalog import ArtifactCatalog
from reconciler.engine.clock import Clock
from reconciler.engine.device_sessions import DeviceIdentity, SessionPorts
from reconciler.engine.links import Links
from reconciler.engine.observed.inventory import Inventory
from reconciler.engine.pipelines.figures import figures_of
from reconciler.engine.pipelines.holder import HolderPorts, StageHolder
from reconciler.engine.pipelines.merges import Merges
from reconciler.engine.pipelines.router import (
    InputRefused,
    PipelineBusy,
    PipelineResult,
    PipelineRouter,
    RoutedFallback,
)
from reconciler.engine.pipelines.stand_in import GatewayStandIn
from reconciler.engine.served_pipelines import served_pipelines
from reconciler.errors import FleetError, Refused, Transient
from reconciler.model import Artifact, Desired, DeviceId, Digest, MergedPipeline, ModelRef, Pipeline, PipelineId
from reconciler.model.pipelines import fallback_ref, stage_name
from reconciler.operations.codes import AnswerCode, OperationFailed
from reconciler.pipeline.forecast import PipelineForecast, built_stage, forecast
from reconciler.pipeline.places import place_of
from reconciler.pipeline.route import Route, RoutedStage, route_of, tensors_named
from reconciler.pipeline.stage_time import MICROSECONDS
from reconciler.report.pipeline_figures import PipelineFigures
from reconciler.report.pipeline_status import PipelineReport
from signing.cose import SigningKey
from signing.identifiers import device_id, vendor_id

log = logging.getLogger(__name__)

Revision = tuple[object, ...]  # the pipeline's document and the packs of its stages


class PipelineUnknown(Refused):
    """No pipeline of this gateway has the name."""

    reason: ClassVar[str] = "PipelineUnknown"


class PipelinePreparing(Transient):
    """Its stages are not built yet."""

    reason: ClassVar[str] = "PipelinePreparing"


@dataclass(frozen=True, slots=True)
class PipelinePorts:
    """What pipelines work with."""

    artifacts: ArtifactCatalog
    inventory: Inventory
    links: Links
    signer: SigningKey
    clock: Clock
    on_change: Callable[[], None]  # whether a device answers


class PipelineStation:
    """All pipelines whose devices this gateway serves. For the event loop's thread only."""

    def __init__(self, ports: PipelinePorts) -> None:
        self._ports = ports
        self._pipelines: Mapping[PipelineId, Pipeline] = {}
        self._routers: dict[PipelineId, tuple[Revision, PipelineRouter]] = {}
        self._forecasts: dict[PipelineId, PipelineForecast] = {}

    @cached_property
    def _merges(self) -> Merges:
        return Merges(self._ports.inventory.seen_at, self._ports.clock)

    def merged(self, desired: Desired) -> Desired:
        """Return what Git wants, in which pipelines continue without stages that are lost for long."""
        return self._merges.applied(desired, self.routers)

    def next_change_in_s(self) -> float | None:
        """Return after how long what is wanted may change by the passing of time alone; None: it can't."""
        return self._merges.next_change_in_s()

    def reports(self) -> tuple[PipelineReport, ...]:
        """Return what is known of each pipeline."""
        failures = self._ports.artifacts.failures
        found = []
        for name, pipeline in sorted(self._pipelines.items()):
            router = self.routers.get(name)
            if router is not None:
                found.append(PipelineReport(figures_of(router, self._forecasts[name])))
                continue
            parts = {stage_name(pipeline, number) for number in range(1, len(pipeline.stages) + 1)}
            wrong = [each for (ref, _), each in failures.items() if ref.name in parts]
            failure = (wrong[0].reason, f"{wrong[0].model}: {wrong[0].message}") if wrong else None
            without = pipeline.without if isinstance(pipeline, MergedPipeline) else ()
            figures = PipelineFigures(name, str(pipeline.model), target=pipeline.target, without=without)
            found.append(PipelineReport(figures, failure))
        return tuple(found)

    @property
    def routers(self) -> Mapping[PipelineId, PipelineRouter]:
        """The pipelines that can run."""
        return {name: router for name, (_, router) in self._routers.items()}

    @property
    def preparing(self) -> frozenset[PipelineId]:
        """The pipelines whose stages are not built."""
        return frozenset(self._pipelines.keys() - self._routers.keys())

    def watch(self, desired: Desired) -> None:
        """Take in what Git wants of our devices, and what is built of it.

        A router is replaced once all packs of its successor are built. Until the devices hold those, its recovery
        applies: a device with a pack of another revision is never asked.
        """
        self._pipelines = served_pipelines(desired)
        for name in self._routers.keys() - self._pipelines.keys():
            del self._routers[name]
        for pipeline in self._pipelines.values():
            self._prepare(desired, pipeline)

    async def run(self, name: str, data: bytes) -> PipelineResult:
        """Run one input through a pipeline."""
        known = self._routers.get(PipelineId(name))
        if known is not None:
            return await known[1].run(data)
        if name in self._pipelines:
            raise PipelinePreparing(f"the stages of {name} are not built yet; `tinyfleet status` shows why")
        raise PipelineUnknown(f"this gateway has no pipeline named {name}")

    async def infer(self, name: str, data: bytes) -> tuple[bytes, bool]:
        """Run one input for a client; return the outputs, and whether they are exact."""
        codes = {InputRefused: AnswerCode.DESCRIPTOR_MISMATCH, PipelineBusy: AnswerCode.BUSY}
        try:
            result = await self.run(name, data)
        except FleetError as failure:
            code = codes.get(type(failure), AnswerCode.NO_CAPABLE_NODE)
            raise OperationFailed(code, f"{name}: {failure}") from failure
        return result.outputs, result.exact

    def _prepare(self, desired: Desired, pipeline: Pipeline) -> None:
        artifacts = self._artifacts(desired, pipeline)
        if artifacts is None:
            return
        fallback = self._fallback_artifact(desired, pipeline)
        revision: Revision = (pipeline, fallback and fallback.digest, *(artifact.digest for artifact in artifacts))
        known = self._routers.get(pipeline.name)
        if known is not None and known[0] == revision:
            return
        try:
            self._forecasts[pipeline.name] = self._forecast(desired, pipeline, artifacts)
            self._routers[pipeline.name] = revision, self._router(desired, pipeline, artifacts, fallback)
        except FleetError as failure:  # the store has lost a pack: it is built again
            log.warning("%s: %s", pipeline.name, failure)

    def _artifacts(self, desired: Desired, pipeline: Pipeline) -> list[Artifact] | None:
        """Return the packs of all stages; None: some are not built."""
        by_key = self._ports.artifacts.available(desired).by_key
        found = []
        for number, stage in enumerate(pipeline.stages, start=1):
            ref = ModelRef(stage_name(pipeline, number), pipeline.model.version)
            artifact = by_key.get((ref, desired.devices[stage.devices[0]].type))
            if artifact is None:
                return None
            found.append(artifact)
        return found

    def _fallback_artifact(self, desired: Desired, pipeline: Pipeline) -> Artifact | None:
        """Return the pack of the fallback; None: there is none, or not yet."""
        if pipeline.fallback is None:
            return None
        ref = fallback_ref(pipeline.name, pipeline.fallback)
        kind = desired.devices[pipeline.fallback.devices[0]].type
        return self._ports.artifacts.available(desired).by_key.get((ref, kind))

    def _router(
        self, desired: Desired, pipeline: Pipeline, artifacts: list[Artifact], fallback: Artifact | None
    ) -> PipelineRouter:
        catalog = self._ports.artifacts
        stages, packs, holders = [], {}, []
        sizes: dict[int, int] = {}
        figures: Mapping[str, float] = {}
        for number, artifact in enumerate(artifacts, start=1):
            pack, figures = catalog.pack(desired, artifact), catalog.figures(desired, artifact)
            stage = _stage(number, artifact.digest, pack, figures)
            inputs, _ = decode_io(disassemble(pack).section(SectionId.IO))
            sizes |= dict(zip(stage.inputs, (item.nbytes for item in inputs), strict=True))
            packs[stage.digest16] = pack
            stages.append(stage)
            expected_s = self._expected_s(pipeline, number)
            devices = pipeline.stages[number - 1].devices
            holders.append([self._holder(desired, device, stage, expected_s) for device in devices])
        route = route_of(stages, figures, sizes)
        smaller = None if fallback is None else self._fallback(desired, pipeline, fallback, route)
        return PipelineRouter(pipeline, route, holders, GatewayStandIn(packs).run, smaller)

    def _forecast(self, desired: Desired, pipeline: Pipeline, artifacts: list[Artifact]) -> PipelineForecast:
        figures = [self._ports.artifacts.figures(desired, artifact) for artifact in artifacts]
        places = [place_of(stage, desired.devices, desired.types) for stage in pipeline.stages]
        built = [
            built_stage(each.pack_bytes, each.arena_bytes, of) for each, of in zip(artifacts, figures, strict=True)
        ]
        return forecast(pipeline, places, built, CYCLES_PER_INSTRUCTION)

    def _fallback(
        self, desired: Desired, pipeline: Pipeline, artifact: Artifact, route: Route
    ) -> RoutedFallback | None:
        catalog = self._ports.artifacts
        pack = catalog.pack(desired, artifact)
        stage = _stage(0, artifact.digest, pack, catalog.figures(desired, artifact))
        inputs, _ = decode_io(disassemble(pack).section(SectionId.IO))
        if tuple(item.nbytes for item in inputs) != route.input_bytes or pipeline.fallback is None:
            log.warning("%s: the fallback takes inputs of another size, so it is never used", pipeline.name)
            return None
        return RoutedFallback(stage, [self._holder(desired, device, stage) for device in pipeline.fallback.devices])

    def _expected_s(self, pipeline: Pipeline, number: int) -> float:
        """Return how long a run of a stage is predicted to take."""
        expected = self._forecasts[pipeline.name]
        return expected.stages[number - 1].time.busy_us / MICROSECONDS if expected.is_built else 0.0

    def _holder(self, desired: Desired, device: DeviceId, stage: RoutedStage, expected_s: float = 0.0) -> StageHolder:
        ports = self._ports
        public_key = bytes.fromhex(desired.devices[device].public_key or "")
        identity = DeviceIdentity(device, device_id(vendor_id(desired.fleet.name), device), public_key)
        sessions = SessionPorts(ports.links.session_of, ports.inventory.report_of, ports.signer, ports.clock)
        reach = HolderPorts(sessions, ports.on_change)
        return StageHolder(identity, stage, reach, expected_s)


def _stage(number: int, digest: Digest, pack: bytes, figures: Mapping[str, float]) -> RoutedStage:
    _, outputs = decode_io(disassemble(pack).section(SectionId.IO))
    return RoutedStage(
        number,
        bytes.fromhex(digest)[:16],
        tensors_named(figures, "input"),
        tensors_named(figures, "output"),
        tuple(item.nbytes for item in outputs),
    )
