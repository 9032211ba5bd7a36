# SPDX-License-Identifier: Apache-2.0
"""Recipes from models and device types."""

from __future__ import annotations

from dataclasses import replace

import pytest

from reconciler.compiler.errors import BuildFailed
from reconciler.compiler.recipe import recipe_of
from reconciler.model import (
    Digest,
    ModelSource,
)
from tests.compiler.recipes import BOARD, model_with_data


def test_a_clock_label_that_is_not_a_number_is_refused() -> None:
    source = ModelSource(Digest("0" * 64), path="m.tflite")
    assert recipe_of(model_with_data(source, source), BOARD).target.clock_mhz == 64.0
    with pytest.raises(BuildFailed, match="not a number of MHz"):
        recipe_of(model_with_data(source, source), replace(BOARD, labels={"clock-mhz": "fast"}))
