# SPDX-License-Identifier: Apache-2.0
"""A full-int8 network that can be cut at the boundaries of its operators: what each part needs, and its stage pack."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from reconciler.compiler.errors import OperatorUnsupported
from reconciler.compiler.evaluation.inference_cost import estimate_cost
from reconciler.compiler.pack.checker import operator_numbers
from reconciler.compiler.pack.operators import NAMES
from reconciler.compiler.reference.golden_vectors import with_blank_golden_vectors, with_golden_vectors
from reconciler.compiler.stages.plan_slice import Tensors, cut_tensors, slice_network
from reconciler.compiler.stages.split_layers import can_be_split, split_layer
from reconciler.compiler.tflite.graph_reader import read_graph
from reconciler.compiler.tflite.lowering import lower
from reconciler.compiler.tflite.network_pack import DeviceLimits, NetworkDraft, draft_network
from reconciler.pipeline.anatomy import Anatomy, Boundary, Segment

TENSORS_MAX = 4  # of one stage on each side (docs/specs/pack.md section 2)


@dataclass(frozen=True, slots=True)
class SplitLayer:
    """A layer in several parts: its position among the operators, after the layers before it are split."""

    position: int
    parts: int


@dataclass(frozen=True, slots=True)
class StagePack:
    """The pack of one stage, and which tensors of the network its inputs and outputs are."""

    data: bytes
    inputs: Tensors
    outputs: Tensors


class CutNetwork:
    """One network, read and lowered once. `layers` says which layers are split, and into how many parts."""

    def __init__(self, model: bytes, layers: Sequence[SplitLayer] = ()) -> None:
        self._model, self._layers = model, tuple(layers)
        self._whole = lower(read_graph(model))
        if self._whole.plan.states:
            raise OperatorUnsupported("a network that keeps state between inferences can't be cut into stages")
        self.input_orders = self._whole.input_orders
        notes = list(self._whole.plan.notes)
        for layer in self._layers:
            graph = self._whole.plan.graph
            notes.append(f"{graph.nodes[layer.position].location} is computed in {layer.parts} parts")
            self._whole = lower(split_layer(graph, layer.position, layer.parts))
        self.notes = tuple(notes)
        self._graph = self._whole.plan.graph
        self.inputs: Tensors = self._graph.inputs
        self.outputs: Tensors = self._graph.outputs

    def split(self, position: int, parts: int) -> CutNetwork | None:
        """Return the network with a layer in parts, by their output channels; None: it can't be split so."""
        if not can_be_split(self._graph, self._graph.nodes[position], parts):
            return None
        return CutNetwork(self._model, (*self._layers, SplitLayer(position, parts)))

    @property
    def operators(self) -> int:
        """The number of operators; cuts are between them."""
        return len(self._graph.nodes)

    def anatomy(self, architecture: str, limits: DeviceLimits, slot_bytes: int) -> Anatomy:
        """Return every part of the network that fits a device on its own, with what it needs there."""
        count = self.operators
        segments = {}
        for first in range(count):
            for end in range(first + 1, count + 1):
                segment = self.segment(first, end, architecture, limits)
                if segment is not None and segment.fits(slot_bytes, limits.arena_bytes):
                    segments[first, end] = segment
        inner = enumerate(self._graph.nodes[:-1], start=1)
        boundaries = tuple(Boundary(node.location, self._bytes_across(at)) for at, node in inner)
        return Anatomy(count, boundaries, segments)

    def stage(self, first: int, end: int, limits: DeviceLimits) -> StagePack:
        """Build the pack of the operators `first` to `end` - 1."""
        draft = self._draft(first, end, limits)
        if draft is None:
            raise OperatorUnsupported(f"operators {first} to {end - 1} compute nothing, so they can't be a stage")
        data = with_golden_vectors(draft.pack, draft.outputs, (), digests=True)
        return StagePack(data, *cut_tensors(self._graph, first, end))

    def _draft(self, first: int, end: int, limits: DeviceLimits) -> NetworkDraft | None:
        given, kept = cut_tensors(self._graph, first, end)
        if not (1 <= len(given) <= TENSORS_MAX and 1 <= len(kept) <= TENSORS_MAX):
            return None
        part = slice_network(self._whole, first, end)
        return draft_network(part, limits=limits) if part.plan.operators else None

    def segment(self, first: int, end: int, architecture: str, limits: DeviceLimits) -> Segment | None:
        """Return what a part needs, whether it fits or not; None: it can't be a stage."""
        draft = self._draft(first, end, limits)
        if draft is None:
            return None
        blank = with_blank_golden_vectors(draft.pack, draft.outputs)
        return Segment(
            first,
            end,
            pack_bytes=len(blank),
            arena_bytes=draft.pack.arena_bytes,
            input_bytes=tuple(item.nbytes for item in draft.inputs),
            output_bytes=tuple(item.nbytes for item in draft.outputs),
            operators=frozenset(NAMES[number] for number in operator_numbers(blank)),
            instructions=estimate_cost(blank, architecture).instructions,
        )

    def _bytes_across(self, at: int) -> int:
        """Return the bytes of all tensors that are made before a boundary and read after it."""
        given, _ = cut_tensors(self._graph, at, self.operators)
        return sum(self._graph.tensors[index].elements for index in given)
