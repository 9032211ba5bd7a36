# SPDX-License-Identifier: Apache-2.0
"""Makes a pack of a quantized `.tflite` model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from reconciler.build.container import (
    Descriptor,
    ElementType,
    Kind,
    Pack,
    Parameter,
    SectionId,
    encode_io,
    encode_parameters,
)
from reconciler.build.errors import OperatorUnsupported
from reconciler.build.fixed import quantize_multiplier
from reconciler.build.golden import with_golden
from reconciler.build.head import Head, Mode, encode_head
from reconciler.build.lowering import lower
from reconciler.build.planformat import encode_plan, encode_tensors
from reconciler.build.planning import Placed, Planning, Value
from reconciler.build.tflite import read_graph

_LARGEST_RECONSTRUCTION = 32768


@dataclass(frozen=True, slots=True)
class Network:
    """A built pack and what is worth telling about it."""

    data: bytes
    placed: Placed
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Decision:
    """How a network's outputs become a decision."""

    mode: Mode
    parameter: int | None = None


def build_network(
    model: bytes,
    *,
    decision: Decision | None = None,
    parameters: Sequence[Parameter] = (),
    samples: Sequence[tuple[bytes, ...]] = (),
) -> Network:
    """Return the pack of a full-int8 model, with golden vectors from seeds and small samples."""
    planning, inputs, outputs = lower(read_graph(model))
    head = None if decision is None else _head(planning, inputs, outputs, decision)
    keep = frozenset([head.second] if head and head.mode is Mode.RECONSTRUCTION else [])
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
    data = with_golden(Pack(Kind.NEURAL_NETWORK, placed.layout.size, sections), input_io, output_io, samples)
    return Network(data, placed, tuple(planning.notes))


def _descriptor(value: Value, index: int) -> Descriptor:
    shape: tuple[int, ...] = value.dims
    while len(shape) > 1 and shape[0] == 1:
        shape = shape[1:]
    return Descriptor(ElementType.INT8, shape, index, value.zero_point, value.scale)


def _head(planning: Planning, inputs: tuple[int, ...], outputs: tuple[int, ...], decision: Decision) -> Head:
    first = outputs[0]
    if decision.mode is not Mode.RECONSTRUCTION:
        return Head(decision.mode, decision.parameter, first)
    a, b = planning.values[first], planning.values[inputs[0]]
    if a.elements != b.elements or a.elements > _LARGEST_RECONSTRUCTION:
        raise OperatorUnsupported(
            f"a reconstruction must have as many elements as the input ({b.elements}), at most "
            f"{_LARGEST_RECONSTRUCTION}; this output has {a.elements}"
        )
    multiplier, shift = quantize_multiplier(float(b.scale) / float(a.scale))
    return Head(decision.mode, decision.parameter, first, inputs[0], multiplier, shift)
