# SPDX-License-Identifier: Apache-2.0
"""The contests that this gateway evaluates, with their candidates, voters and devices: once for each commit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from reconciler.candidates import champion, resolve_candidates, resolve_voters, serving_gateways, types_of
from reconciler.engine.desired.gateway_scope import GatewayScope
from reconciler.engine.samples.local_models import LocalModel, local_models
from reconciler.engine.samples.visit import DeviceCollection
from reconciler.knowledge.records import LearnedForest
from reconciler.model import Candidate, Contest, ContestId, Desired, DeviceId, DeviceType, GatewayId, ModelRef, Rollout
from reconciler.model.snapshot_cache import SnapshotCache


@dataclass(frozen=True, slots=True)
class OwnContest:
    """A contest of this gateway, resolved."""

    contest: Contest
    rollout: Rollout
    champion: Candidate
    candidates: tuple[Candidate, ...]
    voters: frozenset[Candidate]
    devices: frozenset[DeviceId]  # of this gateway, in the rollout
    types: tuple[DeviceType, ...]  # of the rollout's devices
    local: tuple[LocalModel, ...] = ()  # forests that its devices have grown; they are among the voters

    @property
    def thresholds(self) -> Mapping[ModelRef, tuple[float | None, ...]]:
        """Return every model that evaluates samples, with its thresholds: the champion's too, to check devices."""
        found: dict[ModelRef, set[float | None]] = {}
        for each in {*self.voters, *self.candidates, self.champion}:
            found.setdefault(each.model, set()).add(each.threshold)
        return {ref: tuple(sorted(some, key=lambda each: (each is not None, each))) for ref, some in found.items()}


@dataclass(frozen=True, slots=True)
class OwnContests:
    """All contests of this gateway, and what its devices are asked for."""

    by_name: Mapping[ContestId, OwnContest]
    collections: Mapping[DeviceId, DeviceCollection]


class ContestResolver:
    """Resolves the contests of a commit, and remembers the last ones."""

    def __init__(self, name: GatewayId) -> None:
        self._name = name
        self._resolved: SnapshotCache[OwnContests] = SnapshotCache()

    def resolve(self, desired: Desired, scope: GatewayScope, learned: tuple[LearnedForest, ...] = ()) -> OwnContests:
        """Return the contests, as a snapshot. `desired` has the devices of all gateways; `learned` is a snapshot."""
        known = self._resolved.get(desired, scope.owners, learned)
        if known is not None:
            return known
        own = {
            name: _resolved(contest, desired, scope, learned)
            for name, contest in sorted(desired.contests.items())
            if self._evaluates(contest, desired)
        }
        collections = {
            device: DeviceCollection(name, each.contest.collect, each.contest.pool.local)
            for name, each in own.items()
            for device in sorted(each.devices)
        }
        return self._resolved.put(OwnContests(own, collections), desired, scope.owners, learned)

    def _evaluates(self, contest: Contest, desired: Desired) -> bool:
        if contest.gateway is not None:
            return contest.gateway == self._name
        rollout = desired.rollouts[contest.rollout]
        return self._name in serving_gateways(rollout, desired.devices.values(), desired.gateways.values())


def _resolved(
    contest: Contest, desired: Desired, scope: GatewayScope, learned: tuple[LearnedForest, ...]
) -> OwnContest:
    rollout = desired.rollouts[contest.rollout]
    types = types_of(rollout, desired.devices.values(), desired.types)
    candidates = resolve_candidates(contest, rollout, desired.models, types)
    devices = frozenset(device for device, owner in scope.owners.items() if owner == contest.rollout)
    local = local_models(contest, desired, devices, learned)
    return OwnContest(
        contest,
        rollout,
        champion(rollout, desired.models),
        candidates,
        resolve_voters(contest, candidates, desired.models).union(each.candidate for each in local),
        devices,
        types,
        local,
    )
