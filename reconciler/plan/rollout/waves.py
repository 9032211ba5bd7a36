# SPDX-License-Identifier: Apache-2.0
"""Which devices go first.

The choice is stable: it depends on the rollout, the model and the devices' names alone, so the same
commit chooses the same canaries on every gateway and after every restart, while the next version of
the model begins with other devices.
"""

from __future__ import annotations

import bisect
import hashlib
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import ROUND_CEILING, Decimal

from reconciler.model import Device, DeviceId, Rollout, Wave
from reconciler.selection import matcher

REST = "rest"  # the devices that no wave names come last, together


@dataclass(frozen=True, slots=True)
class WaveStep:
    """One wave with its devices."""

    name: str
    members: tuple[DeviceId, ...]
    soak: timedelta = timedelta(0)
    by_selector: bool = False


def stable_order(rollout: Rollout, devices: Iterable[Device]) -> list[Device]:
    """Put a rollout's devices into the order in which they are chosen."""
    return sorted(devices, key=_key(rollout))


def reordered(
    rollout: Rollout, order: Iterable[Device], moved: Collection[DeviceId], members: Mapping[DeviceId, Device]
) -> list[Device]:
    """Do what `stable_order` does, for few devices that came, went or changed since it was done."""
    new_order = [device for device in order if device.name not in moved]
    key = _key(rollout)
    for name in moved:
        if name in members:
            bisect.insort(new_order, members[name], key=key)
    return new_order


def _key(rollout: Rollout) -> Callable[[Device], bytes]:
    seed = hashlib.blake2b(f"{rollout.name}\0{rollout.model}\0".encode(), digest_size=8)

    def key(device: Device) -> bytes:
        name = device.name.encode()
        state = seed.copy()
        state.update(name)
        return state.digest() + name

    return key


def arrange(rollout: Rollout, order: Sequence[Device]) -> tuple[WaveStep, ...]:
    """Deal the devices, in their stable order, to the waves; those that selectors name are dealt first.

    `count` and `percent` say how many devices have the model when the wave is over, earlier waves included.
    """
    if not rollout.waves:
        return (WaveStep("all", tuple(device.name for device in order)),) if order else ()
    named, rest = _deal_by_selector(rollout.waves, order)
    steps = []
    dealt = taken = 0
    for wave in rollout.waves:
        members = named.get(wave.name, ())
        if wave.selector is None:
            share = max(0, min(_target(wave, len(order)) - dealt, len(rest) - taken))
            members = tuple(device.name for device in rest[taken : taken + share])
            taken += share
        dealt += len(members)
        steps.append(WaveStep(wave.name, members, timedelta(seconds=wave.soak_s), wave.selector is not None))
    if taken < len(rest):
        steps.append(WaveStep(REST, tuple(device.name for device in rest[taken:])))
    return tuple(steps)


def _deal_by_selector(
    waves: Sequence[Wave], order: Sequence[Device]
) -> tuple[dict[str, tuple[DeviceId, ...]], Sequence[Device]]:
    """Give each device to the first wave whose selector names it; return the others too."""
    named: dict[str, tuple[DeviceId, ...]] = {}
    rest = order
    for wave in waves:
        if wave.selector is not None:
            matches = matcher(wave.selector)
            named[wave.name] = tuple(device.name for device in rest if matches(device))
            rest = [device for device in rest if not matches(device)]
    return named, rest


def _target(wave: Wave, total: int) -> int:
    """Count the devices that have the model when this wave is over. A share is rounded up."""
    if wave.count is not None:
        return wave.count
    return share(wave.percent or 0, total, ROUND_CEILING)


def share(percent: float, total: int, rounding: str) -> int:
    """Take a share in decimal, where 1.1 % of 1,000 is 11 and not a hair more."""
    return int((Decimal(str(percent)) * total / 100).to_integral_value(rounding))
