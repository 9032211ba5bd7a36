# SPDX-License-Identifier: Apache-2.0
"""From a pass to the status files that changed: a device is rendered again only if its action or report changed."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field

from reconciler.engine.status.status_folder import (
    contest_statuses,
    evidence_of,
    function_statuses,
    model_statuses,
    pipeline_statuses,
    rollout_statuses,
    training_statuses,
)
from reconciler.model import (
    Action,
    Artifact,
    BuildFailure,
    ContestId,
    DeviceId,
    FunctionId,
    GatewayId,
    Observed,
    ObservedDevice,
    PipelineId,
    RolloutId,
    RolloutReport,
    ShortDigest,
    TrainingId,
    short_digest,
)
from reconciler.model.snapshot_cache import SnapshotCache
from reconciler.page.page_model import LiveState, PageModel
from reconciler.page.routes import INDEX, committed
from reconciler.report.conditions import Conditions, Status
from reconciler.report.contest_figures import ContestFigures
from reconciler.report.contest_status import ContestReport, ContestStatus
from reconciler.report.device_status import DeviceFacts, DeviceStatus, Distrust, PassStamp, device_status_since
from reconciler.report.function_status import FunctionReport, FunctionStatus
from reconciler.report.gateway_status import GatewayFacts, GatewayStatus, gateway_status
from reconciler.report.learning import LearningFacts
from reconciler.report.model_status import ModelFacts, ModelStatus
from reconciler.report.pipeline_figures import PipelineFigures
from reconciler.report.pipeline_status import PipelineReport, PipelineStatus
from reconciler.report.rollout_status import RolloutFacts, RolloutStatus
from reconciler.report.status_files import device_file, gateway_file, read_device_conditions, read_gateway_file, readme
from reconciler.report.training_figures import TrainingFigures
from reconciler.report.training_status import TrainingReport, TrainingStatus

README = "README.md"
GATEWAY = "gateway.yaml"
DEVICES = "devices/"


@dataclass(frozen=True, slots=True)
class PassOutcome:
    """What one pass has to report. Without a commit to enforce there is nothing but the gateway."""

    gateway: GatewayFacts
    stamp: PassStamp
    actions: tuple[Action, ...] = ()
    observed: Observed = field(default_factory=Observed)
    by_short_digest: Mapping[ShortDigest, Artifact] = field(default_factory=dict)
    owners: Mapping[DeviceId, RolloutId] = field(default_factory=dict)  # the rollout that has each device
    distrusted: Mapping[DeviceId, Distrust] = field(default_factory=dict)
    rollout_facts: tuple[RolloutFacts, ...] = ()
    contest_reports: tuple[ContestReport, ...] = ()
    training_reports: tuple[TrainingReport, ...] = ()
    pipeline_reports: tuple[PipelineReport, ...] = ()
    model_facts: tuple[ModelFacts, ...] = ()
    function_reports: tuple[FunctionReport, ...] = ()
    build_failures: Mapping[DeviceId, BuildFailure] = field(default_factory=dict)  # what devices wait for in vain
    learning: Mapping[DeviceId, LearningFacts] = field(default_factory=dict)  # of devices whose model learns
    pending_contests: AbstractSet[ContestId] = frozenset()  # nothing is known of them yet: their files stay
    pending_functions: bool = False  # likewise
    cohorts: Mapping[DeviceId, str] = field(default_factory=dict)  # label values (reconciler.report.cohorts)


@dataclass(slots=True)
class _RenderedDevice:
    """A device's last status, and what it was made of."""

    action: Action
    seen: ObservedDevice | None
    distrust: Distrust | None
    build_failure: BuildFailure | None
    learning: LearningFacts | None
    status: DeviceStatus

    @property
    def others(self) -> tuple[object, ...]:
        """Return what else the status was made of."""
        return self.distrust, self.build_failure, self.learning, self.status.cohort


