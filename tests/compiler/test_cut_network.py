# SPDX-License-Identifier: Apache-2.0
"""A network that is cut anywhere computes what the oracle computes for the model in one piece."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given as drawing
from hypothesis import settings
from hypothesis import strategies as st

from bench.zoo import keyword_spotting, residual
from reconciler.compiler.errors import OperatorUnsupported
from reconciler.compiler.pack.checker import check_pack, operator_numbers
from reconciler.compiler.pack.operators import STAGE
from reconciler.compiler.reference.interpreter import ReferenceInterpreter
from reconciler.compiler.stages.cut_network import CutNetwork
from reconciler.compiler.tflite.network_pack import DeviceLimits, build_network
from reconciler.compiler.tflite.oracle import Oracle
from reconciler.pipeline.anatomy import Anatomy
from tests.compiler.random_networks import KINDS, Draw
from tests.pipeline.networks import branched, straight

ANY = DeviceLimits()
ROOMY = 1 << 30


def anatomy(network: CutNetwork, limits: DeviceLimits = ANY, slot_bytes: int = ROOMY) -> Anatomy:
    return network.anatomy("cortex-m4", limits, slot_bytes)


def run(network: CutNetwork, cuts: list[int], given: list[bytes], limits: DeviceLimits = ANY) -> list[bytes]:
    """Run the stages between the cuts, and keep every tensor by its number, as a gateway does."""
    tensors = dict(zip(network.inputs, given, strict=True))
    for first, end in itertools.pairwise([0, *cuts, network.operators]):
        stage = network.stage(first, end, limits)
        reference = ReferenceInterpreter(stage.data)
        outputs = reference.run([tensors[index] for index in stage.inputs]).outputs
        tensors.update(zip(stage.outputs, outputs, strict=True))
    return [tensors[index] for index in network.outputs]


def oracle_of(model: bytes, given: list[bytes]) -> list[bytes]:
    oracle = Oracle(model)
    values = [np.frombuffer(data, np.int8) for data in given]
    return [output.astype(np.int8).tobytes() for output in oracle.run(values)]


def drawn(model: bytes, seed: int) -> list[bytes]:
    chance = np.random.default_rng(seed)
    sizes = [int(np.prod(detail["shape"])) for detail in Oracle(model).inputs]
    return [chance.integers(-128, 128, size).astype(np.int8).tobytes() for size in sizes]


@pytest.mark.parametrize("model", [branched(), straight()], ids=["branched", "straight"])
def test_every_pair_of_cuts_equals_the_oracle(model: bytes) -> None:
    network = CutNetwork(model)
    parts = anatomy(network).segments
    given = drawn(model, 1)
    wanted = oracle_of(model, given)
    tried = 0
    for one, two in itertools.combinations(range(1, network.operators), 2):
        if {(0, one), (one, two), (two, network.operators)} <= parts.keys():
            assert run(network, [one, two], given) == wanted, (one, two)
            tried += 1
    assert tried > 5


@pytest.mark.parametrize("make", [keyword_spotting, residual])
def test_one_operator_a_stage_equals_the_oracle(make: object) -> None:
    model = make()  # type: ignore[operator]
    network = CutNetwork(model)
    parts = anatomy(network).segments
    cuts, at = [], 0
    while at < network.operators:  # the shortest part that is a stage: a reshape alone is none
        at = min(end for first, end in parts if first == at)
        cuts.append(at)
    given = drawn(model, 2)
    assert run(network, cuts[:-1], given) == oracle_of(model, given)


@settings(max_examples=40, deadline=None)
@drawing(st.data(), st.sampled_from(["residual", "padded", "movement"]), st.integers(0, 1 << 16))
def test_random_networks_in_two_stages_equal_the_whole(data: st.DataObject, kind: str, seed: int) -> None:
    model = KINDS[kind](Draw(data))
    network = CutNetwork(model)
    whole = ReferenceInterpreter(build_network(model).data)
    given = [np.random.default_rng(seed).bytes(item.nbytes) for item in whole.inputs]
    parts = anatomy(network).segments
    for cut in range(1, network.operators):
        if (0, cut) in parts and (cut, network.operators) in parts:
            assert run(network, [cut], given) == list(whole.run(given).outputs)


def test_a_part_needs_what_its_pack_says() -> None:
    network = CutNetwork(branched())
    for (first, end), part in anatomy(network).segments.items():
        stage = network.stage(first, end, ANY)
        reference = ReferenceInterpreter(stage.data)
        check_pack(stage.data)
        assert (len(stage.data), reference.pack.arena_bytes) == (part.pack_bytes, part.arena_bytes)
        assert [item.nbytes for item in reference.inputs] == list(part.input_bytes)
        assert [item.nbytes for item in reference.outputs] == list(part.output_bytes)
        assert STAGE in operator_numbers(stage.data)
        assert "STAGE" in part.operators
        assert part.instructions > 0
        assert reference.first_wrong_golden() is None


def test_golden_vectors_of_a_stage_are_short() -> None:
    """The outputs at a cut would be larger than everything else in the pack."""
    network = CutNetwork(residual())
    stage = network.stage(0, 1, ANY)
    outputs = sum(item.nbytes for item in ReferenceInterpreter(stage.data).outputs)
    assert outputs == 16_384
    assert len(stage.data) < 2_000


def test_only_parts_that_fit_are_offered() -> None:
    network = CutNetwork(branched())
    every = anatomy(network)
    fitting = anatomy(network, DeviceLimits(arena_bytes=512), 1_000)
    assert (0, network.operators) in every.segments
    assert (0, network.operators) not in fitting.segments
    assert 5 < len(fitting.segments) < len(every.segments)
    assert all(part.arena_bytes <= 512 and part.pack_bytes <= 1_000 for part in fitting.segments.values())


def test_boundaries_state_what_crosses_them() -> None:
    network = CutNetwork(branched())
    bytes_across = [boundary.bytes for boundary in anatomy(network).boundaries]
    assert bytes_across[0] == 8 * 8 * 4
    assert bytes_across[1] == 8 * 8 * 4 + 4 * 4 * 8  # the branch that waits, and the one that was computed
    assert len(bytes_across) == network.operators - 1


def test_a_part_without_operators_is_no_stage() -> None:
    network = CutNetwork(keyword_spotting())
    reshape = next(at for at, each in enumerate(anatomy(network).boundaries) if "RESHAPE" in each.behind)
    with pytest.raises(OperatorUnsupported, match="can't be a stage"):
        network.stage(reshape, reshape + 1, ANY)


def test_stages_are_the_same_on_every_build() -> None:
    assert CutNetwork(branched()).stage(1, 4, ANY) == CutNetwork(branched()).stage(1, 4, ANY)
