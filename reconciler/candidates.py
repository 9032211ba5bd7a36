# SPDX-License-Identifier: Apache-2.0
"""Resolves what may replace the champion of a contest, so that loading, evaluation and the check of proposals agree."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace

from reconciler.model import (
    LEARN_OPERATOR,
    THRESHOLD,
    Candidate,
    Contest,
    Device,
    DeviceType,
    Gateway,
    GatewayId,
    Model,
    ModelRef,
    Rollout,
    TypeId,
)
from reconciler.selection import matcher


def champion(rollout: Rollout, models: Mapping[ModelRef, Model]) -> Candidate:
    """Return what a rollout gives its devices."""
    model = models[rollout.model]
    return Candidate(model.ref, {**model.parameters, **rollout.parameters}.get(THRESHOLD))


def resolve_candidates(
    contest: Contest, rollout: Rollout, models: Mapping[ModelRef, Model], types: Collection[DeviceType]
) -> tuple[Candidate, ...]:
    """Return every candidate, in order, also the one that is champion. `types` are those of the rollout's devices."""
    current = models[rollout.model]
    found = {
        candidate
        for ref, model in models.items()
        if ref.name in contest.candidates.models and _may_replace(model, current, types)
        for candidate in _with_thresholds(contest, rollout, model)
    }
    return tuple(sorted(found))


def resolve_voters(
    contest: Contest, candidates: Iterable[Candidate], models: Mapping[ModelRef, Model]
) -> frozenset[Candidate]:
    """Return who votes: the models of the pool with their own thresholds, and the candidates unless they may not."""
    pool = {Candidate(ref, models[ref].parameters.get(THRESHOLD)) for ref in contest.pool.models}
    return frozenset(pool.union(candidates) if contest.pool.candidates else pool)


def with_champion(rollout: Rollout, candidate: Candidate, models: Mapping[ModelRef, Model]) -> Rollout:
    """Return the rollout with a candidate as champion: the only change that a proposal may make to it."""
    own = models[candidate.model].parameters.get(THRESHOLD)
    parameters = dict(rollout.parameters)
    if own is None or candidate.threshold is None:
        parameters.pop(THRESHOLD, None)
    elif THRESHOLD in parameters or candidate.threshold != own:
        parameters[THRESHOLD] = candidate.threshold
    return replace(rollout, model=candidate.model, parameters=parameters)


def types_of(rollout: Rollout, devices: Iterable[Device], types: Mapping[TypeId, DeviceType]) -> tuple[DeviceType, ...]:
    """Return the types of the devices that a rollout selects, in order; a type that does not exist is left out."""
    selects = matcher(rollout.selector)
    return tuple(types[name] for name in sorted({device.type for device in devices if selects(device)} & types.keys()))


def serving_gateways(rollout: Rollout, devices: Iterable[Device], gateways: Iterable[Gateway]) -> tuple[GatewayId, ...]:
    """Return the gateways that serve devices of a rollout, in order."""
    selects = matcher(rollout.selector)
    selected = [device for device in devices if selects(device)]
    serves = {gateway.name: matcher(gateway.selector) for gateway in gateways}
    return tuple(sorted(name for name, serves_it in serves.items() if any(map(serves_it, selected))))


def fits(model: Model, kind: DeviceType) -> bool:
    """Return whether a type has what the document of a model says that it needs."""
    needs = model.needs
    operators = needs.operators | {LEARN_OPERATOR} if model.learn is not None else needs.operators
    return operators <= kind.operators and needs.slot_bytes <= kind.slot_bytes and needs.arena_bytes <= kind.arena_bytes


def _may_replace(model: Model, current: Model, types: Collection[DeviceType]) -> bool:
    """Return whether no device would lose its model: a replacement fits wherever the champion does."""
    if model.pool_only:
        return False
    fitting = [kind for kind in types if fits(model, kind)]
    return bool(fitting) and all(kind in fitting for kind in types if fits(current, kind))


def _with_thresholds(contest: Contest, rollout: Rollout, model: Model) -> tuple[Candidate, ...]:
    own = model.parameters.get(THRESHOLD)
    if own is None:
        return (Candidate(model.ref),)
    if contest.candidates.thresholds is None:
        return (Candidate(model.ref, rollout.parameters.get(THRESHOLD, own)),)
    return tuple(Candidate(model.ref, value) for value in contest.candidates.thresholds.values())
