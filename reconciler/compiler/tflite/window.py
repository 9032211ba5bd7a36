# SPDX-License-Identifier: Apache-2.0
"""The window of a convolution or pool along one axis."""

from __future__ import annotations

from dataclasses import dataclass

from ai_edge_litert import schema_py_generated as schema


@dataclass(frozen=True, slots=True)
class Window:
    """Its size and how it moves."""

    kernel: int
    stride: int
    dilation: int = 1

    @property
    def extent(self) -> int:
        """The number of elements from the first tap to the last."""
        return (self.kernel - 1) * self.dilation + 1

    def padding(self, size_in: int, size_out: int, kind: int, border: tuple[int, int] = (0, 0)) -> int:
        """Return the padding before the input: that of the operator, and a border that is already around the input."""
        if kind == schema.Padding.VALID:
            return border[0]
        missing = (size_out - 1) * self.stride + self.extent - (size_in + sum(border))
        return border[0] + max(0, missing) // 2

    def fits(self, size_in: int, size_out: int, padding: int) -> bool:
        """Return whether the first and the last window reach the input, as docs/specs/pack.md section 9 requires."""
        positive = min(self.kernel, self.stride, self.dilation) >= 1
        return positive and padding < self.extent and (size_out - 1) * self.stride - padding < size_in
