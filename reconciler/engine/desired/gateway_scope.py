# SPDX-License-Identifier: Apache-2.0
"""The part of the fleet that one gateway serves, and the part that it must look at, worked out once for each commit."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from reconciler.model import Desired, DeviceId, GatewayId, RolloutId
from reconciler.plan.claims import Claims
from reconciler.selection import matcher


@dataclass(frozen=True, slots=True)
class Scoped:
    """What Git wants of this gateway's devices."""

    desired: Desired  # its devices are this gateway's alone
    planned: Desired  # and those of other gateways with which its rollouts go on together
    others: frozenset[DeviceId]  # those others
    owners: Mapping[DeviceId, RolloutId]  # which rollout has each device
    news: bool  # it was not asked for before


class Scope:
    """Remembers the last answer. `together` has rollouts span gateways: it takes word of the others."""

    def __init__(self, name: GatewayId, *, together: bool = False) -> None:
        self._name = name
        self._together = together
        self._whole: Desired | None = None
        self._scoped: Scoped | None = None

    def of(self, desired: Desired) -> Scoped | None:
        """Leave only the devices that this gateway serves; None: Git does not know this gateway."""
        if self._whole is desired:
            if self._scoped is not None and self._scoped.news:
                self._scoped = replace(self._scoped, news=False)
            return self._scoped
        self._whole = desired
        gateway = desired.gateways.get(self._name)
        if gateway is None:
            self._scoped = None
            return None
        serves = matcher(gateway.selector)
        mine = {name: device for name, device in desired.devices.items() if serves(device)}
        scoped = replace(desired, devices=mine)
        claims = Claims(scoped)
        claimed = {name: claims.of(device).rollout for name, device in mine.items()}
        owners = {name: rollout for name, rollout in claimed.items() if rollout is not None}
        planned = self._with_others(desired, scoped, claims, owners.values()) if self._together else scoped
        others = frozenset(planned.devices.keys() - mine.keys())
        self._scoped = Scoped(scoped, planned, others, owners, news=True)
        return self._scoped

    @staticmethod
    def _with_others(desired: Desired, scoped: Desired, claims: Claims, rollouts: Iterable[RolloutId]) -> Desired:
        """Add the devices, wherever they are, of our devices' rollouts and of those that these wait for."""
        needed: set[RolloutId] = set()
        more = set(rollouts)
        while more:
            needed |= more
            more = {other for name in more for other in desired.rollouts[name].depends_on} - needed
        ours = scoped.devices
        both = {
            name: each for name, each in desired.devices.items() if name in ours or claims.of(each).rollout in needed
        }
        return scoped if len(both) == len(ours) else replace(desired, devices=both)
