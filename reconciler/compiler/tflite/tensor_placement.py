# SPDX-License-Identifier: Apache-2.0
"""Gives every tensor of a plan its offset in the arena.

A buffer must be whole from the operator that writes it to the last that reads it. Buffers whose lifetimes
do not overlap may share memory, and an elementwise operator may write onto its own input. A buffer with state is
always whole, so nothing shares its memory.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from reconciler.compiler.pack.operators import IN_PLACE, WIDE, Operator
from reconciler.compiler.pack.plan_section import TensorRecord
from reconciler.compiler.pack.wide_forms import scratch_bytes
from reconciler.compiler.tflite.arena_layout import ArenaLayout, BufferLifetime, lay_out_arena, lower_bound
from reconciler.compiler.tflite.plan_builder import PlanBuilder


@dataclass(frozen=True, slots=True)
class TensorPlacement:
    """The records of all tensors, the operators, the layout of the arena, and a lower bound for any layout."""

    records: list[TensorRecord]
    operators: list[Operator]  # with the offsets of their scratch
    layout: ArenaLayout
    lifetimes: list[BufferLifetime]
    lower_bound: int

    def bytes_alive(self, at: int) -> int:
        """Return the bytes that are in use while an operator runs, its scratch included."""
        return lower_bound([lifetime for lifetime in self.lifetimes if lifetime.first <= at <= lifetime.last])


def place_tensors(
    plan: PlanBuilder, inputs: tuple[int, ...], outputs: tuple[int, ...], keep: frozenset[int]
) -> TensorPlacement:
    """Lay out the arena; the values in `keep` stay whole until the end."""
    owner = _shared_buffers(plan, outputs, keep)
    by_buffer = _lifetimes(plan, owner, inputs, outputs, keep)
    buffers = sorted(by_buffer)
    scratch = _scratch(plan)
    lifetimes = [*(by_buffer[buffer] for buffer in buffers), *scratch.values()]
    layout = lay_out_arena(lifetimes)
    offsets = dict(zip(buffers, layout.offsets, strict=False))
    scratch_offsets = dict(zip(scratch, layout.offsets[len(buffers) :], strict=True))
    operators = [
        replace(op, scratch=scratch_offsets[at]) if isinstance(op, WIDE) else op for at, op in enumerate(plan.operators)
    ]
    records = [
        TensorRecord(v.offset, v.dims, v.zero_point, constant=True)
        if v.buffer is None
        else TensorRecord(offsets[owner[v.buffer]] + v.offset, v.dims, v.zero_point)
        for v in plan.values
    ]
    return TensorPlacement(records, operators, layout, lifetimes, lower_bound(lifetimes))


def _scratch(plan: PlanBuilder) -> dict[int, BufferLifetime]:
    """Return the scratch of each operator that needs some, by its position: it is alive during that operator only."""
    return {
        at: BufferLifetime(scratch_bytes(op, plan.values[op.input].dims[3], plan.values[op.output].dims), at, at)
        for at, op in enumerate(plan.operators)
        if isinstance(op, WIDE)
    }


def _buffer_uses(plan: PlanBuilder) -> list[tuple[set[int], set[int]]]:
    """Return the buffers that each operator reads and writes."""
    found = []
    for operator in plan.operators:
        reads = {plan.values[i].buffer for i in operator.inputs()}
        writes = {plan.values[operator.output].buffer}
        found.append(({b for b in reads if b is not None}, {b for b in writes if b is not None}))
    return found


def _shared_buffers(plan: PlanBuilder, outputs: tuple[int, ...], keep: frozenset[int]) -> dict[int, int]:
    """Let elementwise operators write onto an input that no later operator reads."""
    owner = {buffer: buffer for buffer in range(len(plan.buffers))}
    last: dict[int, int] = {}
    for at, (reads, _) in enumerate(_buffer_uses(plan)):
        last.update(dict.fromkeys(reads, at))
    lasting = {plan.values[i].buffer for i in plan.states}
    held = {plan.values[i].buffer for i in (*outputs, *keep)} | lasting
    for at, operator in enumerate(plan.operators):
        target = plan.values[operator.output]
        if not isinstance(operator, IN_PLACE) or target.buffer is None or target.buffer in lasting:
            continue
        for source in (plan.values[i] for i in operator.inputs()):
            free = source.buffer is not None and source.buffer not in held and last.get(source.buffer) == at
            if free and source.buffer is not None and (source.elements, source.offset) == (target.elements, 0):
                owner[target.buffer] = owner[source.buffer]
                break
    return owner


def _lifetimes(
    plan: PlanBuilder,
    owner: dict[int, int],
    inputs: tuple[int, ...],
    outputs: tuple[int, ...],
    keep: frozenset[int],
) -> dict[int, BufferLifetime]:
    found: dict[int, BufferLifetime] = {}

    def touch(buffer: int | None, at: int) -> None:
        if buffer is None:
            return
        shared = owner[buffer]
        old = found.get(shared, BufferLifetime(0, at, at))
        size = max(old.size, plan.buffers[buffer])
        found[shared] = BufferLifetime(size, min(old.first, at), max(old.last, at))

    for index in (*inputs, *plan.states):
        touch(plan.values[index].buffer, -1)
    for at, (reads, writes) in enumerate(_buffer_uses(plan)):
        for buffer in sorted(reads | writes):
            touch(buffer, at)
    for index in (*outputs, *sorted(keep), *plan.states):
        touch(plan.values[index].buffer, len(plan.operators))
    return found
