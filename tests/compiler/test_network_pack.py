# SPDX-License-Identifier: Apache-2.0
"""Packs of networks whose inputs and outputs are not int8."""

from __future__ import annotations

import numpy as np
import pytest

from reconciler.compiler.pack.io_section import decode_io
from reconciler.compiler.pack.pack_format import SectionId, disassemble
from reconciler.compiler.reference.interpreter import ReferenceInterpreter
from reconciler.compiler.tflite.network_pack import build_network
from reconciler.compiler.tflite.oracle import Oracle
from tests.compiler.sample_models import dense


@pytest.mark.parametrize("kind", ["FLOAT32", "UINT8"])
def test_conversions_at_the_inputs_and_outputs_are_removed(kind: str) -> None:
    data = dense(kind)
    network = build_network(data)
    assert len(network.notes) == 2
    inputs, outputs = decode_io(disassemble(network.data).section(SectionId.IO))
    assert [inputs[0].zero_point, outputs[0].zero_point] == [3, -4]
    oracle, reference = Oracle(data), ReferenceInterpreter(network.data)
    for seed in range(5):
        x = np.random.default_rng(seed).integers(-128, 128, 6)
        (computed,) = reference.run([x.astype(np.int8).tobytes()]).outputs
        if kind == "UINT8":
            expected = oracle.run([(x + 128).astype(np.uint8)])[0].astype(int) - 128
        else:
            given = ((x - inputs[0].zero_point) * inputs[0].scale).astype(np.float32)
            expected = (
                np.rint(oracle.run([given])[0].astype(np.float64) / outputs[0].scale).astype(int)
                + outputs[0].zero_point
            )
        assert np.frombuffer(computed, np.int8).tolist() == expected.reshape(-1).tolist()
