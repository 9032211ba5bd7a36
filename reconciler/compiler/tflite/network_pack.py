# SPDX-License-Identifier: Apache-2.0
"""Makes a pack of a quantized `.tflite` model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from reconciler.compiler.errors import OperatorUnsupported
from reconciler.compiler.pack.decision_head import DecisionMode, Head, encode_head
from reconciler.compiler.pack.fixed_point import quantize_multiplier
from reconciler.compiler.reference.golden_vectors import with_golden
from reconciler.compiler.pack.pack_format import (
    Descriptor,
    ElementType,
    Pack,
    PackKind,
    Parameter,
    SectionId,
    encode_io,
    encode_parameters,
)
from reconciler.compiler.pack.plan_section import encode_plan, encode_tensors
from reconciler.compiler.tflite.graph_reader import read_graph
from reconciler.compiler.tflite.lowering import lower
from reconciler.compiler.tflite.memory_plan import NetworkPlan, PlacedTensors, Value

_LARGEST_RECONSTRUCTION = 32768


@dataclass(frozen=True, slots=True)
class NetworkPack:
    """A built pack and what is worth telling about it."""

    data: bytes
    placed: PlacedTensors
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Decision:
    """How a network's outputs become a decision."""

    mode: DecisionMode
    parameter: int | None = None


def build_network(
    model: bytes,
    *,
    decision: Decision | None = None,
    parameters: Sequence[Parameter] = (),
    samples: Sequence[tuple[bytes, ...]] = (),
) -> NetworkPack:
    """Return the pack of a full-int8 model, with golden vectors from seeds and small samples."""
    planning, inputs, outputs = lower(read_graph(model))
    head = None if decision is None else _head(planning, inputs, outputs, decision)
    keep = frozenset([head.second] if head and head.mode is DecisionMode.RECONSTRUCTION else [])
    placed = planning.place(inputs, outputs, keep)
    input_io = [_descriptor(planning.values[i], i) for i in inputs]
    output_io = [_descriptor(planning.values[i], i) for i in outputs]
    sections = {
        SectionId.TENSORS: encode_tensors(placed.records),
        SectionId.PLAN: encode_plan(planning.operators),
        SectionId.WEIGHTS: bytes(planning.weights),
    }
    if parameters:
        sections[SectionId.PARAMETERS] = encode_parameters(parameters)
    if head is not None:
        sections[SectionId.HEAD] = encode_head(head)
        output_io.append(Descriptor(ElementType.INT32, (2,)))
    sections[SectionId.IO] = encode_io(input_io, output_io)
    data = with_golden(Pack(PackKind.NEURAL_NETWORK, placed.layout.size, sections), input_io, output_io, samples)
    return NetworkPack(data, placed, tuple(planning.notes))


def _descriptor(value: Value, index: int) -> Descriptor:
    shape: tuple[int, ...] = value.dims
    while len(shape) > 1 and shape[0] == 1:
        shape = shape[1:]
    return Descriptor(ElementType.INT8, shape, index, value.zero_point, value.scale)


def _head(planning: NetworkPlan, inputs: tuple[int, ...], outputs: tuple[int, ...], decision: Decision) -> Head:
    first = outputs[0]
    if decision.mode is not DecisionMode.RECONSTRUCTION:
        return Head(decision.mode, decision.parameter, first)
    a, b = planning.values[first], planning.values[inputs[0]]
    if a.elements != b.elements or a.elements > _LARGEST_RECONSTRUCTION:
        raise OperatorUnsupported(
            f"a reconstruction must have as many elements as the input ({b.elements}), at most "
            f"{_LARGEST_RECONSTRUCTION}; this output has {a.elements}"
        )
    multiplier, shift = quantize_multiplier(float(b.scale) / float(a.scale))
    return Head(decision.mode, decision.parameter, first, inputs[0], multiplier, shift)
