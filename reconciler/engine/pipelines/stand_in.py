# SPDX-License-Identifier: Apache-2.0
"""Runs a stage on the gateway while no device does: the reference interpreter gives exactly the bytes of a device."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from reconciler.pipeline.route import RoutedStage

if TYPE_CHECKING:
    from reconciler.compiler.reference.interpreter import ReferenceInterpreter


class GatewayStandIn:
    """The packs of one pipeline's stages, by their short digests; each is read when it is first needed."""

    def __init__(self, packs: Mapping[bytes, bytes]) -> None:
        self._packs = packs
        self._ready: dict[bytes, ReferenceInterpreter] = {}
        self._lock = threading.Lock()

    async def run(self, stage: RoutedStage, inputs: Sequence[bytes]) -> bytes:
        """Return the outputs of a stage, one after the other."""
        return await asyncio.to_thread(self._run, stage, inputs)

    def _run(self, stage: RoutedStage, inputs: Sequence[bytes]) -> bytes:
        return b"".join(self._interpreter(stage.digest16).run(inputs).outputs)

    def _interpreter(self, digest16: bytes) -> ReferenceInterpreter:
        # Imports numpy, which a gateway without pipelines never needs.
        from reconciler.compiler.reference.interpreter import ReferenceInterpreter  # noqa: PLC0415

        with self._lock:
            if digest16 not in self._ready:
                self._ready[digest16] = ReferenceInterpreter(self._packs[digest16])
            return self._ready[digest16]
