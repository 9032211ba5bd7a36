# SPDX-License-Identifier: Apache-2.0
"""The packs from which devices learn, by what they report."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from reconciler.engine.artifacts.catalog import ArtifactCatalog
from reconciler.engine.samples.visit import DeviceCollection
from reconciler.errors import FleetError
from reconciler.model import LEARN_OPERATOR, Desired, DeviceId, Digest, ModelRef, Observed, short_digest


@dataclass(frozen=True, slots=True)
class Starter:
    """The pack from which a device learns."""

    model: ModelRef
    digest: Digest
    pack: bytes


class StarterPacks:
    """Reads each pack once. For the event loop's thread only."""

    def __init__(self, artifacts: ArtifactCatalog) -> None:
        self._artifacts = artifacts
        self._packs: dict[Digest, Starter] = {}
        self._of: dict[DeviceId, Starter] = {}

    def of(self, device: DeviceId) -> Starter | None:
        """Return what a device runs; None: that does not learn, or is unknown."""
        return self._of.get(device)

    def watch(self, wanted: Mapping[DeviceId, DeviceCollection], desired: Desired, observed: Observed) -> None:
        """Look at what the devices run of which the forests are wanted."""
        by_short = self._artifacts.available(desired).by_short_digest
        found = {}
        for device, collection in wanted.items():
            seen = observed.devices.get(device) if collection.forests else None
            artifact = by_short.get(short_digest(seen.running)) if seen is not None and seen.running else None
            if artifact is None or LEARN_OPERATOR not in artifact.operators:
                continue
            try:
                starter = self._packs.get(artifact.digest) or Starter(
                    artifact.model, artifact.digest, self._artifacts.pack(desired, artifact)
                )
            except FleetError:
                continue  # the store has lost it: it is built again when a device needs it
            found[device] = self._packs[artifact.digest] = starter
        self._of = found
