# SPDX-License-Identifier: Apache-2.0
"""A pack computes what the oracle computes, to the bit, for random shapes, strides and ranges."""

from __future__ import annotations

import os

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bench.zoo import ZOO
from reconciler.compiler.evaluation.inference_cost import estimate_cost
from reconciler.compiler.pack.checker import check_pack
from reconciler.compiler.reference.interpreter import ReferenceInterpreter
from reconciler.compiler.tflite.network_pack import build_network
from reconciler.compiler.tflite.oracle import Oracle
from tests.compiler.random_networks import KINDS, Draw, in_device_layout, oracle_and_network

EXAMPLES = int(os.environ.get("TINYFLEET_EXAMPLES", "40"))


@pytest.mark.parametrize("kind", sorted(KINDS))
@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_the_reference_interpreter_equals_the_oracle(kind: str, data: st.DataObject) -> None:
    model = KINDS[kind](Draw(data))
    oracle, network = oracle_and_network(model)
    check_pack(network.data, arena_bytes=network.placement.layout.size)
    reference = ReferenceInterpreter(network.data)
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    for _ in range(3):
        inputs = [rng.integers(-128, 128, d["shape"]).astype(np.int8) for d in oracle.inputs]
        expected = [out.tobytes() for out in oracle.run(inputs)]
        assert list(reference.run(in_device_layout(network, inputs)).outputs) == expected
    assert reference.first_wrong_golden() is None
    assert build_network(model).data == network.data


@pytest.mark.parametrize("name", sorted(ZOO))
def test_realistic_networks_are_exact_and_reach_the_arena_bound(name: str) -> None:
    model = ZOO[name]()
    network, oracle = build_network(model), Oracle(model)
    reference = ReferenceInterpreter(network.data)
    x = np.random.default_rng(4).integers(-128, 128, oracle.inputs[0]["shape"]).astype(np.int8)
    assert reference.run([x.tobytes()]).outputs[0] == oracle.run([x])[0].tobytes()
    assert network.placement.layout.size == network.placement.lower_bound
    assert estimate_cost(network.data, "cortex-m4").macs > 200_000
