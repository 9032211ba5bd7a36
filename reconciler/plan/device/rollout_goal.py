# SPDX-License-Identifier: Apache-2.0
"""The goal of a rollout for the devices of one type: all facts that these devices share, collected once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta

from reconciler.model import (
    Artifact,
    Desired,
    DeviceType,
    Digest,
    Fallback,
    Model,
    ModelRef,
    Needs,
    Observed,
    OnFailure,
    Parameters,
    Rollout,
    RolloutId,
    ShortDigest,
    TypeId,
    short_digest,
)
from reconciler.model.samples import SAMPLE_EVERY, SAMPLE_WINDOWS
from reconciler.plan.revision import revision_of


@dataclass(frozen=True, slots=True)
class PrebakedModel:
    """A model that devices of a type are provisioned with."""

    model: ModelRef
    digest: Digest | None  # None: this gateway has not built it
    parameters: Parameters


@dataclass(frozen=True, slots=True)
class FormerModel:
    """A model to which devices of a type can return, because its artifact is known."""

    model: ModelRef
    parameters: Parameters
    in_git: bool  # so its pack can be transferred again


@dataclass(frozen=True, slots=True)
class Goal:
    """The goal of a rollout for the devices of one type."""

    rollout: Rollout
    type: DeviceType
    parameters: Parameters
    needs: Needs  # of the artifact if there is one, else what the model declares
    digest: Digest | None  # None: not built yet
    pack: ShortDigest | None  # the same digest, as devices report it
    is_prebaked: bool  # devices of the type are provisioned with the model
    prebaked: tuple[PrebakedModel, ...]  # other models that they are provisioned with, the best first
    former_models: Mapping[ShortDigest, FormerModel]  # empty if the rollout never rolls back
    silent_after: timedelta
    settled_message: str  # one string for thousands of devices
    revision: str

    @property
    def model(self) -> ModelRef:
        """The model that the rollout wants."""
        return self.rollout.model

    @property
    def fallbacks(self) -> tuple[PrebakedModel, ...]:
        """The models to activate on a device that cannot run the model of the rollout, best first."""
        return self.prebaked if self.rollout.fallback is Fallback.PREBAKED else ()


Goals = dict[tuple[RolloutId, TypeId], Goal]


def goals_for(desired: Desired, observed: Observed, pairs: Iterable[tuple[RolloutId, TypeId]]) -> Goals:
    """Make the goal of each rollout for each type of its devices."""
    return {(rollout, device_type): goal_for(desired, observed, rollout, device_type) for rollout, device_type in pairs}


def goal_for(desired: Desired, observed: Observed, rollout_id: RolloutId, type_id: TypeId) -> Goal:
    """Make the goal of one rollout for one device type."""
    rollout = desired.rollouts[rollout_id]
    device_type = desired.types[type_id]
    model = desired.models[rollout.model]
    artifact = observed.artifacts.get((rollout.model, type_id))
    return Goal(
        rollout=rollout,
        type=device_type,
        parameters={**model.parameters, **rollout.parameters, **_sampling(desired, rollout_id, model)},
        needs=model.needs if artifact is None else _needs_of(artifact),
        digest=artifact.digest if artifact else None,
        pack=short_digest(artifact.digest) if artifact else None,
        is_prebaked=rollout.model in device_type.prebaked,
        prebaked=_prebaked(desired, observed, rollout, device_type),
        former_models=_former_models(desired, observed, rollout, type_id),
        silent_after=timedelta(seconds=desired.fleet.silent_after_s),
        settled_message=f"runs {rollout.model}, as rollout {rollout_id} wants",
        revision=revision_of(desired, rollout_id),
    )


def _sampling(desired: Desired, rollout_id: RolloutId, model: Model) -> Parameters:
    """Return what the contest of a rollout wants to be sampled, as far as its model has the parameters for that.

    It is not part of the rollout's revision: a change of it is configured, and gives no failed device another chance.
    """
    for contest in desired.contests.values():
        if contest.rollout == rollout_id:
            collect = contest.collect
            wanted = {SAMPLE_EVERY: collect.normal, SAMPLE_WINDOWS: int(collect.windows)}
            return {name: value for name, value in wanted.items() if name in model.parameters}
    return {}


def _needs_of(artifact: Artifact) -> Needs:
    return Needs(operators=artifact.operators, slot_bytes=artifact.pack_bytes, arena_bytes=artifact.arena_bytes)


def _prebaked(
    desired: Desired, observed: Observed, rollout: Rollout, device_type: DeviceType
) -> tuple[PrebakedModel, ...]:
    """List the pre-baked models that can replace the rollout's model: other versions of it come first."""
    if rollout.fallback is not Fallback.PREBAKED and rollout.on_failure is not OnFailure.ROLL_BACK:
        return ()
    others = [ref for ref in device_type.prebaked if ref != rollout.model]
    others.sort(key=lambda ref: ref.name != rollout.model.name)
    prebaked = []
    for ref in others:
        artifact = observed.artifacts.get((ref, device_type.name))
        model = desired.models.get(ref)
        prebaked.append(PrebakedModel(ref, artifact.digest if artifact else None, model.parameters if model else {}))
    return tuple(prebaked)


def _former_models(
    desired: Desired, observed: Observed, rollout: Rollout, type_id: TypeId
) -> dict[ShortDigest, FormerModel]:
    if rollout.on_failure is not OnFailure.ROLL_BACK:
        return {}
    former = {}
    for (ref, built_for), artifact in observed.artifacts.items():
        digest = short_digest(artifact.digest)
        if built_for == type_id and ref != rollout.model and digest is not None:
            model = desired.models.get(ref)
            former[digest] = FormerModel(ref, model.parameters if model else {}, model is not None)
    return former
