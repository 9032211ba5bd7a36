# SPDX-License-Identifier: Apache-2.0
"""Builds the pack of a quantized `.tflite` model."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass

from reconciler.compiler.errors import DoesNotFit, OperatorUnsupported
from reconciler.compiler.pack.decision_head import DecisionHead, DecisionMode, encode_head
from reconciler.compiler.pack.fixed_point import quantize_multiplier
from reconciler.compiler.pack.io_section import Descriptor, ElementType, encode_io
from reconciler.compiler.pack.pack_format import (
    FORMAT_VERSION,
    OLDEST_FORMAT_VERSION,
    WIDE_FORMAT_VERSION,
    Pack,
    PackKind,
    SectionId,
)
from reconciler.compiler.pack.plan_section import encode_plan, encode_tensors
from reconciler.compiler.pack.state_section import MAX_STATES, StateRecord, encode_states
from reconciler.compiler.pack.tunable_parameters_section import Parameter, encode_parameters
from reconciler.compiler.reference.golden_vectors import with_golden_vectors
from reconciler.compiler.tflite.graph_reader import read_graph
from reconciler.compiler.tflite.lowering import LoweredNetwork, lower
from reconciler.compiler.tflite.model_interface import ElementOrder
from reconciler.compiler.tflite.plan_builder import PlanBuilder, Value
from reconciler.compiler.tflite.tensor_placement import TensorPlacement, place_tensors
from reconciler.compiler.tflite.wide_layers import layers_to_widen, with_wide_layers

_MAX_RECONSTRUCTION_ELEMENTS = 32768


@dataclass(frozen=True, slots=True)
class NetworkPack:
    """A pack, with facts about its build.

    These are the placement of its tensors, the order of its inputs' elements, notes for the build report, and where
    the operators of the model are, for messages.
    """

    data: bytes
    placement: TensorPlacement
    input_orders: tuple[ElementOrder | None, ...]
    notes: tuple[str, ...]
    locations: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class DeviceLimits:
    """The highest format version that a device reads, and its arena."""

    version: int = FORMAT_VERSION
    arena_bytes: int = sys.maxsize


ANY_DEVICE = DeviceLimits()


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
    limits: DeviceLimits = ANY_DEVICE,
) -> NetworkPack:
    """Build the pack of a full-int8 model, with golden vectors from seeds and small samples.

    With format version 2, layers are in their wide form where that is faster. If the arena is too small for that,
    those that need most stay in the plain form.
    """
    graph = read_graph(model)
    lowered = lower(graph)
    draft = draft_network(lowered, decision=decision, parameters=parameters, limits=limits)
    data = with_golden_vectors(draft.pack, draft.outputs, samples)
    locations = tuple(node.location for node in graph.nodes)
    return NetworkPack(data, draft.placement, lowered.input_orders, tuple(lowered.plan.notes), locations)


@dataclass(frozen=True, slots=True)
class NetworkDraft:
    """A pack without golden vectors, its inputs and outputs, and the placement of its tensors."""

    pack: Pack
    inputs: tuple[Descriptor, ...]
    outputs: tuple[Descriptor, ...]
    placement: TensorPlacement


def draft_network(
    lowered: LoweredNetwork,
    *,
    decision: Decision | None = None,
    parameters: Sequence[Parameter] = (),
    limits: DeviceLimits = ANY_DEVICE,
) -> NetworkDraft:
    """Place the tensors of a lowered network, and put its layers into the form that suits the device."""
    plan, inputs, outputs = lowered.plan, lowered.inputs, lowered.outputs
    head = None if decision is None else _head(lowered, decision)
    keep = frozenset([head.second] if head and head.mode is DecisionMode.RECONSTRUCTION else [])
    chosen = layers_to_widen(plan) if limits.version >= WIDE_FORMAT_VERSION else frozenset()
    placement = place_tensors(widened := with_wide_layers(plan, chosen), inputs, outputs, keep)
    while chosen and placement.layout.size > limits.arena_bytes:
        chosen -= {max(chosen, key=placement.bytes_alive)}
        placement = place_tensors(widened := with_wide_layers(plan, chosen), inputs, outputs, keep)
    states = _states(widened)
    input_io = [_descriptor(plan.values[i], i) for i in inputs]
    output_io = [_descriptor(plan.values[i], i) for i in outputs]
    sections = {
        SectionId.TENSORS: encode_tensors(placement.records),
        SectionId.PLAN: encode_plan(placement.operators),
        SectionId.WEIGHTS: bytes(widened.weights),
    }
    if states:
        sections[SectionId.STATE] = encode_states(states)
    if parameters:
        sections[SectionId.PARAMETERS] = encode_parameters(parameters)
    if head is not None:
        sections[SectionId.HEAD] = encode_head(head)
        output_io.append(Descriptor(ElementType.INT32, (2,)))
    sections[SectionId.IO] = encode_io(input_io, output_io)
    version = WIDE_FORMAT_VERSION if chosen else OLDEST_FORMAT_VERSION
    pack = Pack(PackKind.NEURAL_NETWORK, placement.layout.size, sections, version)
    return NetworkDraft(pack, tuple(input_io), tuple(output_io), placement)


def _states(plan: PlanBuilder) -> list[StateRecord]:
    if len(plan.states) > MAX_STATES:
        raise DoesNotFit(f"the model has {len(plan.states)} variables; a pack holds at most {MAX_STATES}")
    return [StateRecord(value, fill) for value, fill in sorted(plan.states.items())]


def _descriptor(value: Value, index: int) -> Descriptor:
    shape: tuple[int, ...] = value.dims
    while len(shape) > 1 and shape[0] == 1:
        shape = shape[1:]
    return Descriptor(ElementType.INT8, shape, index, value.zero_point, value.scale)


def _head(lowered: LoweredNetwork, decision: Decision) -> DecisionHead:
    plan, inputs, first = lowered.plan, lowered.inputs, lowered.outputs[0]
    if decision.mode is not DecisionMode.RECONSTRUCTION:
        return DecisionHead(decision.mode, decision.parameter, first)
    a, b = plan.values[first], plan.values[inputs[0]]
    if a.elements != b.elements or a.elements > _MAX_RECONSTRUCTION_ELEMENTS:
        raise OperatorUnsupported(
            f"a reconstruction must have as many elements as the input ({b.elements}) and at most "
            f"{_MAX_RECONSTRUCTION_ELEMENTS}; the output has {a.elements}: change the model or spec.decide"
        )
    if lowered.input_orders[0] is not None:
        raise OperatorUnsupported(
            "a reconstruction must have the layout of the input, but the model transposes its input: "
            "give the model an input with channels last"
        )
    multiplier, shift = quantize_multiplier(float(b.scale) / float(a.scale))
    return DecisionHead(decision.mode, decision.parameter, first, inputs[0], multiplier, shift)
