# SPDX-License-Identifier: Apache-2.0
"""Which stages of pipelines have lost all their devices for long, so that the others are to run their parts.

A stage is lost when its devices failed, and failed again `healAfter` later. When one of them has reported for that long
again, the cuts of the document return; each time that happens to a stage, it has to report twice as long. All of
this is forgotten with the process: then the cuts are those of the document until a stage is lost again.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from reconciler.engine.clock import Clock
from reconciler.engine.pipelines.router import PipelineRouter
from reconciler.model import Desired, DeviceId, MergedPipeline, Pipeline, PipelineId, Recovery
from reconciler.model.pipelines import LOST_MAX
from reconciler.model.snapshot_cache import SnapshotCache, reuse_if_equal
from reconciler.pipeline.parts import without_lost

log = logging.getLogger(__name__)

LONGEST = timedelta(days=1)

Lost = Mapping[PipelineId, tuple[int, ...]]
SeenAt = Callable[[DeviceId], datetime | None]  # when a device last reported


@dataclass(slots=True)
class LostStage:
    """A stage whose devices are left out, and since when one of them reports again."""

    pipeline: Pipeline  # the document
    devices: tuple[DeviceId, ...]
    lost_at: datetime
    steady_for: timedelta
    back_at: datetime | None = None

    def look(self, seen_at: SeenAt, now: datetime) -> bool:
        """Return whether a device has been back for long enough."""
        seen = [at for device in self.devices if (at := seen_at(device)) is not None and at > self.lost_at]
        if not seen:
            self.back_at = None
        elif self.back_at is None:
            self.back_at = min(seen)
        return self.back_at is not None and now - self.back_at >= self.steady_for


class Merges:
    """Changes what Git wants while stages are lost."""

    def __init__(self, seen_at: SeenAt, clock: Clock) -> None:
        self._seen_at, self._clock = seen_at, clock
        self._lost: dict[tuple[PipelineId, int], LostStage] = {}
        self._times: dict[tuple[PipelineId, int], int] = {}  # that each stage was lost
        self._last: Lost = {}
        self._desired: SnapshotCache[Desired] = SnapshotCache()

    def applied(self, desired: Desired, routers: Mapping[PipelineId, PipelineRouter]) -> Desired:
        """Return what Git wants, with pipelines without lost stages. The same object if nothing changed."""
        now = self._clock.now()
        for key, stage in list(self._lost.items()):
            name, number = key
            if desired.pipelines.get(name) != stage.pipeline:
                del self._lost[key]
            elif stage.look(self._seen_at, now):
                del self._lost[key]
                log.warning("%s: stage %d is back, and gets its part again", name, number)
        for name, router in routers.items():
            self._add_lost(name, router, desired.pipelines.get(name), now)
        found: dict[PipelineId, tuple[int, ...]] = {}
        for name, number in sorted(self._lost):
            found[name] = (*found.get(name, ()), number)
        self._last = lost = reuse_if_equal(self._last, found)
        if not lost:
            return desired
        known = self._desired.get(desired, lost)
        return known if known is not None else self._desired.put(without_lost(desired, lost), desired, lost)

    def next_change_in_s(self) -> float | None:
        """Return after how long a stage may get its part again by the passing of time alone; None: none can."""
        now = self._clock.now()
        due = [each.back_at + each.steady_for for each in self._lost.values() if each.back_at is not None]
        return max(0.0, (min(due) - now).total_seconds()) if due else None

    def _add_lost(self, name: PipelineId, router: PipelineRouter, document: Pipeline | None, now: datetime) -> None:
        running = router.pipeline
        if document is None or Recovery.MERGE not in document.recovery:
            return
        numbers = running.numbers if isinstance(running, MergedPipeline) else range(1, len(running.stages) + 1)
        for number, holders in zip(numbers, router.holders, strict=True):
            key, count = (name, number), sum(pipeline == name for pipeline, _ in self._lost)
            if key in self._lost or count >= min(LOST_MAX, len(document.stages) - 1):
                continue
            if all(holder.is_lost(document.heal_after_s) for holder in holders):
                times = self._times[key] = self._times.get(key, 0) + 1
                steady_for = min(LONGEST, timedelta(seconds=document.heal_after_s << min(times - 1, 20)))
                devices = tuple(holder.device for holder in holders)
                self._lost[key] = LostStage(document, devices, now, steady_for)
                log.warning("%s: stage %d is lost, so the network is cut for the other devices", name, number)
