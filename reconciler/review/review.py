# SPDX-License-Identifier: Apache-2.0
"""What a change from one commit to another would do, from Git alone."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from reconciler.model import (
    Artifact,
    ArtifactKey,
    Blocked,
    BlockedReason,
    Desired,
    DeviceId,
    Hold,
    ModelRef,
    Needs,
    Observed,
    RolloutId,
    TypeId,
)
from reconciler.pipeline.forecast import PipelineForecast
from reconciler.plan import detailed_plan
from reconciler.review.affected_devices import AffectedDevice, Impact, impact_of
from reconciler.review.document_diff import DocumentChange, differences
from reconciler.review.forecast import RolloutReview, review_rollout
from reconciler.review.reported_state import (
    MissingStatus,
    ReportedState,
    changed_models,
    model_of,
    observed,
    running,
)
from reconciler.review.risks import Risk, risks
from reconciler.review.transfer_volume import LineTime, PayloadSizer, TransferLoad, line_times, loads


@dataclass(frozen=True, slots=True)
class Fit:
    """Whether a model fits a device type."""

    model: ModelRef
    type: TypeId
    devices: int
    slot_needed: int
    slot_bytes: int
    arena_needed: int
    arena_bytes: int
    missing: tuple[str, ...]  # operators
    built: bool  # measured on an existing pack; otherwise declared by the model, 0 if undeclared

    @property
    def fits(self) -> bool:
        """Return whether slot, arena and operators suffice."""
        short = self.slot_needed > self.slot_bytes or self.arena_needed > self.arena_bytes
        return not short and not self.missing


@dataclass(frozen=True, slots=True)
class BlockedDevices:
    """Devices that cannot reach the desired state of the head, for one reason."""

    reason: str
    rollout: RolloutId | None
    message: str  # of the first
    devices: tuple[DeviceId, ...]


@dataclass(frozen=True, slots=True)
class Review:
    """Everything that a review shows."""

    before: Desired
    after: Desired
    at: datetime
    reported: ReportedState
    changes: tuple[DocumentChange, ...]
    impact: Impact
    rollouts: tuple[RolloutReview, ...]
    loads: tuple[TransferLoad, ...]
    lines: tuple[LineTime, ...]
    fits: tuple[Fit, ...]
    risks: tuple[Risk, ...]
    blocked: tuple[BlockedDevices, ...]
    waves: Mapping[DeviceId, tuple[int, str]]  # number and name, for the affected devices
    pipelines: tuple[PipelineForecast, ...] = ()  # those that the change touches


@dataclass(frozen=True, slots=True)
class ReviewInputs:
    """What a review uses besides the documents."""

    reported: ReportedState
    built: Mapping[ArtifactKey, Artifact]  # of the head's models, from a build store
    size: PayloadSizer
    observed: Observed | None = None  # given explicitly; otherwise reconstructed from the reports
    pipelines: tuple[PipelineForecast, ...] = ()  # those that the change touches


def review(before: Desired, after: Desired, inputs: ReviewInputs, now: datetime) -> Review:
    """Determine what would happen to which devices, how long it takes, and what the reviewer should check."""
    reported = inputs.reported
    observed_before, observed_after = _observed(before, after, inputs, now)
    models = _running_models(reported, observed_before)
    impact = impact_of(before, observed_before, after, observed_after, now)
    evaluations = detailed_plan(after, observed_after, now).evaluations
    by_rollout: dict[RolloutId, list[AffectedDevice]] = defaultdict(list)
    for each in impact.affected:
        if each.rollout is not None:
            by_rollout[each.rollout].append(each)
    found = loads(after, impact.affected, models, inputs.size)
    reviews = tuple(
        review_rollout(
            after, after.rollouts[name], before.rollouts.get(name), evaluations[name], by_rollout[name], found, now
        )
        for name in sorted(by_rollout)
    )
    waves = {
        device: (number, wave.name)
        for each in reviews
        for number, wave in enumerate(each.waves, start=1)
        for device in wave.affected
    }
    return Review(
        before=before,
        after=after,
        at=now,
        reported=reported,
        changes=differences(before, after),
        impact=impact,
        rollouts=reviews,
        loads=tuple(found),
        lines=tuple(line_times(after, found)),
        fits=tuple(_fits(after, impact, inputs.built)),
        risks=tuple(risks(after, before, reported, impact, reviews, models)),
        blocked=tuple(_blocked(impact)),
        waves=waves,
        pipelines=inputs.pipelines,
    )


def _observed(before: Desired, after: Desired, inputs: ReviewInputs, now: datetime) -> tuple[Observed, Observed]:
    """Return the observed state for each commit: a model name can mean another model in the other commit."""
    if inputs.observed is not None:
        return inputs.observed, inputs.observed
    reported = inputs.reported
    known = running(reported, before)
    changed = changed_models(before, after)
    unchanged = {**running(reported, after, except_models=changed), **inputs.built}
    assume = MissingStatus.ASSUME_DESIRED
    first = observed(reported, before, known, now, before=before, missing_status=assume)
    sharing = first if before.fleet.silent_after_s == after.fleet.silent_after_s else None
    second = observed(reported, after, unchanged, now, before=before, missing_status=assume, sharing=sharing)
    return first, second


def _running_models(reported: ReportedState, seen_before: Observed) -> dict[DeviceId, ModelRef]:
    by_digest = {artifact.digest[:32]: artifact.model for artifact in seen_before.artifacts.values()}
    found = {
        name: by_digest[seen.running[:32]]
        for name, seen in seen_before.devices.items()
        if seen.running is not None and seen.running[:32] in by_digest
    }
    return {**found, **{name: ref for name, each in reported.devices.items() if (ref := model_of(each)) is not None}}


def _fits(desired: Desired, impact: Impact, built: Mapping[ArtifactKey, Artifact]) -> list[Fit]:
    """Compare what each model requires with what each affected device type has."""
    counts: dict[ArtifactKey, int] = defaultdict(int)
    for each in impact.affected:
        if each.rollout is not None:
            counts[desired.rollouts[each.rollout].model, desired.devices[each.device].type] += 1
    found = []
    for pair, count in sorted(counts.items(), key=lambda item: (str(item[0][0]), item[0][1])):
        kind, model = desired.types[pair[1]], desired.models[pair[0]]
        artifact = built.get(pair)
        needs = model.needs
        if artifact is not None:
            needs = Needs(artifact.operators, artifact.pack_bytes, artifact.arena_bytes)
        found.append(
            Fit(
                pair[0],
                pair[1],
                count,
                needs.slot_bytes,
                kind.slot_bytes,
                needs.arena_bytes,
                kind.arena_bytes,
                tuple(sorted(needs.operators - kind.operators)),
                built=pair in built,
            )
        )
    return found


def _blocked(impact: Impact) -> list[BlockedDevices]:
    """Group the blocked devices by reason and rollout, the largest group first."""
    groups: dict[tuple[str, RolloutId | None, str], list[Blocked | Hold]] = defaultdict(list)
    for each in impact.affected:
        action = each.action
        if isinstance(action, Blocked | Hold):
            # The timestamp in the message would put each silent device into a group of its own.
            message = "" if isinstance(action, Blocked) and action.reason is BlockedReason.SILENT else action.why
            groups[action.reason.value, each.rollout, message].append(action)
    found = [
        BlockedDevices(code, rollout, members[0].why, tuple(each.device for each in members))
        for (code, rollout, _), members in groups.items()
    ]
    return sorted(found, key=lambda each: (-len(each.devices), each.reason, each.devices))
