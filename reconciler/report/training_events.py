# SPDX-License-Identifier: Apache-2.0
"""Events of trainings: models wait for a person, or a run came to nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from reconciler.model import ContestId, RolloutId
from reconciler.report.rollout_events import EventKind, FleetEvent
from reconciler.report.training_status import TrainingStatus

_KINDS = {
    "Open": EventKind.TRAINED,
    "ObjectiveMissed": EventKind.NOT_TRAINED,
    "TrainingFailed": EventKind.NOT_TRAINED,
}


def training_events(
    gateway: str, trainings: Iterable[TrainingStatus], rollouts: Mapping[ContestId, RolloutId]
) -> list[FleetEvent]:
    """Return every event that holds now; `rollouts` are those of the contests."""
    return [event for status in trainings for event in _of(gateway, status, rollouts)]


def _of(gateway: str, status: TrainingStatus, rollouts: Mapping[ContestId, RolloutId]) -> Iterator[FleetEvent]:
    figures, condition = status.figures, status.ready
    kind = _KINDS.get(status.conditions[1].reason)
    if kind is not None and figures.began_at is not None:
        yield FleetEvent(
            event=kind,
            gateway=gateway,
            rollout=rollouts.get(figures.contest, RolloutId("")),
            model=figures.best[0].model if figures.best else figures.model,
            revision=f"{figures.began_at:%Y-%m-%dT%H:%M:%SZ}",
            commit=condition.observed_commit,
            message=condition.message,
            since=condition.since,
            contest=figures.contest,
            training=status.name,
        )
