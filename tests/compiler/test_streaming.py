# SPDX-License-Identifier: Apache-2.0
"""Models with variables: their state lasts, nothing shares its bytes, and a window over time is not copied."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reconciler.compiler.errors import PackMalformed
from reconciler.compiler.evaluation.inference_cost import estimate_cost
from reconciler.compiler.pack.checker import check_pack, operator_numbers
from reconciler.compiler.pack.operators import STATE, WIDE, Concatenation, Conv2D, Slice
from reconciler.compiler.pack.pack_format import Pack, SectionId, assemble, disassemble
from reconciler.compiler.pack.state_section import decode_states
from reconciler.compiler.pack.wide_forms import scratch_bytes
from reconciler.compiler.reference.golden_vectors import SEQUENCE_STEPS
from reconciler.compiler.reference.interpreter import ReferenceInterpreter
from reconciler.compiler.tflite.network_pack import NetworkPack, build_network
from reconciler.compiler.tflite.oracle import Oracle
from tests.compiler.make_vectors import models_with_state
from tests.compiler.random_networks import Draw, streaming

MODELS = dict(models_with_state())
STEPS = 12
few = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def outputs(oracle: Oracle, steps: list[np.ndarray[tuple[int, ...], np.dtype[np.int8]]]) -> list[list[bytes]]:
    return [[out.tobytes() for out in oracle.run([x])] for x in steps]


@few
@given(data=st.data())
def test_a_sequence_equals_the_oracle_and_starts_again_after_a_reset(data: st.DataObject) -> None:
    model = streaming(Draw(data))
    oracle, reference = Oracle(model), ReferenceInterpreter(build_network(model).data)
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    steps = [rng.integers(-128, 128, oracle.inputs[0]["shape"]).astype(np.int8) for _ in range(STEPS)]
    expected = outputs(oracle, steps)
    assert [list(reference.run([x.tobytes()]).outputs) for x in steps] == expected
    oracle.reset()
    reference.reset()
    assert outputs(oracle, steps) == expected
    assert [list(reference.run([x.tobytes()]).outputs) for x in steps] == expected


def writes(network: NetworkPack) -> list[tuple[int, int]]:
    """The parts of the arena that an inference writes: inputs, outputs of operators, and scratch."""
    placement = network.placement
    found = []
    for descriptor in ReferenceInterpreter(network.data).inputs:
        record = placement.records[descriptor.tensor or 0]
        found.append((record.offset, record.offset + record.elements))
    for op in placement.operators:
        x, y = placement.records[op.input], placement.records[op.output]
        found.append((y.offset, y.offset + y.elements))
        if isinstance(op, WIDE):
            found.append((op.scratch, op.scratch + scratch_bytes(op, x.dims[3], y.dims)))
    return found


@few
@given(data=st.data())
def test_nothing_else_is_written_to_the_bytes_of_a_state(data: st.DataObject) -> None:
    network = build_network(streaming(Draw(data)))
    states = decode_states(disassemble(network.data).section(SectionId.STATE))
    assert states
    for state in states:
        record = network.placement.records[state.tensor]
        start, end = record.offset, record.offset + record.elements
        touched = [part for part in writes(network) if part[0] < end and start < part[1]]
        assert set(touched) <= {(start, end)}


def test_a_window_over_time_is_written_once_and_moved_once() -> None:
    network = build_network(MODELS["window over time"])
    assert [type(op) for op in network.placement.operators] == [Conv2D, Slice]
    # five rows of two values, whose last one is the input itself, and three outputs
    assert network.placement.layout.size == 10 + 2 + 4


def test_a_delay_copies_what_it_reads_before_it_is_assigned() -> None:
    network = build_network(MODELS["delay"])
    assert [type(op).__name__ for op in network.placement.operators] == ["Slice", "Slice", "Add"]
    assert not any(isinstance(op, Concatenation) for op in network.placement.operators)


def test_golden_vectors_are_sequences_in_which_the_state_shows() -> None:
    data = build_network(MODELS["window over time"]).data
    reference = ReferenceInterpreter(data)
    vector = reference.golden[0]
    assert len(vector.outputs) == SEQUENCE_STEPS
    inputs = reference.golden_inputs(0)
    alone = [reference.run_sequence([x])[0] for x in inputs]
    assert alone[0] == vector.outputs[0]
    assert alone[1:] != list(vector.outputs[1:])
    assert reference.first_wrong_golden() is None
    assert estimate_cost(data, "cortex-m4").instructions > 0


def test_a_pack_with_state_names_it_among_its_operators() -> None:
    assert STATE in operator_numbers(build_network(MODELS["delay"]).data)
    assert STATE not in operator_numbers(build_network(MODELS["slice"]).data)


def with_section(pack: Pack, name: SectionId, content: bytes) -> bytes:
    return assemble(replace(pack, sections={**pack.sections, name: content}))


HOSTILE_STATES = {
    "no records": b"",
    "half a record": bytes(6),
    "too many records": bytes(4 * 65),
    "an unknown tensor": b"\xff\x00\x00\x00",
    "a field that is not zero": b"\x00\x00\x00\x01",
}


@pytest.mark.parametrize("name", sorted(HOSTILE_STATES))
def test_a_hostile_state_is_refused(name: str) -> None:
    pack = disassemble(build_network(MODELS["delay"]).data)
    with pytest.raises(PackMalformed, match="STATE"):
        check_pack(with_section(pack, SectionId.STATE, HOSTILE_STATES[name]))


def test_a_state_that_is_a_constant_is_refused() -> None:
    pack = disassemble(build_network(MODELS["delay"]).data)
    tensors = bytearray(pack.section(SectionId.TENSORS))
    (state,) = decode_states(pack.section(SectionId.STATE))
    tensors[16 * state.tensor + 13] = 1
    tensors[16 * state.tensor : 16 * state.tensor + 4] = bytes(4)
    weights = {SectionId.TENSORS: bytes(tensors), SectionId.WEIGHTS: bytes(64)}
    with pytest.raises(PackMalformed, match="constant"):
        check_pack(assemble(replace(pack, sections={**pack.sections, **weights})))


def test_only_a_pack_with_state_has_sequences() -> None:
    pack = disassemble(build_network(MODELS["slice"]).data)
    golden = bytearray(pack.section(SectionId.GOLDEN))
    golden[2] = 1
    with pytest.raises(PackMalformed, match="2 steps; one at most"):
        check_pack(with_section(pack, SectionId.GOLDEN, bytes(golden)))


HOSTILE_FORMS = [("delay", form) for form in (64, 0x4000, 0x8000, 0x8002)] + [
    ("slice", form) for form in (1, 0x4000, 0x8001)
]


def with_form(pack: Pack, form: int) -> bytes:
    """Return the pack with another second u16 of GOLDEN."""
    golden = pack.section(SectionId.GOLDEN)
    return with_section(pack, SectionId.GOLDEN, golden[:2] + form.to_bytes(2, "little") + golden[4:])


@pytest.mark.parametrize(("name", "form"), HOSTILE_FORMS)
def test_steps_and_digests_exclude_each_other(name: str, form: int) -> None:
    pack = disassemble(build_network(MODELS[name]).data)
    with pytest.raises(PackMalformed, match="GOLDEN"):
        check_pack(with_form(pack, form))
