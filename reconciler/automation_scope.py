# SPDX-License-Identifier: Apache-2.0
"""What a gateway's own commit may change, decided by comparing the desired states before and after it.

Values are compared and not text, so no formatting, anchor or duplicate hides a change. Everything that is not
explicitly granted must be equal: a kind or a field that is added later is protected from the start.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass, replace

from reconciler.candidates import resolve_candidates, serving_gateways, types_of, with_champion
from reconciler.model import (
    THRESHOLD,
    Contest,
    Desired,
    Digest,
    GatewayId,
    Model,
    ModelRef,
    ModelSource,
    ProposalMode,
    Rollout,
    RolloutId,
    Training,
    TrainingProposal,
)
from reconciler.model.samples import SAMPLING_PARAMETERS
from reconciler.registries.addresses import is_pin_of


@dataclass(frozen=True, slots=True)
class Grant:
    """What one gateway's commits may change."""

    rollouts: Mapping[RolloutId, tuple[Rollout, ...]]  # what each may become
    direct: frozenset[RolloutId] = frozenset()  # those that may change without a person
    models: frozenset[str] = frozenset()  # names of which new versions, of packs alone, may be added
    followed: tuple[Model, ...] = ()  # that follow a registry: copies of them with another file of it may be added


@dataclass(frozen=True, slots=True)
class GrantedChange:
    """A change that is in scope."""

    rollouts: frozenset[RolloutId]
    models: frozenset[ModelRef]  # added
    direct: bool  # it needs no person, as far as the fleet has a say


def grant_of(desired: Desired, gateway: GatewayId) -> Grant:
    """Return what a gateway may change: the champions of the contests that it evaluates, to their candidates.

    It may also add versions of the models that it trains for these contests, of candidates if forests of devices may
    become such, and of the models that follow a registry for it, with the rollouts that run them.
    """
    contests = [
        contest
        for contest in desired.contests.values()
        if _proposes(contest) and contest_gateway(contest, desired) == gateway and contest.rollout in desired.rollouts
    ]
    return Grant(
        {contest.rollout: _successors(contest, desired) for contest in contests},
        frozenset(contest.rollout for contest in contests if contest.propose is ProposalMode.DIRECT),
        frozenset(training.model for training in desired.trainings.values() if _trains(training, desired, gateway))
        | frozenset(name for contest in contests if contest.pool.local for name in contest.candidates.models),
        tuple(each for each in desired.models.values() if each.follow is not None and each.follow.gateway == gateway),
    )


def trained_source(ref: ModelRef, sha256: str) -> ModelSource:
    """Return where a training puts the pack of a version: no commit of a gateway may name another place."""
    return ModelSource(Digest(sha256), path=f"models/{ref.name}/{ref.version}/model.pack")


def find_change(before: Desired, after: Desired, grant: Grant) -> GrantedChange | str:
    """Return what a commit changes, or the first thing in it that is not granted."""
    refused = _other_kinds(before, after) or _models(before, after, grant) or _rollouts(before, after, grant)
    if refused is not None:
        return refused
    added = frozenset(after.models.keys() - before.models.keys())
    changed = _changed(before, after)
    if not changed and not added:
        return "it changes no value"
    return GrantedChange(changed, added, not added and changed <= grant.direct)


def _other_kinds(before: Desired, after: Desired) -> str | None:
    names = [field.name for field in fields(Desired) if field.name not in {"commit", "models", "rollouts"}]
    altered = [name for name in names if not _same(getattr(before, name), getattr(after, name))]
    return f"it changes the {altered[0]}" if altered else None


def _models(before: Desired, after: Desired, grant: Grant) -> str | None:
    added = after.models.keys() - before.models.keys()
    if not _same(before.models, {ref: model for ref, model in after.models.items() if ref not in added}):
        return "it changes or removes a model"
    followed = {each.ref.name for each in grant.followed}
    foreign = sorted(str(ref) for ref in added if ref.name not in grant.models | followed)
    if foreign:
        return f"it adds model {foreign[0]}"
    odd = sorted(
        str(ref)
        for ref in added
        if not (ref.name in grant.models and _is_trained(after.models[ref]))
        and not _is_followed(after.models[ref], grant.followed)
    )
    return f"it adds model {odd[0]} with fields that no training and no registry sets" if odd else None


