# SPDX-License-Identifier: Apache-2.0
"""What one rollout asks of one device type: every fact that its devices share, gathered once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import NewType

from reconciler.model import (
    Artifact,
    Desired,
    DeviceType,
    Digest,
    Fallback,
    ModelRef,
    Needs,
    Observed,
    OnFailure,
    Parameters,
    Rollout,
    RolloutId,
    TypeId,
)
from reconciler.plan.revision import revision_of

# Devices tell the first 16 bytes of a pack's digest, so that is what is compared (docs/specs/observed.md).
ShortDigest = NewType("ShortDigest", str)
SHORT_DIGITS = 32


def short(digest: Digest | None) -> ShortDigest | None:
    """Cut a digest to what a device tells of it."""
    return None if digest is None else ShortDigest(digest[:SHORT_DIGITS])


@dataclass(frozen=True, slots=True)
class PrebakedModel:
    """A pre-baked model of a device type; its digest is known once it was built here too."""

    model: ModelRef
    digest: Digest | None
    parameters: Parameters


@dataclass(frozen=True, slots=True)
class FormerModel:
    """A model to which devices of this type can go back, because its artifact is known."""

    model: ModelRef
    parameters: Parameters
    in_git: bool  # so its bytes can be had again


@dataclass(frozen=True, slots=True)
class Goal:
    """What a device of this type shall be, when this rollout has it."""

    rollout: Rollout
    type: DeviceType
    parameters: Parameters
    needs: Needs  # of the artifact, where there is one; else what the model says of itself
    digest: Digest | None  # None: not built yet
    wanted: ShortDigest | None  # the same, as devices tell it
    is_baked: bool  # the type is made with the wanted model
    made_with: tuple[PrebakedModel, ...]  # other models that the type is made with, the best first
    formers: Mapping[ShortDigest, FormerModel]  # by digest; empty where nothing is ever taken back
    silent_after: timedelta
    settled_why: str  # one text for thousands of devices
    revision: str

    @property
    def model(self) -> ModelRef:
        """The wanted model."""
        return self.rollout.model

    @property
    def fallbacks(self) -> tuple[PrebakedModel, ...]:
        """What to activate when the wanted model can't be had, the best first."""
        return self.made_with if self.rollout.fallback is Fallback.PREBAKED else ()


Goals = dict[tuple[RolloutId, TypeId], Goal]


def gather(desired: Desired, observed: Observed, pairs: Iterable[tuple[RolloutId, TypeId]]) -> Goals:
    """Make the goal of each rollout for each device type that it has devices of."""
    return {(rollout, kind): _goal(desired, observed, rollout, kind) for rollout, kind in pairs}


def _goal(desired: Desired, observed: Observed, rollout_id: RolloutId, type_id: TypeId) -> Goal:
    rollout = desired.rollouts[rollout_id]
    kind = desired.types[type_id]
    model = desired.models[rollout.model]
    artifact = observed.artifacts.get((rollout.model, type_id))
    return Goal(
        rollout=rollout,
        type=kind,
        parameters={**model.parameters, **rollout.parameters},
        needs=model.needs if artifact is None else _facts(artifact),
        digest=artifact.digest if artifact else None,
        wanted=short(artifact.digest) if artifact else None,
        is_baked=rollout.model in kind.prebaked,
        made_with=_made_with(desired, observed, rollout, kind),
        formers=_formers(desired, observed, rollout, type_id),
        silent_after=timedelta(seconds=desired.fleet.silent_after_s),
        settled_why=f"runs {rollout.model}, as rollout {rollout_id} wants",
        revision=revision_of(desired, rollout_id),
    )


def _facts(artifact: Artifact) -> Needs:
    return Needs(operators=artifact.operators, slot_bytes=artifact.pack_bytes, arena_bytes=artifact.arena_bytes)


def _made_with(desired: Desired, observed: Observed, rollout: Rollout, kind: DeviceType) -> tuple[PrebakedModel, ...]:
    """List the pre-baked models that may stand in: other versions of the wanted model first."""
    if rollout.fallback is not Fallback.PREBAKED and rollout.on_failure is not OnFailure.ROLL_BACK:
        return ()
    others = [ref for ref in kind.prebaked if ref != rollout.model]
    others.sort(key=lambda ref: ref.name != rollout.model.name)
    baked = []
    for ref in others:
        artifact = observed.artifacts.get((ref, kind.name))
        model = desired.models.get(ref)
        baked.append(PrebakedModel(ref, artifact.digest if artifact else None, model.parameters if model else {}))
    return tuple(baked)


def _formers(desired: Desired, observed: Observed, rollout: Rollout, kind: TypeId) -> dict[ShortDigest, FormerModel]:
    if rollout.on_failure is not OnFailure.ROLL_BACK:
        return {}
    formers = {}
    for (ref, made_for), artifact in observed.artifacts.items():
        digest = short(artifact.digest)
        if made_for == kind and ref != rollout.model and digest is not None:
            model = desired.models.get(ref)
            formers[digest] = FormerModel(ref, model.parameters if model else {}, model is not None)
    return formers
