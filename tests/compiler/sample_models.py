# SPDX-License-Identifier: Apache-2.0
"""Small `.tflite` models that several tests use."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tests.compiler.tflite_builder import Model as Flat


def dense(kind: str) -> bytes:
    """A dense layer between conversions from and to another type."""
    model = Flat()
    scale, zero = 0.05, 3
    source = model.tensor([1, 6], scale, zero + 128 if kind == "UINT8" else 0, kind=kind)
    x, y = model.tensor([1, 6], scale, zero), model.tensor([1, 6], 0.07, -4)
    target = model.tensor([1, 6], 0.07, -4 + 128 if kind == "UINT8" else 0, kind=kind)
    weights = np.eye(6, dtype=np.int8) * 50  # half of the signal, so the error grows with the signal
    w = model.tensor([6, 6], 0.01, data=weights)
    model.operator("QUANTIZE", [source], [x], table="QuantizeOptions")
    model.operator("FULLY_CONNECTED", [x, w, -1], [y], table="FullyConnectedOptions", version=4)
    model.operator(
        "DEQUANTIZE" if kind == "FLOAT32" else "QUANTIZE", [y], [target], version=2 if kind == "FLOAT32" else 1
    )
    return model.finish([source], [target])


def add_network(
    change: Callable[[Flat], None], inputs: list[int] | None = None, outputs: list[int] | None = None
) -> bytes:
    """Return a network with one ADD, after `change` has been applied."""
    model = Flat()
    x, y = model.tensor([1, 4]), model.tensor([1, 4])
    w = model.tensor([4], data=np.ones(4, np.int8))
    model.operator("ADD", [x, w], [y], table="AddOptions")
    change(model)
    return model.finish(inputs or [x], outputs or [y])
