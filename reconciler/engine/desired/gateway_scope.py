# SPDX-License-Identifier: Apache-2.0
"""The part of the fleet that one gateway serves, and the part that its plan must consider, once for each commit."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from reconciler.model import Desired, DeviceId, GatewayId, RolloutId
from reconciler.model.snapshot_cache import SnapshotCache
from reconciler.plan.claims import Claims
from reconciler.report.cohorts import cohort_values
from reconciler.selection import matcher


@dataclass(frozen=True, slots=True)
class GatewayScope:
    """What Git wants of this gateway's devices."""

    desired: Desired  # with this gateway's devices alone
    planned: Desired  # with the devices of other gateways in the same rollouts as well
    others: frozenset[DeviceId]  # those devices of other gateways
    owners: Mapping[DeviceId, RolloutId]  # the rollout that has each device
    cohorts: Mapping[DeviceId, str]  # the value of the label that the fleet declares, of devices that have it
    is_new: bool  # it is resolved for the first time


class ScopeResolver:
    """Resolves scopes and remembers the last one. With `together`, rollouts span gateways."""

    def __init__(self, name: GatewayId, *, together: bool = False) -> None:
        self._name = name
        self._together = together
        self._scopes: SnapshotCache[GatewayScope] = SnapshotCache()

    def resolve(self, desired: Desired) -> GatewayScope | None:
        """Return the scope of this gateway; None: Git does not know the gateway.

        A scope and its parts are snapshots (reconciler.model.snapshot_cache).
        """
        known = self._scopes.get(desired)
        if known is not None:
            return self._scopes.put(replace(known, is_new=False), desired) if known.is_new else known
        gateway = desired.gateways.get(self._name)
        if gateway is None:
            self._scopes.clear()
            return None
        serves = matcher(gateway.selector)
        mine = {name: device for name, device in desired.devices.items() if serves(device)}
        own = replace(desired, devices=mine)
        claims = Claims(own)
        claimed = {name: claims.of(device).rollout for name, device in mine.items()}
        owners = {name: rollout for name, rollout in claimed.items() if rollout is not None}
        planned = self._with_others(desired, own, claims, owners.values()) if self._together else own
        others = frozenset(planned.devices.keys() - mine.keys())
        return self._scopes.put(GatewayScope(own, planned, others, owners, cohort_values(own), is_new=True), desired)

    @staticmethod
    def _with_others(desired: Desired, own: Desired, claims: Claims, rollouts: Iterable[RolloutId]) -> Desired:
        """Add the devices of other gateways in our rollouts, and in those that our rollouts depend on."""
        needed: set[RolloutId] = set()
        more = set(rollouts)
        while more:
            needed |= more
            more = {other for name in more for other in desired.rollouts[name].depends_on} - needed
        ours = own.devices
        both = {
            name: each for name, each in desired.devices.items() if name in ours or claims.of(each).rollout in needed
        }
        return own if len(both) == len(ours) else replace(desired, devices=both)
