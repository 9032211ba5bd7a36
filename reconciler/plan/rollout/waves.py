# SPDX-License-Identifier: Apache-2.0
"""Which devices go first.

The order depends only on the names of the rollout, the model and the devices. So one commit chooses the
same canaries on every gateway and after every restart, and the next version of the model begins with other
devices.
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

REST = "rest"  # the last wave, with all devices that no other wave takes


@dataclass(frozen=True, slots=True)
class WaveStep:
    """One wave with its devices."""

    name: str
    members: tuple[DeviceId, ...]
    soak: timedelta = timedelta(0)
    by_selector: bool = False


def stable_order(rollout: Rollout, devices: Iterable[Device]) -> list[Device]:
    """Sort the devices of a rollout into the order in which they are updated."""
    return sorted(devices, key=_key(rollout))


def update_order(
    rollout: Rollout, order: Iterable[Device], changed: Collection[DeviceId], members: Mapping[DeviceId, Device]
) -> list[Device]:
    """Do what `stable_order` does, faster, for a few devices that were added, removed or changed since."""
    new_order = [device for device in order if device.name not in changed]
    key = _key(rollout)
    for name in changed:
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


def assign_waves(rollout: Rollout, order: Sequence[Device]) -> tuple[WaveStep, ...]:
    """Assign the devices, in their stable order, to waves. Waves with a selector come first.

    `count` and `percent` state how many devices have the model when the wave is over, earlier waves included.
    """
    if not rollout.waves:
        return (WaveStep("all", tuple(device.name for device in order)),) if order else ()
    selected, rest = _select(rollout.waves, order)
    steps = []
    assigned = taken = 0
    for wave in rollout.waves:
        members = selected.get(wave.name, ())
        if wave.selector is None:
            number = max(0, min(_target(wave, len(order)) - assigned, len(rest) - taken))
            members = tuple(device.name for device in rest[taken : taken + number])
            taken += number
        assigned += len(members)
        steps.append(WaveStep(wave.name, members, timedelta(seconds=wave.soak_s), wave.selector is not None))
    if taken < len(rest):
        steps.append(WaveStep(REST, tuple(device.name for device in rest[taken:])))
    return tuple(steps)


def _select(waves: Sequence[Wave], order: Sequence[Device]) -> tuple[dict[str, tuple[DeviceId, ...]], Sequence[Device]]:
    """Give each device to the first wave whose selector matches it; return the other devices too."""
    selected: dict[str, tuple[DeviceId, ...]] = {}
    rest = order
    for wave in waves:
        if wave.selector is not None:
            matches = matcher(wave.selector)
            selected[wave.name] = tuple(device.name for device in rest if matches(device))
            rest = [device for device in rest if not matches(device)]
    return selected, rest


def _target(wave: Wave, total: int) -> int:
    """Return how many devices have the model when this wave is over. A percentage is rounded up."""
    if wave.count is not None:
        return wave.count
    return share(wave.percent or 0, total, ROUND_CEILING)


def share(percent: float, total: int, rounding: str) -> int:
    """Compute a percentage in decimal arithmetic, in which 1.1 % of 1,000 is exactly 11."""
    return int((Decimal(str(percent)) * total / 100).to_integral_value(rounding))
