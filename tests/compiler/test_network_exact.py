# SPDX-License-Identifier: Apache-2.0
"""A pack computes what the oracle computes, to the bit, for random shapes, strides and ranges."""

from __future__ import annotations

import os

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reconciler.compiler.pack.checker import check_pack
from reconciler.compiler.reference.interpreter import ReferenceInterpreter
from reconciler.compiler.tflite.network_pack import build_network
from reconciler.compiler.tflite.oracle import Oracle
from tests.compiler.networks import KINDS, Draw

EXAMPLES = int(os.environ.get("TINYFLEET_EXAMPLES", "40"))


@pytest.mark.parametrize("kind", sorted(KINDS))
@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_reference_equals_the_oracle(kind: str, data: st.DataObject) -> None:
    model = KINDS[kind](Draw(data))
    oracle, network = Oracle(model), build_network(model)
    check_pack(network.data, arena_bytes=network.placed.layout.size)
    reference = ReferenceInterpreter(network.data)
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    for _ in range(3):
        inputs = [rng.integers(-128, 128, d["shape"]).astype(np.int8) for d in oracle.inputs]
        wanted = [out.tobytes() for out in oracle.run(inputs)]
        assert list(reference.run([x.tobytes() for x in inputs]).outputs) == wanted
    assert reference.first_wrong_golden() is None
    assert build_network(model).data == network.data
