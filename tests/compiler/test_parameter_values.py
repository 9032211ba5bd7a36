# SPDX-License-Identifier: Apache-2.0
"""Parameters: from values in real units to the integers of a device."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from reconciler.compiler.errors import BuildFailed
from reconciler.compiler.pack.decision_head import DecisionMode
from reconciler.compiler.pack.pack_format import SectionId, disassemble
from reconciler.compiler.pack.parameter_values import encode_values
from reconciler.compiler.pack.tunable_parameters_section import (
    Parameter,
    ParameterEncoding,
    decode_parameters,
    name_hash,
)
from reconciler.compiler.reference.interpreter import ReferenceInterpreter
from reconciler.compiler.tflite.network_pack import Decision, build_network
from reconciler.compiler.threshold.threshold_pack import build_threshold_pack
from tests.compiler.make_vectors import good_packs
from tests.compiler.tflite_builder import Model


def _echo() -> bytes:
    model = Model()
    x, y = model.tensor([1, 32], 0.05, 3), model.tensor([1, 32], 0.03, -5)
    model.operator("RELU", [x], [y])
    return model.finish([x], [y])


def test_thresholds_are_stated_in_real_units() -> None:
    echo = _echo()
    wide = Parameter(name_hash("threshold"), 1, -(1 << 31), (1 << 31) - 1)
    scale = float(np.float32(0.03))
    for encoding, value, expected in (
        (ParameterEncoding.LINEAR, 1.75, 28),
        (ParameterEncoding.RECONSTRUCTION_ERROR, 0.01, round(0.01 * 32 / scale**2)),
        (ParameterEncoding.OUTPUT_VALUE, 1.5, 45),
    ):
        entry = replace(wide, encoding=encoding, fraction_bits=4)
        pack = build_network(echo, decision=Decision(DecisionMode.THRESHOLD, 0), parameters=(entry,)).data
        assert encode_values(pack, {"threshold": value}) == {0: expected}
        with pytest.raises(BuildFailed, match="no parameter"):
            encode_values(pack, {"other": 1.0})
    isolation = good_packs()["forest isolation"]
    assert encode_values(isolation, {"threshold": 0.5})[0] > encode_values(isolation, {"threshold": 0.6})[0]
    with pytest.raises(BuildFailed, match="isolation score must be above 0"):
        encode_values(isolation, {"threshold": 0.0})


def test_a_parameter_changes_the_decision() -> None:
    entry = Parameter(name_hash("threshold"), 0, 0, 1 << 30, ParameterEncoding.RECONSTRUCTION_ERROR)
    pack = build_network(_echo(), decision=Decision(DecisionMode.RECONSTRUCTION, 0), parameters=(entry,)).data
    reference = ReferenceInterpreter(pack)
    x = np.full(32, -90, np.int8).tobytes()
    score = reference.run([x]).score
    assert score > 0
    assert [reference.run([x], [limit]).decision for limit in (score - 1, score)] == [1, 0]


def test_a_parameter_out_of_range_is_refused() -> None:
    pack = build_threshold_pack([1, 2], threshold=1)
    entry = decode_parameters(disassemble(pack).section(SectionId.PARAMETERS))[0]
    assert entry.maximum < 1e12
    with pytest.raises(BuildFailed, match=r"parameter threshold: .* is outside of the range that the model allows"):
        encode_values(pack, {"threshold": 1e12})
