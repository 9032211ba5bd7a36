# SPDX-License-Identifier: Apache-2.0
"""Pipelines as operations of their gateway: `<pipeline>.infer`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from reconciler.bus.node import Invocation, OfferedOperation
from reconciler.model import ValueDescriptor, ValueElement
from reconciler.operations.descriptors import DataDescriptor
from reconciler.operations.resolution import Capability

# The outputs of the network, and whether they are its own: a fallback model gives others.
Infer = Callable[[bytes], Awaitable[tuple[bytes, bool]]]

INPUTS = DataDescriptor((ValueDescriptor(name="input", dtype=ValueElement.INT8, shape=(None,)),))
OUTPUTS = DataDescriptor(
    (
        ValueDescriptor(name="exact", dtype=ValueElement.UINT8, shape=(1,)),
        ValueDescriptor(name="output", dtype=ValueElement.INT8, shape=(None,)),
    )
)


def infer_operation(pipeline: str, node: str, infer: Infer) -> OfferedOperation:
    """Return the operation that runs a pipeline. It may run again: it changes nothing."""

    async def perform(asked: Invocation) -> bytes:
        outputs, exact = await infer(asked.data)
        return bytes([exact]) + outputs

    capability = Capability(
        f"{pipeline}.infer", node, INPUTS, OUTPUTS, provider=f"pipeline {pipeline}", idempotent=True
    )
    return OfferedOperation(capability, perform)
