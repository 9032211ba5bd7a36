# SPDX-License-Identifier: Apache-2.0
"""The reference interpreter: runs a pack of any kind as docs/specs/pack.md defines it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from reconciler.compiler.errors import PackMalformed
from reconciler.compiler.pack.decision_head import decide, decode_head
from reconciler.compiler.pack.fixed_point import Ints
from reconciler.compiler.pack.golden_section import decode_golden
from reconciler.compiler.pack.io_section import Descriptor, ElementType, decode_io
from reconciler.compiler.pack.pack_format import Pack, PackKind, SectionId, disassemble
from reconciler.compiler.pack.plan_section import decode_plan, decode_tensors
from reconciler.compiler.pack.state_section import decode_states
from reconciler.compiler.pack.tunable_parameters_section import Parameter, decode_parameters
from reconciler.compiler.reference.forest import run_forest
from reconciler.compiler.reference.network import ReferenceNetwork
from reconciler.compiler.reference.threshold import run_threshold


@dataclass(frozen=True, slots=True)
class InferenceResult:
    """The result of an inference: the bytes of the outputs, and the decision and score that agents count."""

    outputs: tuple[bytes, ...]
    decision: int
    score: int


class ReferenceInterpreter:
    """Runs inferences of one pack. If the pack has state, each continues from the one before; `reset` starts again."""

    def __init__(self, data: bytes) -> None:
        self.pack: Pack = disassemble(data)
        self.inputs, self.outputs = decode_io(self.pack.section(SectionId.IO))
        self.parameters: list[Parameter] = decode_parameters(self.pack.section(SectionId.PARAMETERS))
        self._states = decode_states(self.pack.section(SectionId.STATE))
        self._state_values: dict[int, Ints] = {}
        golden = self.pack.section(SectionId.GOLDEN)
        self.golden = decode_golden(golden, self.inputs, self.outputs, sequences=bool(self._states))
        self.reset()

    def reset(self) -> None:
        """Set the state to its initial values; only networks have one."""
        if self._states:
            network = self._network()
            self._state_values = {state.tensor: network.initial_values(state) for state in self._states}

    def run(self, inputs: Sequence[bytes], parameters: Sequence[int] | None = None) -> InferenceResult:
        """Run one inference."""
        if [len(i) for i in inputs] != [d.nbytes for d in self.inputs]:
            raise PackMalformed(f"the inputs must have {[d.nbytes for d in self.inputs]} bytes")
        values = [p.default for p in self.parameters] if parameters is None else list(parameters)
        if self.pack.kind is PackKind.NEURAL_NETWORK:
            return self._run_network(inputs, values)
        x = np.frombuffer(inputs[0], self.inputs[0].type.code).astype(np.int64)
        if self.pack.kind is PackKind.TREE_ENSEMBLE:
            features, forest = self.pack.section(SectionId.FEATURES), self.pack.section(SectionId.FOREST)
            numbers, score = run_forest(features, forest, x, values)
        else:
            numbers, score = run_threshold(self.pack.section(SectionId.THRESHOLD), x, values)
        return InferenceResult((np.array(numbers, "<i4").tobytes(),), numbers[0], score)

    def _network(self) -> ReferenceNetwork:
        return ReferenceNetwork(
            decode_tensors(self.pack.section(SectionId.TENSORS)),
            self.pack.section(SectionId.WEIGHTS),
            self.pack.arena_bytes,
        )

    def _run_network(self, inputs: Sequence[bytes], values: list[int]) -> InferenceResult:
        network = self._network()
        for tensor, kept in self._state_values.items():
            network.store(tensor, kept)
        for descriptor, data in zip(self.inputs, inputs, strict=True):
            network.store(_tensor(descriptor), np.frombuffer(data, np.int8).astype(np.int64))
        network.run(decode_plan(self.pack.section(SectionId.PLAN)))
        self._state_values = {tensor: network.get(tensor) for tensor in self._state_values}
        tensors = [d for d in self.outputs if d.tensor is not None]
        blobs = [network.get(_tensor(d)).astype(np.int8).tobytes() for d in tensors]
        head = self.pack.section(SectionId.HEAD)
        if not head:
            return InferenceResult(tuple(blobs), 0, 0)
        decision, score = decide(decode_head(head), network, values)
        return InferenceResult((*blobs, np.array([decision, score], "<i4").tobytes()), decision, score)

    def golden_inputs(self, index: int) -> tuple[bytes, ...]:
        """Return the inputs of a golden vector, step by step; they are generated if it has a seed."""
        vector = self.golden[index]
        steps = len(vector.outputs) // len(self.outputs) if vector.digest is None else 1
        return generate_inputs(vector.seed, self.inputs, steps) if vector.seed else vector.inputs

    def run_sequence(self, inputs: Sequence[bytes]) -> tuple[bytes, ...]:
        """Return the outputs of consecutive inferences from the initial state, and reset it again."""
        self.reset()
        step = len(self.inputs)
        outputs = [blob for at in range(0, len(inputs), step) for blob in self.run(inputs[at : at + step]).outputs]
        self.reset()
        return tuple(outputs)

    def first_wrong_golden(self) -> int | None:
        """Return the index of the first golden vector that is not reproduced, or None."""
        for index, vector in enumerate(self.golden):
            if not vector.expects(self.run_sequence(self.golden_inputs(index))):
                return index
        return None


def _tensor(descriptor: Descriptor) -> int:
    if descriptor.tensor is None:
        raise PackMalformed("an input or output of a network must be a tensor")
    return descriptor.tensor


def generate_inputs(seed: int, inputs: Sequence[Descriptor], steps: int = 1) -> tuple[bytes, ...]:
    """Generate the inputs of consecutive inferences for a seed (docs/specs/pack.md section 4)."""
    state = seed
    blobs = []
    for descriptor in (*inputs,) * steps:
        shift = 24 if descriptor.type is ElementType.INT8 else 16
        values = []
        for _ in range(descriptor.elements):
            state ^= (state << 13) & 0xFFFFFFFF
            state ^= state >> 17
            state ^= (state << 5) & 0xFFFFFFFF
            values.append(state >> shift)
        unsigned = "<u1" if shift == 24 else "<u2"  # noqa: PLR2004 - as above
        blobs.append(np.array(values, unsigned).tobytes())
    return tuple(blobs)
