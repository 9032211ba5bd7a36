# SPDX-License-Identifier: Apache-2.0
"""A layer in parts gives the bytes of the layer in one piece, and its parts fit where it does not."""

from __future__ import annotations

import numpy as np
import pytest

from bench.zoo import Chain
from reconciler.compiler.reference.interpreter import ReferenceInterpreter
from reconciler.compiler.stages.automatic_cut import PlacedNetwork, split_where_needed
from reconciler.compiler.stages.cut_network import CutNetwork
from reconciler.compiler.tflite.network_pack import DeviceLimits
from reconciler.compiler.tflite.oracle import Oracle
from reconciler.model import PipelineObjective, StagePlace, TypeId
from tests.pipeline.networks import branched, straight

LIMITS = DeviceLimits()
OPERATORS = ("FULLY_CONNECTED", "CONCATENATION", "STAGE")
WIDE = 96  # weights of a layer: 9,216 bytes, which no slot of 8 KiB holds
SMALL = StagePlace(TypeId("board"), "cortex-m4", 8192, 16384, OPERATORS, 1, "25")


def run_in_stages(network: CutNetwork, cuts: tuple[int, ...], given: bytes) -> bytes:
    """Run the parts between cuts one after the other, each on the reference interpreter."""
    tensors = {network.inputs[0]: given}
    for first, end in zip((0, *cuts), (*cuts, network.operators), strict=True):
        stage = network.stage(first, end, LIMITS)
        outputs = ReferenceInterpreter(stage.data).run([tensors[index] for index in stage.inputs]).outputs
        tensors.update(zip(stage.outputs, outputs, strict=True))
    return tensors[network.outputs[0]]


def of_the_oracle(model: bytes, given: bytes) -> bytes:
    oracle = Oracle(model)
    shape = oracle.inputs[0]["shape"]
    return oracle.run([np.frombuffer(given, np.int8).reshape(shape)])[0].astype(np.int8).tobytes()


@pytest.mark.parametrize("model", [branched(), straight(inputs=23, layers=3)], ids=["convolutions", "dense"])
def test_every_layer_in_parts_gives_the_same_bytes(model: bytes) -> None:
    """Each layer that can be split, into 2 to 4 parts, with cuts between the parts and around what joins them."""
    whole, chance, split = CutNetwork(model), np.random.default_rng(1), 0
    given = chance.bytes(sum(item.nbytes for item in ReferenceInterpreter(whole.stage(0, 1, LIMITS).data).inputs))
    expected = of_the_oracle(model, given)
    for position in range(whole.operators):
        for parts in (2, 3, 4):
            network = whole.split(position, parts)
            if network is None:
                continue
            split += 1
            assert network.operators == whole.operators + parts
            inside = (position, position + 1, position + parts, position + parts + 1)
            cuts = tuple(at for at in inside if 0 < at < network.operators)
            assert run_in_stages(network, cuts, given) == expected
    assert split >= 9


def wide(seed: int = 11) -> bytes:
    """Two dense layers, the first of which is larger than a slot."""
    net = Chain(seed)
    first = net.tensor([1, WIDE], 0.04, 5)
    return net.model.finish([first], [net.dense(net.dense(first, WIDE), 8, relu=0)])


def test_a_layer_that_fits_no_device_runs_in_parts() -> None:
    model = wide()
    whole = CutNetwork(model)
    assert (0, 1) not in whole.anatomy("cortex-m4", LIMITS, SMALL.slot_bytes).segments
    places = (SMALL, SMALL, SMALL)
    network = split_where_needed(whole, places)
    assert network.operators == whole.operators + 2
    assert any("FULLY_CONNECTED" in note and "is computed in 2 parts" in note for note in network.notes)
    found = PlacedNetwork(network, places).cuts(PipelineObjective.LATENCY)
    given = np.random.default_rng(2).bytes(WIDE)
    assert run_in_stages(network, found.cuts, given) == of_the_oracle(model, given)
    for stage in found.stages:
        assert len(network.stage(stage.first, stage.end, LIMITS).data) <= SMALL.slot_bytes


def test_what_fits_and_what_cannot_be_split_stays_whole() -> None:
    whole = CutNetwork(wide())
    large = StagePlace(TypeId("large"), "cortex-m4", 65536, 16384, OPERATORS, 1, "25")
    assert split_where_needed(whole, (SMALL, large)).operators == whole.operators
    tiny = StagePlace(TypeId("tiny"), "cortex-m4", 1024, 16384, OPERATORS, 1, "25")
    assert split_where_needed(whole, (tiny,)).operators == whole.operators  # four parts are not enough
    assert whole.split(0, 5) is None
    softmax = CutNetwork(branched())
    assert softmax.split(softmax.operators - 1, 2) is None
