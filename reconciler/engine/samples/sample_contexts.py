# SPDX-License-Identifier: Apache-2.0
"""Which model, with which parameters, made a sample: the four bytes in its record (samples.md, section 3)."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Mapping

from reconciler.engine.artifacts.catalog import AvailableArtifacts
from reconciler.engine.observed.inventory import Inventory
from reconciler.engine.samples.local_models import LocalModel
from reconciler.knowledge.records import SampleContext
from reconciler.knowledge.writer import KnowledgeWriter
from reconciler.model import THRESHOLD, Candidate, DeviceId, Digest, Observed, short_digest
from reconciler.model.samples import SAMPLE_EVERY

CONTEXT_BYTES = 4


def context_of(digest: Digest, parameters_crc32: int, forest_sha256: bytes = b"") -> bytes:
    """Return the four bytes for a pack with parameters, and for a forest of the device's own if one decides."""
    data = bytes.fromhex(digest) + struct.pack("<I", parameters_crc32) + forest_sha256
    return hashlib.sha256(data).digest()[:CONTEXT_BYTES]


class SampleContexts:
    """Learns contexts from what devices report, and keeps them: a device's log outlives its model."""

    def __init__(self, knowledge: KnowledgeWriter) -> None:
        self._knowledge = knowledge
        self._known: dict[bytes, SampleContext] = knowledge.contexts()
        self._learnt: set[tuple[str, int]] = set()  # packs and parameters that need no second look

    @property
    def champions(self) -> Mapping[bytes, Candidate]:
        """Return which candidate ran in each context."""
        return {context: Candidate(each.model, each.parameters.get(THRESHOLD)) for context, each in self._known.items()}

    @property
    def digests(self) -> Mapping[bytes, Digest]:
        """Return which pack ran in each context."""
        return {context: each.digest for context, each in self._known.items()}

    def sample_every(self, context: bytes) -> int | None:
        """Return for how many normal windows a sampled one stands; None: the context is unknown."""
        known = self._known.get(context)
        return int(known.parameters.get(SAMPLE_EVERY, 0)) if known is not None else None

    def learn(self, device: DeviceId, inventory: Inventory, observed: Observed, available: AvailableArtifacts) -> None:
        """Note what a device runs now, if its pack and its parameters are known."""
        report, seen = inventory.report_of(device), observed.devices.get(device)
        if report is None or seen is None or seen.running is None or (seen.running, report.parameters) in self._learnt:
            return
        artifact = available.by_short_digest.get(short_digest(seen.running))
        if artifact is None or (report.parameters != 0 and not seen.parameters):
            return
        self._learnt.add((seen.running, report.parameters))
        context = context_of(artifact.digest, report.parameters)
        self._keep(SampleContext(context, artifact.model, artifact.digest, seen.parameters))

    def learn_local(self, local: LocalModel, inventory: Inventory, observed: Observed) -> None:
        """Note that a forest decides which a device has grown itself, while that runs its starter."""
        forest = local.forest
        report, seen = inventory.report_of(forest.device), observed.devices.get(forest.device)
        if report is None or seen is None or seen.running != short_digest(forest.digest):
            return
        context = context_of(forest.digest, report.parameters, forest.sha256)
        known = report.parameters == 0 or seen.parameters  # else they may be known later
        if known and context not in self._known:
            self._keep(SampleContext(context, local.candidate.model, local.digest, seen.parameters))

    def _keep(self, known: SampleContext) -> None:
        if known.context not in self._known:
            self._knowledge.save_context(known)
            self._known[known.context] = known
