# SPDX-License-Identifier: Apache-2.0
"""Which devices run a model that learns, and how far each of them is."""

from __future__ import annotations

from collections.abc import Mapping

from reconciler.engine.observed.learning_ledger import LearningLedger
from reconciler.model import (
    LEARN_OPERATOR,
    Artifact,
    Desired,
    DeviceId,
    LearnSpec,
    Observed,
    ShortDigest,
    short_digest,
)
from reconciler.model.snapshot_cache import SnapshotCache, reuse_if_equal
from reconciler.report.learning import LearningFacts

_DEFAULTS = LearnSpec()


class Learners:
    """Finds the learners by what devices report. For the event loop's thread only."""

    def __init__(self, ledger: LearningLedger) -> None:
        self._ledger = ledger
        self._learners: SnapshotCache[Mapping[DeviceId, LearnSpec]] = SnapshotCache()
        self._facts: SnapshotCache[Mapping[DeviceId, LearningFacts]] = SnapshotCache()
        self._last: Mapping[DeviceId, LearningFacts] = {}

    def find(
        self, desired: Desired, observed: Observed, by_short_digest: Mapping[ShortDigest, Artifact]
    ) -> Mapping[DeviceId, LearnSpec]:
        """Return the devices whose running model learns, with what its document wants, as a snapshot."""
        known = self._learners.get(desired, observed.devices, by_short_digest)
        if known is not None:
            return known
        specs = {
            short: _spec_of(artifact, desired)
            for short, artifact in by_short_digest.items()
            if LEARN_OPERATOR in artifact.operators
        }
        found: dict[DeviceId, LearnSpec] = {}
        for device, seen in observed.devices.items() if specs else ():
            spec = specs.get(short_digest(seen.running)) if seen.running is not None else None
            if spec is not None and device in desired.devices:
                found[device] = spec
        self._ledger.keep_only(found)
        return self._learners.put(found, desired, observed.devices, by_short_digest)

    def facts(
        self, desired: Desired, observed: Observed, by_short_digest: Mapping[ShortDigest, Artifact]
    ) -> Mapping[DeviceId, LearningFacts]:
        """Return what the status says of each of them, as a snapshot."""
        learners, progress = self.find(desired, observed, by_short_digest), self._ledger.progress
        known = self._facts.get(learners, progress)
        if known is not None:
            return known
        facts = {device: LearningFacts(progress.get(device), spec.rows) for device, spec in learners.items()}
        self._last = reuse_if_equal(self._last, facts)
        return self._facts.put(self._last, learners, progress)


def _spec_of(artifact: Artifact, desired: Desired) -> LearnSpec:
    model = desired.models.get(artifact.model)
    return model.learn if model is not None and model.learn is not None else _DEFAULTS
