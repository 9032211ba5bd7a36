# SPDX-License-Identifier: Apache-2.0
"""Estimates of the cost of an inference."""

from __future__ import annotations

from reconciler.compiler.evaluation.inference_cost import estimate_cost
from reconciler.compiler.forest.training import train_forest
from reconciler.compiler.pack.forest_section import decode_forest
from reconciler.compiler.pack.pack_format import (
    SectionId,
    disassemble,
)
from reconciler.model import TrainSpec
from tests.compiler.forest_data import noise_dataset


def test_a_forest_without_jumps_costs_all_its_nodes() -> None:
    trained = train_forest(noise_dataset(3), TrainSpec("isolation-forest", 3), scheme="int8", parameters={})
    pack = disassemble(trained.data)
    assert decode_forest(pack.section(SectionId.FOREST), 3).jump_bits == 0
    assert estimate_cost(trained.data, "cortex-m4").instructions > 0
