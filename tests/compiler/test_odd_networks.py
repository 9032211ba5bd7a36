# SPDX-License-Identifier: Apache-2.0
"""Networks with odd scales, zero points and biases are exact, or refused by name. `make fuzz-build` draws more."""

from __future__ import annotations

import os
import re

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reconciler.compiler.errors import BuildFailed
from reconciler.compiler.pack.checker import check_pack
from reconciler.compiler.reference.interpreter import ReferenceInterpreter
from reconciler.compiler.tflite.network_pack import NetworkPack, build_network
from reconciler.compiler.tflite.oracle import Oracle
from tests.compiler.random_networks import KINDS, Draw, in_device_layout

EXAMPLES = int(os.environ.get("TINYFLEET_EXAMPLES", "30"))


def _built(model: bytes) -> tuple[NetworkPack, Oracle] | BuildFailed:
    try:
        network = build_network(model)
        return network, Oracle(model, network.locations)
    except BuildFailed as refusal:
        return refusal


@pytest.mark.parametrize("kind", sorted(KINDS))
@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_an_odd_network_is_exact_or_refused_by_name(kind: str, data: st.DataObject) -> None:
    model = KINDS[kind](Draw(data, odd=True))
    built = _built(model)
    if isinstance(built, BuildFailed):
        assert re.match(r"operator \d+ \([A-Z_0-9]+\)|tensor \d+", str(built)), str(built)
        return
    network, oracle = built
    check_pack(network.data, arena_bytes=network.placement.layout.size)
    reference = ReferenceInterpreter(network.data)
    rng = np.random.default_rng(1)
    for values in (rng.integers(-128, 128, 4096), np.full(4096, -128), np.full(4096, 127)):
        inputs = [np.resize(values, d["shape"]).astype(np.int8) for d in oracle.inputs]
        expected = [out.tobytes() for out in oracle.run(inputs)]
        assert list(reference.run(in_device_layout(network, inputs)).outputs) == expected
    assert reference.first_wrong_golden() is None
