# SPDX-License-Identifier: Apache-2.0
"""A full-int8 network that can be cut at the boundaries of its operators: what each part needs, and its stage pack."""

from __future__ import annotations

from dataclasses import dataclass

from reconciler.compiler.errors import OperatorUnsupported
from reconciler.compiler.evaluation.inference_cost import estimate_cost
from reconciler.compiler.pack.checker import operator_numbers
from reconciler.compiler.pack.operators import NAMES
from reconciler.compiler.reference.golden_vectors import with_blank_golden_vectors, with_golden_vectors
from reconciler.compiler.stages.plan_slice import Tensors, cut_tensors, slice_network
from reconciler.compiler.tflite.graph_reader import read_graph
from reconciler.compiler.tflite.lowering import lower
from reconciler.compiler.tflite.network_pack import DeviceLimits, NetworkDraft, draft_network
from reconciler.pipeline.anatomy import Anatomy, Boundary, Segment

TENSORS_MAX = 4  # of one stage on each side (docs/specs/pack.md section 2)


@dataclass(frozen=True, slots=True)
class StagePack:
    """The pack of one stage, and which tensors of the network its inputs and outputs are."""

    data: bytes
    inputs: Tensors
    outputs: Tensors


class CutNetwork:
    """One network, read and lowered once."""

    def __init__(self, model: bytes) -> None:
        self._whole = lower(read_graph(model))
        if self._whole.plan.states:
            raise OperatorUnsupported("a network that keeps state between inferences can't be cut into stages")
        self._graph = self._whole.plan.graph
        self.inputs: Tensors = self._graph.inputs
        self.outputs: Tensors = self._graph.outputs
        self.input_orders = self._whole.input_orders
        self.notes = tuple(self._whole.plan.notes)

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
                segment = self._segment(first, end, architecture, limits)
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

    def _segment(self, first: int, end: int, architecture: str, limits: DeviceLimits) -> Segment | None:
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
