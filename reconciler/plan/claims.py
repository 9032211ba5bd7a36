# SPDX-License-Identifier: Apache-2.0
"""Which rollout updates a device, and which gateway serves it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

from reconciler.model import (
    Blocked,
    BlockedReason,
    Desired,
    Device,
    DeviceId,
    GatewayId,
    Labels,
    NoChange,
    RolloutId,
    TypeId,
)
from reconciler.selection import Matcher, matcher

Name = TypeVar("Name")
MAX_REMEMBERED = 10_000  # label sets; beyond, they are forgotten and found again


@dataclass(frozen=True, slots=True)
class Claim:
    """Who claims a device; None if no selector matches it."""

    rollout: RolloutId | None
    gateway: GatewayId | None


class Claims:
    """The selectors of one commit, prepared for many devices.

    The rollout with the highest priority claims a device. Loading refuses rollouts of equal priority that
    overlap. If such rollouts get here despite that, the first by name claims the device, so that every
    gateway decides alike.
    """

    def __init__(self, desired: Desired) -> None:
        rollouts = sorted(desired.rollouts.values(), key=lambda rollout: (-rollout.priority, rollout.name))
        gateways = sorted(desired.gateways.values(), key=lambda gateway: gateway.name)
        self._rollouts = [(rollout.name, matcher(rollout.selector)) for rollout in rollouts]
        self._gateways = [(gateway.name, matcher(gateway.selector)) for gateway in gateways]
        self._known: dict[tuple[RolloutId | None, GatewayId | None], Claim] = {}
        # Loading gives devices with equal labels the same object. It is kept here, so that its id stays its own.
        self._by_labels: dict[tuple[int, TypeId], tuple[Labels, Claim]] = {}
        selectors = [*(rollout.selector for rollout in rollouts), *(gateway.selector for gateway in gateways)]
        self._names_devices = any(selector is not None and selector.devices for selector in selectors)
        # Two commits with the same scope claim every device alike.
        self.scope = (
            tuple((rollout.name, rollout.selector) for rollout in rollouts),
            tuple((gateway.name, gateway.selector) for gateway in gateways),
        )

    def of(self, device: Device) -> Claim:
        """Find who claims a device; devices with the same claim share one object."""
        if self._names_devices:
            return self._find(device)
        key = (id(device.labels), device.type)
        known = self._by_labels.get(key)
        if known is None:
            if len(self._by_labels) >= MAX_REMEMBERED:
                self._by_labels.clear()
            known = self._by_labels[key] = (device.labels, self._find(device))
        return known[1]

    def _find(self, device: Device) -> Claim:
        pair = (_first(self._rollouts, device), _first(self._gateways, device))
        claim = self._known.get(pair)
        if claim is None:
            claim = self._known[pair] = Claim(*pair)
        return claim


def _first(candidates: list[tuple[Name, Matcher]], device: Device) -> Name | None:
    for name, matches in candidates:
        if matches(device):
            return name
    return None


def unclaimed_device(device: DeviceId) -> NoChange:
    """Return the action of a device that no rollout claims."""
    return NoChange(device, "no rollout selects it")


def unknown_device(device: DeviceId) -> Blocked:
    """Return the action of a device that reports and is not in Git."""
    return Blocked(device, None, BlockedReason.UNKNOWN, "reports, but is not in Git")
