# SPDX-License-Identifier: Apache-2.0
"""The part of the fleet that one gateway serves, worked out once for each commit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from reconciler.model import Desired, DeviceId, GatewayId, RolloutId
from reconciler.plan.claims import Claims
from reconciler.selection import matcher


@dataclass(frozen=True, slots=True)
class Scoped:
    """What Git wants of this gateway's devices."""

    desired: Desired  # its devices are this gateway's alone
    owners: Mapping[DeviceId, RolloutId]  # which rollout has each device
    news: bool  # it was not asked for before


class Scope:
    """Remembers the last answer."""

    def __init__(self, name: GatewayId) -> None:
        self._name = name
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
        self._scoped = Scoped(scoped, owners, news=True)
        return self._scoped
