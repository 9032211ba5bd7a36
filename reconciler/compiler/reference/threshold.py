# SPDX-License-Identifier: Apache-2.0
"""Threshold models, as docs/specs/pack.md section 5 defines them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from reconciler.compiler.pack.weighted_sum_section import decode_threshold


def run_threshold(section: bytes, x: npt.NDArray[np.int64], values: Sequence[int]) -> tuple[list[int], int]:
    """Return the output numbers [decision, score], and the score."""
    model = decode_threshold(section)
    score = (model.bias + int(model.weights @ x)) >> model.shift
    return [int(score > values[model.parameter]), score], score
