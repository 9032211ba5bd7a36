# SPDX-License-Identifier: Apache-2.0
"""What a page shows: the committed status values, and the live state of the daemon."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from functools import cached_property

from reconciler.model import ContestId, DeviceId, FunctionId, PipelineId, RolloutId, RolloutReport, TrainingId
from reconciler.report.conditions import Condition, Status
from reconciler.report.contest_figures import ContestFigures
from reconciler.report.contest_status import ContestStatus
from reconciler.report.device_status import DeviceStatus
from reconciler.report.function_status import FunctionFigures, FunctionStatus
from reconciler.report.gateway_status import GatewayStatus
from reconciler.report.model_status import ModelStatus
from reconciler.report.pipeline_figures import PipelineFigures
from reconciler.report.pipeline_status import PipelineStatus
from reconciler.report.remedies import REMEDIES
from reconciler.report.rollout_status import RolloutStatus
from reconciler.report.training_figures import TrainingFigures
from reconciler.report.training_status import TrainingStatus


@dataclass(frozen=True, slots=True)
class LinkFacts:
    """One link: its recent rates, its counters since the daemon started, its line quality."""

    name: str
    trouble: str | None
    baud: int | None  # None: not a serial line
    sent_per_s: float | None  # bytes; None: not measured yet
    received_per_s: float | None
    sent_bytes: int
    received_bytes: int
    questions: int
    unanswered: int
    frames_corrected: int
    frames_bad: int
    bit_error_rate: float
    unknown_devices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ScoreFacts:
    """The totals of one pack over all devices that ran it."""

    model: str
    devices: int
    inferences: int
    anomalies: int
    faults: int
    resets: int
    min: int
    max: int
    mean: float
    histogram: tuple[int, ...]
    age: str = "unknown"  # of the figures


@dataclass(frozen=True, slots=True)
class BucketFacts:
    """How full one bucket of the local storage is."""

    name: str
    items: int
    bytes: int


@dataclass(frozen=True, slots=True)
class CohortFacts:
    """What the devices of a cohort do at present."""

    anomalies_per_day: float | None  # on each device; None: unknown


@dataclass(frozen=True, slots=True)
class LiveState:
    """What changes all the time: shown on the served page, never committed."""

    at: datetime
    running: bool  # whether the daemon runs
    in_progress_count: int = 0
    waiting_count: int = 0
    in_progress: Mapping[DeviceId, str] = field(default_factory=dict)
    waiting: Mapping[DeviceId, str] = field(default_factory=dict)
    building: Sequence[str] = ()
    build_failures: Mapping[str, tuple[str, str]] = field(default_factory=dict)  # the reason and the message
    refused: Mapping[str, tuple[int, str]] = field(
        default_factory=dict
    )  # by device name: messages that failed verification
    links: Sequence[LinkFacts] = ()
    scores: Sequence[ScoreFacts] = ()
    cohorts: Mapping[str, CohortFacts] = field(default_factory=dict)
    contests: Mapping[ContestId, ContestFigures] = field(default_factory=dict)  # newer than those of the statuses
    trainings: Mapping[TrainingId, TrainingFigures] = field(default_factory=dict)  # likewise
    pipelines: Mapping[PipelineId, PipelineFigures] = field(default_factory=dict)  # likewise
    functions: Mapping[FunctionId, FunctionFigures] = field(default_factory=dict)  # likewise
    buckets: Sequence[BucketFacts] = ()


@dataclass(frozen=True)
class PageModel:
    """What one gateway knows."""

    gateway: GatewayStatus | None
    devices: Sequence[DeviceStatus]
    rollouts: Sequence[RolloutStatus]
    live: LiveState | None = None
    contests: Sequence[ContestStatus] = ()
    models: Sequence[ModelStatus] = ()
    trainings: Sequence[TrainingStatus] = ()
    pipelines: Sequence[PipelineStatus] = ()
    functions: Sequence[FunctionStatus] = ()

    def figures(self, status: ContestStatus) -> ContestFigures:
        """Return the newest figures of a contest."""
        return self.live.contests.get(status.name, status.figures) if self.live is not None else status.figures

    def training(self, status: TrainingStatus) -> TrainingFigures:
        """Return the newest figures of a training."""
        return self.live.trainings.get(status.name, status.figures) if self.live is not None else status.figures

    def pipeline(self, status: PipelineStatus) -> PipelineFigures:
        """Return the newest figures of a pipeline."""
        return self.live.pipelines.get(status.name, status.figures) if self.live is not None else status.figures

    def function(self, status: FunctionStatus) -> FunctionFigures:
        """Return the newest figures of a function."""
        return self.live.functions.get(status.name, status.figures) if self.live is not None else status.figures

    @property
    def at(self) -> datetime | None:
        """Return the time that durations are relative to; None: durations are not shown."""
        return self.live.at if self.live is not None else None

    @cached_property
    def owners(self) -> Mapping[DeviceId, RolloutId]:
        """Map each device to its rollout."""
        return {
            device: status.facts.rollout
            for status in self.rollouts
            for _, names in members(status.facts.report)
            for device in names
        }


@dataclass(frozen=True, slots=True)
class DeviceDetail:
    """Everything that is known about one device."""

    status: DeviceStatus
    seen_at: datetime | None
    facts: Sequence[tuple[str, str]]
    failed: Mapping[str, str]  # digest: message


class Urgency(StrEnum):
    """Whether someone has to act."""

    GOOD = "good"
    WAIT = "wait"
    ACT = "act"


def urgency_of(condition: Condition) -> Urgency:
    """Classify a condition as docs/conditions.md does. A reason without a remedy needs attention."""
    if condition.status is Status.TRUE:
        return Urgency.GOOD
    remedy = REMEDIES.get(condition.reason)
    return Urgency.WAIT if remedy is not None and not remedy.act else Urgency.ACT


@dataclass(frozen=True, slots=True)
class Reason:
    """The devices that are not ready for one reason, the longest first."""

    name: str
    urgency: Urgency
    devices: tuple[DeviceStatus, ...]


def reasons(devices: Iterable[DeviceStatus]) -> list[Reason]:
    """Group the devices that are not ready: first the reasons that need action, then the largest groups."""
    groups: dict[str, list[DeviceStatus]] = {}
    for device in devices:
        if device.ready.status is not Status.TRUE:
            groups.setdefault(device.ready.reason, []).append(device)
    found = []
    for name, members in groups.items():
        ordered = sorted(members, key=lambda each: (each.ready.since, each.device))
        found.append(Reason(name, urgency_of(ordered[0].ready), tuple(ordered)))
    return sorted(found, key=lambda each: (each.urgency is not Urgency.ACT, -len(each.devices), each.name))


def count_by_urgency(devices: Iterable[DeviceStatus]) -> dict[Urgency, int]:
    """Count devices by urgency."""
    counts: Counter[tuple[str, Status]] = Counter()
    sample: dict[tuple[str, Status], Condition] = {}
    for device in devices:
        ready = device.ready
        key = ready.reason, ready.status
        counts[key] += 1
        sample[key] = ready
    found = dict.fromkeys(Urgency, 0)
    for key, number in counts.items():
        found[urgency_of(sample[key])] += number
    return found


def members(word: RolloutReport) -> Iterator[tuple[str, frozenset[DeviceId]]]:
    """Return the sets of a rollout's devices, in order of importance."""
    yield "failed", word.failed
    yield "missing", word.missing
    yield "out", word.out
    yield "begun", word.begun
    yield "soaking", word.soaking
    yield "due", word.due
    yield "done", word.done
