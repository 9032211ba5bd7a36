# SPDX-License-Identifier: Apache-2.0
"""The forests that devices have grown themselves, as voters of their contest."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from reconciler.compiler.pool.messages import PooledKind, PooledModel
from reconciler.knowledge.records import LearnedForest
from reconciler.model import THRESHOLD, Candidate, Contest, Desired, DeviceId, Digest, ModelRef, Version

_SHA_DIGITS = 12  # of the forest's SHA-256 in its version


@dataclass(frozen=True, slots=True)
class LocalModel:
    """A forest that a device has grown. It is in no document, so it is never what a contest makes champion."""

    candidate: Candidate
    forest: LearnedForest

    @property
    def digest(self) -> Digest:
        """The digest of its pack."""
        return Digest(hashlib.sha256(self.forest.pack).hexdigest())

    @property
    def pooled(self) -> PooledModel:
        """What the pool loads."""
        return PooledModel(str(self.candidate.model), self.digest, PooledKind.PACK, self.forest.pack)


def local_ref(forest: LearnedForest) -> ModelRef:
    """Return the name and version of a grown forest: that of its starter, and one by its own digest."""
    return ModelRef(forest.starter.name, Version(f"learned-{forest.sha256.hex()[:_SHA_DIGITS]}"))


def local_models(
    contest: Contest, desired: Desired, devices: Collection[DeviceId], learned: Iterable[LearnedForest]
) -> tuple[LocalModel, ...]:
    """Return the forests of a contest's devices, if they may vote. One that is merged votes as any other model."""
    if not contest.pool.local:
        return ()
    rollout = desired.rollouts[contest.rollout]
    found = []
    for forest in learned:
        starter, ref = desired.models.get(forest.starter), local_ref(forest)
        if forest.device not in devices or starter is None or ref in desired.models:
            continue
        in_force = rollout.parameters if rollout.model == forest.starter else {}
        threshold = {**starter.parameters, **in_force}.get(THRESHOLD)
        found.append(LocalModel(Candidate(ref, threshold), forest))
    return tuple(found)
