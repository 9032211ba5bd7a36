# SPDX-License-Identifier: Apache-2.0
"""Which rollout has a device, and which gateway serves it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

from reconciler.model import Desired, Device, GatewayId, RolloutId
from reconciler.selection import Matcher, matcher

Name = TypeVar("Name")


@dataclass(frozen=True, slots=True)
class Claim:
    """To whom a device belongs; None where nobody claims it."""

    rollout: RolloutId | None
    gateway: GatewayId | None


class Claims:
    """The selectors of one commit, ready for many devices.

    The highest priority has a device. Loading refuses equal priorities that overlap; should they
    ever get here, the rollout whose name comes first has it, so that every gateway decides alike.
    """

    def __init__(self, desired: Desired) -> None:
        rollouts = sorted(desired.rollouts.values(), key=lambda rollout: (-rollout.priority, rollout.name))
        gateways = sorted(desired.gateways.values(), key=lambda gateway: gateway.name)
        self._rollouts = [(rollout.name, matcher(rollout.selector)) for rollout in rollouts]
        self._gateways = [(gateway.name, matcher(gateway.selector)) for gateway in gateways]
        self._known: dict[tuple[RolloutId | None, GatewayId | None], Claim] = {}
        # Two commits with the same scope claim every device alike.
        self.scope = (
            tuple((rollout.name, rollout.selector) for rollout in rollouts),
            tuple((gateway.name, gateway.selector) for gateway in gateways),
        )

    def of(self, device: Device) -> Claim:
        """Find the owner of one device; one value for all that have the same owners."""
        owners = (_first(self._rollouts, device), _first(self._gateways, device))
        claim = self._known.get(owners)
        if claim is None:
            claim = self._known[owners] = Claim(*owners)
        return claim


def _first(candidates: list[tuple[Name, Matcher]], device: Device) -> Name | None:
    for name, matches in candidates:
        if matches(device):
            return name
    return None
