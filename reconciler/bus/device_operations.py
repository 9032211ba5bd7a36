# SPDX-License-Identifier: Apache-2.0
"""Built-ins of devices as operations of their gateway."""

from __future__ import annotations

from reconciler.model import Builtin, DeviceId, device_operation
from reconciler.operations.descriptors import DataDescriptor
from reconciler.operations.resolution import DEVICE, Capability


def builtin_capability(builtin: Builtin, device: DeviceId, node: str) -> Capability:
    """Return how a built-in of a device is listed."""
    return Capability(
        device_operation(builtin, device),
        node,
        DataDescriptor(builtin.inputs, builtin.task),
        DataDescriptor(builtin.outputs, builtin.task),
        f"{DEVICE}{device}",
        builtin.idempotent,
    )
