# SPDX-License-Identifier: Apache-2.0
"""Builds as the engine wants them: a model of Git, for a device type of Git, as a pack in a store on disk."""

from __future__ import annotations

import asyncio
import hashlib
from concurrent.futures import Executor
from pathlib import Path
from typing import ClassVar

from reconciler.build.container import disassemble
from reconciler.build.interchange import threshold_pack
from reconciler.engine.artifacts import Pair
from reconciler.engine.wanted import Wanted
from reconciler.errors import Invalid
from reconciler.model import Artifact, Desired, Digest


class SourceUnknown(Invalid):
    """The model's source is of no kind that can be built here."""

    reason: ClassVar[str] = "SourceUnknown"


class LocalBuilder:
    """Builds on this machine, from files of the fleet repository."""

    def __init__(self, store: Path, wanted: Wanted, git_thread: Executor) -> None:
        self._store = store
        self._wanted = wanted
        self._git_thread = git_thread

    def source(self, desired: Desired, pair: Pair) -> str:
        """Name all that a build of this pair is made of."""
        ref, kind = pair
        return hashlib.sha256(f"{desired.models[ref].source.sha256} {kind}".encode()).hexdigest()

    async def build(self, desired: Desired, pair: Pair) -> Artifact:
        """Build one pack."""
        ref, kind = pair
        path = desired.models[ref].source.path
        if path is None or not path.endswith(".json"):
            raise SourceUnknown(f"{ref}: {path or 'its source'} is of no kind that can be built here")
        loop = asyncio.get_running_loop()
        data = await loop.run_in_executor(self._git_thread, self._wanted.read_file, desired.commit, path)
        pack = await asyncio.to_thread(threshold_pack, data)
        digest = Digest(hashlib.sha256(pack).hexdigest())
        self._store.mkdir(parents=True, exist_ok=True)
        (self._store / digest).write_bytes(pack)
        return Artifact(ref, kind, digest, len(pack), disassemble(pack).arena_bytes, frozenset({"THRESHOLD"}))

    def pack(self, artifact: Artifact) -> bytes:
        """Return the bytes of what was built."""
        return (self._store / artifact.digest).read_bytes()
