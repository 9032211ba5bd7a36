# SPDX-License-Identifier: Apache-2.0
"""The payloads as which packs are sent, encoded once for all devices that run the same pack, off the event loop."""

from __future__ import annotations

import asyncio
from collections import OrderedDict

from reconciler.compiler.payload.encoded_payload import EncodedPayload
from reconciler.compiler.payload.encoding_process import encode_in_process
from reconciler.engine.artifacts.catalog import ArtifactCatalog
from reconciler.engine.delivery.transfer_preparation import DeliveryTarget, PackPayloads, fitting
from reconciler.model import Artifact, Desired, DeviceId, Digest, PayloadEncoding, short_digest_from_bytes

MAX_KEPT = 32  # pairs of packs; a fleet in the middle of a rollout has few

PayloadKey = tuple[Digest, Digest | None]  # the pack to send, and the running pack that a patch is made against


class PayloadCache:
    """Encodes payloads and keeps the last ones. For the event loop's thread only; encoding runs elsewhere."""

    def __init__(self, artifacts: ArtifactCatalog) -> None:
        self._artifacts = artifacts
        self._encoded: OrderedDict[PayloadKey, asyncio.Task[tuple[EncodedPayload, ...]]] = OrderedDict()
        self._raw_only: set[DeviceId] = set()  # devices that refused an encoded payload

    async def payloads(self, desired: Desired, artifact: Artifact, target: DeliveryTarget) -> PackPayloads:
        """Return all payloads that a device has room for, the smallest first."""
        payloads = await self._all(desired, artifact, target)
        if target.device in self._raw_only:
            payloads = tuple(each for each in payloads if each.encoding is PayloadEncoding.RAW)
        return PackPayloads(artifact.digest, artifact.pack_bytes, fitting(payloads, artifact.pack_bytes, target))

    def send_raw(self, device: DeviceId) -> None:
        """Send this device only raw packs until it has confirmed one."""
        self._raw_only.add(device)

    def send_encoded(self, device: DeviceId) -> None:
        """Send this device encoded payloads again: what it refused may have been one payload, or a forged refusal."""
        self._raw_only.discard(device)

    async def _all(self, desired: Desired, artifact: Artifact, target: DeliveryTarget) -> tuple[EncodedPayload, ...]:
        running = short_digest_from_bytes(target.report.running or b"")
        base = self._artifacts.available(desired).by_short_digest.get(running)
        if base is not None and base.model not in desired.models:
            base = None  # the commit that brings the new pack has removed the model of the old one
        pair = (artifact.digest, base.digest if base else None)
        task = self._encoded.get(pair)
        if task is None or (task.done() and (task.cancelled() or task.exception())):
            pack = self._artifacts.pack(desired, artifact)
            old = self._artifacts.pack(desired, base) if base is not None else None
            encoding = asyncio.to_thread(encode_in_process, pack, old)
            task = asyncio.create_task(encoding, name=f"encode {artifact.digest[:12]}")
            self._encoded[pair] = task
            if len(self._encoded) > MAX_KEPT:
                self._encoded.popitem(last=False)
        return await asyncio.shield(task)  # this delivery may be cancelled while others wait for the same payload