class StatusRenderer:
    """Renders status files, and keeps the last statuses so that only changes are rendered."""

    def __init__(self, name: GatewayId, before: Mapping[str, bytes], *, page: bool = False) -> None:
        self._name = name
        self._before_start = before  # files of an earlier run: they say since when conditions hold
        self._page = page  # an HTML page next to the README
        self._page_differs = page != (INDEX in before)  # the configuration was changed since
        self._devices: dict[DeviceId, _RenderedDevice] = {}
        self._rendered: SnapshotCache[tuple[Mapping[DeviceId, object], ...]] = SnapshotCache()
        self.ready = 0  # devices that are what Git wants
        self._gateway = read_gateway_file(before[GATEWAY]) if GATEWAY in before else None
        self._rollouts = rollout_statuses(before)
        self._contests = contest_statuses(before)
        self._trainings = training_statuses(before)
        self._pipelines = pipeline_statuses(before)
        self._models = model_statuses(before)
        self._functions = function_statuses(before)
        self.contest_figures: Mapping[ContestId, ContestFigures] = {}  # of the last pass; those of a status are older
        self.training_figures: Mapping[TrainingId, TrainingFigures] = {}  # likewise
        self.pipeline_figures: Mapping[PipelineId, PipelineFigures] = {}  # likewise

    @property
    def devices(self) -> tuple[DeviceStatus, ...]:
        """Return every device's status."""
        return tuple(rendered.status for rendered in self._devices.values())

    @property
    def device_count(self) -> int:
        """Return how many devices have a status."""
        return len(self._devices)

    @property
    def gateway(self) -> GatewayStatus | None:
        """Return the gateway's status."""
        return self._gateway

    @property
    def rollouts(self) -> Mapping[RolloutId, RolloutStatus]:
        """Return every rollout's status."""
        return self._rollouts.statuses

    @property
    def contests(self) -> Mapping[ContestId, ContestStatus]:
        """Return every contest's status."""
        return self._contests.statuses

    @property
    def trainings(self) -> Mapping[TrainingId, TrainingStatus]:
        """Return every training's status."""
        return self._trainings.statuses

    @property
    def pipelines(self) -> Mapping[PipelineId, PipelineStatus]:
        """Return every pipeline's status."""
        return self._pipelines.statuses

    @property
    def functions(self) -> Mapping[FunctionId, FunctionStatus]:
        """Return the status of every function that this gateway holds."""
        return self._functions.statuses

    @property
    def models(self) -> Mapping[str, ModelStatus]:
        """Return the status of every model that rollouts and contests name."""
        return self._models.statuses

    @property
    def reports(self) -> dict[RolloutId, RolloutReport]:
        """Return what was last reported to peers about our devices in each rollout."""
        return {name: status.facts.report for name, status in self.rollouts.items()}

    def render(self, outcome: PassOutcome) -> tuple[dict[str, bytes], set[str]]:
        """Return the files that are new or different, and the paths that are gone."""
        files: dict[str, bytes] = {}
        gone = self._render_devices(outcome, files)
        gone |= self._rollouts.render(outcome.rollout_facts, outcome.stamp, files)
        self.contest_figures = {each.figures.contest: each.figures for each in outcome.contest_reports}
        contests = self._contests.render(outcome.contest_reports, outcome.stamp, files, keep=outcome.pending_contests)
        gone |= contests | evidence_of(contests)
        self.training_figures = {each.figures.training: each.figures for each in outcome.training_reports}
        gone |= self._trainings.render(
            outcome.training_reports, outcome.stamp, files, keep=self._pending_trainings(outcome)
        )
        self.pipeline_figures = {each.figures.pipeline: each.figures for each in outcome.pipeline_reports}
        gone |= self._pipelines.render(outcome.pipeline_reports, outcome.stamp, files)
        gone |= self._models.render(outcome.model_facts, outcome.stamp, files)
        functions = frozenset(self.functions) if outcome.pending_functions else frozenset()
        gone |= self._functions.render(outcome.function_reports, outcome.stamp, files, keep=functions)
        gateway = gateway_status(outcome.gateway, outcome.stamp, self._gateway)
        if files or gone or gateway != self._gateway or self._page_differs:
            self._gateway = gateway
            files[GATEWAY] = gateway_file(gateway)
            files[README] = readme(
                gateway,
                self.devices,
                outcome.owners,
                self.rollouts.values(),
                self.contests.values(),
                self.trainings.values(),
                self.pipelines.values(),
                self.functions.values(),
            )
            if self._page:
                files[INDEX] = committed(self.page(gateway))
            elif self._page_differs:
                gone.add(INDEX)
            self._page_differs = False
        self._before_start = {}
        return files, gone

    def page(self, gateway: GatewayStatus | None, live: LiveState | None = None) -> PageModel:
        """Return what a page of the gateway shows."""
        return PageModel(
            gateway,
            self.devices,
            tuple(self.rollouts.values()),
            live,
            tuple(self.contests.values()),
            tuple(self.models.values()),
            tuple(self.trainings.values()),
            tuple(self.pipelines.values()),
            tuple(self.functions.values()),
        )

    def _pending_trainings(self, outcome: PassOutcome) -> frozenset[TrainingId]:
        """Return the trainings of contests of which nothing is known yet."""
        pending = outcome.pending_contests
        return frozenset(name for name, each in self.trainings.items() if each.figures.contest in pending)

    def _render_devices(self, outcome: PassOutcome, files: dict[str, bytes]) -> set[str]:
        """Render the devices that changed; return the paths of those that are gone."""
        parts = (outcome.actions, outcome.observed.devices, outcome.by_short_digest)
        others = (outcome.distrusted, outcome.build_failures, outcome.learning, outcome.cohorts)
        if self._rendered.get(*parts) == others:
            return set()
        self._rendered.put(others, *parts)
        present = set()
        for action in outcome.actions:
            present.add(action.device)
            self._render_device(action, outcome, files)
        left = self._devices.keys() - present
        gone = {_device_path(device) for device in left}
        gone |= {
            path for path in self._before_start if path.startswith(DEVICES) and path[len(DEVICES) : -5] not in present
        }
        for device in left:
            self._count_ready(self._devices.pop(device).status, None)
        return gone

    def _count_ready(self, before: DeviceStatus | None, after: DeviceStatus | None) -> None:
        self.ready += (after is not None and after.ready.status is Status.TRUE) - (
            before is not None and before.ready.status is Status.TRUE
        )

    def _render_device(self, action: Action, outcome: PassOutcome, files: dict[str, bytes]) -> None:
        device = action.device
        seen = outcome.observed.devices.get(device)
        last = self._devices.get(device)
        distrust, failure = outcome.distrusted.get(device), outcome.build_failures.get(device)
        learning, cohort = outcome.learning.get(device), outcome.cohorts.get(device)
        others = (distrust, failure, learning, cohort)
        # Observed devices are snapshots (reconciler.model.snapshot_cache): the same object means unchanged.
        if last is not None and last.seen is seen and last.others == others:
            if last.action is action:
                return
            if last.action == action:
                last.action = action
                return
        model = _model(seen, outcome.by_short_digest)
        facts = DeviceFacts(action, seen, model, distrust, failure, learning, cohort)
        status = device_status_since(facts, outcome.stamp, self._conditions_before(device))
        self._devices[device] = _RenderedDevice(action, seen, distrust, failure, learning, status)
        self._count_ready(last.status if last is not None else None, status)
        if last is None or status != last.status:
            files[_device_path(device)] = device_file(status)

    def _conditions_before(self, device: DeviceId) -> Conditions:
        if device in self._devices:
            return self._devices[device].status.conditions
        body = self._before_start.get(_device_path(device))
        return read_device_conditions(body) if body is not None else ()


def has_stopped(before: Mapping[RolloutId, RolloutStatus], after: Mapping[RolloutId, RolloutStatus]) -> bool:
    """Return whether a rollout has just stopped. Other gateways continue it until they read that."""
    return any(
        status.facts.report.stopped and not (name in before and before[name].facts.report.stopped)
        for name, status in after.items()
    )


def _device_path(device: DeviceId) -> str:
    return f"{DEVICES}{device}.yaml"


def _model(seen: ObservedDevice | None, by_short_digest: Mapping[ShortDigest, Artifact]) -> str | None:
    if seen is None or seen.running is None:
        return None
    artifact = by_short_digest.get(short_digest(seen.running))
    return str(artifact.model) if artifact is not None else None
