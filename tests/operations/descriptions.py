# SPDX-License-Identifier: Apache-2.0
"""Values, capabilities and requests for tests, and strategies that draw them."""

from __future__ import annotations

import math
from typing import Any

from hypothesis import strategies as st

from reconciler.model import Quantization, ValueDescriptor, ValueElement, ValueUsage
from reconciler.operations.descriptors import ELEMENT_BYTES, DataDescriptor
from reconciler.operations.resolution import Capability, OperationRequest

WINDOW = ValueDescriptor(
    name="window", dtype=ValueElement.INT16, shape=(None, 3), usage=ValueUsage.INFERENCE, unit="mg"
)
RMS = ValueDescriptor(name="rms", dtype=ValueElement.INT32, shape=(3,))
TAKES_WINDOW, GIVES_RMS = DataDescriptor((WINDOW,), "features"), DataDescriptor((RMS,))


def window(**other: Any) -> ValueDescriptor:  # noqa: ANN401 - any field
    fields = {name: getattr(WINDOW, name) for name in ("name", "dtype", "usage", "unit", "quantization")}
    return ValueDescriptor(**{**fields, "shape": (4, 3), **other})


def capability(node: str = "north", **other: Any) -> Capability:  # noqa: ANN401 - any field
    return Capability(
        **{"operation": "features.rms", "node": node, "inputs": TAKES_WINDOW, "outputs": GIVES_RMS, **other}
    )


def request(**other: Any) -> OperationRequest:  # noqa: ANN401 - any field
    fields = {"operation": "features.rms", "descriptor": DataDescriptor((window(),), "features"), "size": 24}
    return OperationRequest(**{**fields, "expires_s": 100.0, **other})


def size_of(descriptor: DataDescriptor) -> int:
    """Return the size of data without a dimension of any size."""
    sizes = [ELEMENT_BYTES[each.dtype] * math.prod(side or 0 for side in each.shape) for each in descriptor.values]
    return sum(sizes)


VALUES = st.builds(
    ValueDescriptor,
    name=st.sampled_from(["a", "b"]),
    dtype=st.sampled_from(ValueElement),
    shape=st.lists(st.integers(0, 5), max_size=3).map(tuple),
    usage=st.sampled_from([None, *ValueUsage]),
    unit=st.sampled_from([None, "mg", "V"]),
    quantization=st.sampled_from([None, Quantization(0.5), Quantization(0.5, -3)]),
)
DESCRIPTORS = st.builds(DataDescriptor, st.lists(VALUES, max_size=3).map(tuple), st.sampled_from([None, "x", "y"]))
