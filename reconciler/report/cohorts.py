# SPDX-License-Identifier: Apache-2.0
"""Cohorts: the devices with one value of the label that the fleet declares (docs/adr/0158).

A label value comes from Git and may differ on every device, so figures name at most `MAX_COHORTS` values. The names of
the two other groups hold parentheses, which no label value has.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from reconciler.model import Desired, DeviceId
from reconciler.report.device_status import DeviceStatus
from reconciler.report.gateway_status import GatewayStatus

MAX_COHORTS = 50
WITHOUT = "(none)"  # devices without the label, or with an empty value
OTHER = "(other)"  # devices of all cohorts that are not named


@dataclass(frozen=True, slots=True)
class Cohorts:
    """The cohorts of a gateway's devices: at most `MAX_COHORTS`, `WITHOUT` and `OTHER`."""

    label: str
    values: int  # of the label on these devices, named or not
    of: Mapping[DeviceId, str]


def cohort_values(desired: Desired) -> Mapping[DeviceId, str]:
    """Return the value of the declared label of each device that has one."""
    label = desired.fleet.cohort_label
    if label is None:
        return {}
    return {name: value for name, device in desired.devices.items() if (value := device.labels.get(label))}


def cohorts_of(gateway: GatewayStatus | None, devices: Iterable[DeviceStatus]) -> Cohorts | None:
    """Return the cohort of each device: the largest have names, and the order of names decides between equals.

    None: the fleet declares no label.
    """
    if gateway is None or gateway.cohort_label is None:
        return None
    values = {each.device: each.cohort for each in devices}
    sizes = Counter(value for value in values.values() if value)
    largest = sorted(sizes, key=lambda value: (-sizes[value], value))[:MAX_COHORTS]
    names = {value: value for value in largest}
    return Cohorts(
        gateway.cohort_label,
        len(sizes),
        {device: names.get(value, OTHER) if value else WITHOUT for device, value in values.items()},
    )


def in_order(names: Iterable[str]) -> list[str]:
    """Sort names of cohorts, with the two other groups last."""
    return sorted(names, key=lambda name: (name in {WITHOUT, OTHER}, name))
