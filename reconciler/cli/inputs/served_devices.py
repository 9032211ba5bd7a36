# SPDX-License-Identifier: Apache-2.0
"""The part of a fleet that one gateway serves."""

from __future__ import annotations

from dataclasses import replace

from reconciler.cli.inputs.known_names import require_known
from reconciler.model import Desired, GatewayId
from reconciler.selection import matcher


def served_by(desired: Desired, name: GatewayId) -> Desired:
    """Keep only the devices of one gateway."""
    require_known("gateway", name, desired.gateways)
    serves = matcher(desired.gateways[name].selector)
    return replace(desired, devices={key: device for key, device in desired.devices.items() if serves(device)})
