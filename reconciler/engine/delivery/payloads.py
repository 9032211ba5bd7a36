# SPDX-License-Identifier: Apache-2.0
"""The forms in which packs travel: worked out once for all devices that run the same, off the event loop."""

from __future__ import annotations

import asyncio
from collections import OrderedDict

from reconciler.compiler.payload.codec import EncodedPayload, PayloadEncoding, candidates
from reconciler.engine.artifacts.provider import Artifacts
from reconciler.engine.delivery.orders import DeliveryTarget, PackPayloads, fitting
from reconciler.model import Artifact, Desired, DeviceId, Digest

KEPT = 32  # pairs of packs; a fleet in the middle of a rollout has few

Pair = tuple[Digest, Digest | None]


class PayloadCache:
    """Makes parcels, and remembers the last ones."""

    def __init__(self, artifacts: Artifacts) -> None:
        self._artifacts = artifacts
        self._made: OrderedDict[Pair, asyncio.Task[tuple[EncodedPayload, ...]]] = OrderedDict()
        self._raw_only: set[DeviceId] = set()  # devices in which pack and payload don't fit side by side

    async def make(self, desired: Desired, artifact: Artifact, to: DeliveryTarget) -> PackPayloads:
        """Return all forms that this device can take, the smallest first."""
        forms = await self._forms(desired, artifact, to)
        if to.device in self._raw_only:
            forms = tuple(form for form in forms if form.encoding is PayloadEncoding.RAW)
        return PackPayloads(artifact.digest, artifact.pack_bytes, fitting(forms, artifact.pack_bytes, to))

    def send_raw(self, device: DeviceId) -> bool:
        """From now on send this device nothing else; tells whether that is news."""
        news = device not in self._raw_only
        self._raw_only.add(device)
        return news

    async def _forms(self, desired: Desired, artifact: Artifact, to: DeliveryTarget) -> tuple[EncodedPayload, ...]:
        running = to.report.running.hex() if to.report.running else ""
        base = self._artifacts.current(desired).by_digest16.get(running)
        pair = (artifact.digest, base.digest if base else None)
        task = self._made.get(pair)
        if task is None or (task.done() and (task.cancelled() or task.exception())):
            pack = self._artifacts.pack(desired, artifact)
            old = self._artifacts.pack(desired, base) if base is not None else None
            task = asyncio.create_task(asyncio.to_thread(_listed, pack, old), name=f"encode {artifact.digest[:12]}")
            self._made[pair] = task
            if len(self._made) > KEPT:
                self._made.popitem(last=False)
        return await asyncio.shield(task)  # one device's delivery may be called off; the others wait for the same


def _listed(pack: bytes, base: bytes | None) -> tuple[EncodedPayload, ...]:
    return tuple(candidates(pack, base))