def _rollouts(before: Desired, after: Desired, grant: Grant) -> str | None:
    if before.rollouts.keys() != after.rollouts.keys():
        return "it adds or removes a rollout"
    added = after.models.keys() - before.models.keys()
    for name in sorted(_changed(before, after)):
        allowed = (*grant.rollouts.get(name, ()), *_moved(before.rollouts[name], added, grant.followed))
        if not any(_same(each, after.rollouts[name]) for each in allowed):
            return _why_not(before.rollouts[name], after.rollouts[name], granted=bool(allowed))
    return None


def _changed(before: Desired, after: Desired) -> frozenset[RolloutId]:
    return frozenset(name for name, each in before.rollouts.items() if not _same(each, after.rollouts[name]))


def _is_trained(model: Model) -> bool:
    """Return whether a document says what those of trainings say, and nothing else."""
    source = trained_source(model.ref, model.source.sha256)
    plain = Model(model.ref, source, needs=model.needs, parameters=model.parameters)
    return _same(model, plain) and model.parameters.keys() <= {THRESHOLD, *SAMPLING_PARAMETERS}


def _is_followed(model: Model, followed: Iterable[Model]) -> bool:
    """Return whether a model is a copy of one that follows a registry, with another file of what that follows."""
    return any(
        each.follow is not None
        and each.ref.name == model.ref.name
        and is_pin_of(each.follow.url, model.source.url)
        and model.source.path is None
        and _same(replace(model, ref=each.ref, source=each.source), each)
        for each in followed
    )


def _moved(rollout: Rollout, added: Iterable[ModelRef], followed: Iterable[Model]) -> Iterator[Rollout]:
    """Yield the rollout with each added version of the followed model that it runs."""
    if any(each.ref == rollout.model for each in followed):
        yield from (replace(rollout, model=ref) for ref in added if ref.name == rollout.model.name)


def _trains(training: Training, desired: Desired, gateway: GatewayId) -> bool:
    contest = desired.contests.get(training.contest)
    if contest is None or training.suspend or training.propose is TrainingProposal.NEVER:
        return False
    return contest.rollout in desired.rollouts and contest_gateway(contest, desired) == gateway


def _proposes(contest: Contest) -> bool:
    return not contest.suspend and contest.propose is not ProposalMode.NEVER


def contest_gateway(contest: Contest, desired: Desired) -> GatewayId | None:
    """Return the gateway that evaluates a contest and trains for it; None: it is not decided."""
    if contest.gateway is not None:
        return contest.gateway
    serving = serving_gateways(desired.rollouts[contest.rollout], desired.devices.values(), desired.gateways.values())
    return serving[0] if len(serving) == 1 else None


def _successors(contest: Contest, desired: Desired) -> tuple[Rollout, ...]:
    rollout = desired.rollouts[contest.rollout]
    types = types_of(rollout, desired.devices.values(), desired.types)
    candidates = resolve_candidates(contest, rollout, desired.models, types)
    return tuple(with_champion(rollout, candidate, desired.models) for candidate in candidates)


def _why_not(before: Rollout, after: Rollout, *, granted: bool) -> str:
    if not granted:
        return f"it changes rollout {before.name}, and no contest of this gateway evaluates that"
    others = [
        field.name
        for field in fields(Rollout)
        if field.name not in {"model", "parameters"}
        and not _same(getattr(before, field.name), getattr(after, field.name))
    ]
    if others:
        return f"it changes the {others[0]} of rollout {before.name}"
    return (
        f"rollout {before.name} would run {after.model} with {dict(after.parameters)}, "
        "and its contest has no such candidate"
    )


def _same(one: object, other: object) -> bool:
    """Compare values of the model. Unlike `==`, 1 differs from 1.0 and from True: a revision hashes what is written."""
    if one is other:
        return True
    if type(one) is not type(other):
        return False
    if is_dataclass(one):
        return all(_same(getattr(one, field.name), getattr(other, field.name)) for field in fields(one))
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(_same(value, other[key]) for key, value in one.items())
    if isinstance(one, tuple) and isinstance(other, tuple):
        return len(one) == len(other) and all(map(_same, one, other))
    return repr(one) == repr(other) if isinstance(one, float) else one == other
