# SPDX-License-Identifier: Apache-2.0
"""What a change from one revision to another would do, from Git alone."""

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
    short_digest,
)
from reconciler.plan import detailed_plan
from reconciler.review.affected_devices import AffectedDevice, Reach, reach
from reconciler.review.document_diff import DocumentChange, differences
from reconciler.review.forecast import RolloutReview, review_rollout
from reconciler.review.reported_state import ReportedState, UnheardPolicy, changed_models, model_of, observed, running
from reconciler.review.risks import Risk, risks
from reconciler.review.transfer_volume import LineTime, Quote, TransferLoad, line_times, loads


@dataclass(frozen=True, slots=True)
class Fit:
    """Whether a model has room on a type of device."""

    model: ModelRef
    type: TypeId
    devices: int
    slot_needed: int
    slot_bytes: int
    arena_needed: int
    arena_bytes: int
    missing: tuple[str, ...]  # operators
    built: bool  # figures of a pack that is there; else the model's own word, 0 where it says nothing

    @property
    def fits(self) -> bool:
        """Tell whether nothing is short."""
        short = self.slot_needed > self.slot_bytes or self.arena_needed > self.arena_bytes
        return not short and not self.missing


@dataclass(frozen=True, slots=True)
class Obstacle:
    """Devices that can't be what the head wants, for one reason."""

    reason: str
    rollout: RolloutId | None
    why: str  # of the first
    devices: tuple[DeviceId, ...]


@dataclass(frozen=True, slots=True)
class Review:
    """All that is told of a change."""

    before: Desired
    after: Desired
    at: datetime
    evidence: ReportedState
    changes: tuple[DocumentChange, ...]
    reach: Reach
    rollouts: tuple[RolloutReview, ...]
    loads: tuple[TransferLoad, ...]
    lines: tuple[LineTime, ...]
    fits: tuple[Fit, ...]
    risks: tuple[Risk, ...]
    obstacles: tuple[Obstacle, ...]
    waves: Mapping[DeviceId, tuple[int, str]]  # number and name, of the touched devices


@dataclass(frozen=True, slots=True)
class Sources:
    """What is known beside the documents."""

    evidence: ReportedState
    built: Mapping[ArtifactKey, Artifact]  # of the head's models, from a build store
    quote: Quote
    observed: Observed | None = None  # given by hand; else it is put together from the evidence


def review(before: Desired, after: Desired, sources: Sources, now: datetime) -> Review:
    """Work out what would be done, to which devices, how long it takes, and what to look at twice."""
    evidence = sources.evidence
    was, is_now = _observed(before, after, sources, now)
    runs = _runs(evidence, was)
    reached = reach(before, was, after, is_now, now)
    courses = detailed_plan(after, is_now, now).evaluations
    by_rollout: dict[RolloutId, list[AffectedDevice]] = defaultdict(list)
    for each in reached.touched:
        if each.rollout is not None:
            by_rollout[each.rollout].append(each)
    found = loads(after, reached.touched, runs, sources.quote)
    reviews = tuple(
        review_rollout(
            after, after.rollouts[name], before.rollouts.get(name), courses[name], by_rollout[name], found, now
        )
        for name in sorted(by_rollout)
    )
    waves = {
        device: (number, wave.name)
        for each in reviews
        for number, wave in enumerate(each.waves, start=1)
        for device in wave.touched
    }
    return Review(
        before=before,
        after=after,
        at=now,
        evidence=evidence,
        changes=differences(before, after),
        reach=reached,
        rollouts=reviews,
        loads=tuple(found),
        lines=tuple(line_times(after, found)),
        fits=tuple(_fits(after, reached, sources.built)),
        risks=tuple(risks(after, before, evidence, reached, reviews, runs)),
        obstacles=tuple(_obstacles(reached)),
        waves=waves,
    )


def _observed(before: Desired, after: Desired, sources: Sources, now: datetime) -> tuple[Observed, Observed]:
    """Put together what is, once by the names of each revision: a model of the same name may be another."""
    if sources.observed is not None:
        return sources.observed, sources.observed
    evidence = sources.evidence
    known = running(evidence, before)
    other = changed_models(before, after)
    still = {**running(evidence, after, unlike=other), **sources.built}
    was = observed(evidence, before, known, now, before=before, unheard=UnheardPolicy.SETTLED)
    return was, observed(evidence, after, still, now, before=before, unheard=UnheardPolicy.SETTLED)


def _runs(evidence: ReportedState, was: Observed) -> dict[DeviceId, ModelRef]:
    by_digest = {short_digest(artifact.digest): artifact.model for artifact in was.artifacts.values()}
    runs = {
        name: by_digest[short_digest(seen.running)]
        for name, seen in was.devices.items()
        if seen.running is not None and short_digest(seen.running) in by_digest
    }
    return {**runs, **{name: ref for name, each in evidence.devices.items() if (ref := model_of(each)) is not None}}


def _fits(desired: Desired, reached: Reach, built: Mapping[ArtifactKey, Artifact]) -> list[Fit]:
    """Compare what each model needs with what each type has, for the types that the change touches."""
    counts: dict[ArtifactKey, int] = defaultdict(int)
    for each in reached.touched:
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


def _obstacles(reached: Reach) -> list[Obstacle]:
    """Put together the devices that can't, by reason and rollout; the most devices first."""
    groups: dict[tuple[str, RolloutId | None, str], list[Blocked | Hold]] = defaultdict(list)
    for each in reached.touched:
        action = each.action
        if isinstance(action, Blocked | Hold):
            # A moment in its words would make a group of each silent device.
            words = "" if isinstance(action, Blocked) and action.reason is BlockedReason.SILENT else action.why
            groups[action.reason.value, each.rollout, words].append(action)
    found = [
        Obstacle(code, rollout, members[0].why, tuple(each.device for each in members))
        for (code, rollout, _), members in groups.items()
    ]
    return sorted(found, key=lambda each: (-len(each.devices), each.reason, each.devices))
