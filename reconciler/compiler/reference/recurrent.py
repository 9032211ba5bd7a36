# SPDX-License-Identifier: Apache-2.0
"""The operators that keep what they need of the past themselves: SVDF and LSTM (docs/specs/pack.md section 6.2)."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from reconciler.compiler.pack import operators as ops
from reconciler.compiler.pack.fixed_point import Ints, multiply_by_quantized_multiplier, rdp, wrap32
from reconciler.compiler.pack.plan_section import TensorRecord
from reconciler.compiler.reference.gate_functions import GATE_INTEGER_BITS, saturate16, sigmoid16, tanh16, wrap16

_GATES = 4


class Memory(Protocol):
    """What these operators need of a network."""

    @property
    def tensors(self) -> list[TensorRecord]:
        """The tensors."""
        ...

    def get(self, index: int) -> Ints:
        """Read a tensor."""
        ...

    def put(self, operator: ops.Operator, values: Ints) -> None:
        """Add the zero point, clamp and write an operator's output."""
        ...

    def store(self, index: int, values: Ints) -> None:
        """Write a tensor unchanged."""
        ...

    def array(self, offset: int, count: int, code: str) -> Ints:
        """Read an array from the weights."""
        ...


def _load16(network: Memory, index: int) -> Ints:
    """Read a state of 16-bit numbers."""
    return np.frombuffer(network.get(index).astype(np.int8).tobytes(), "<i2").astype(np.int64)


def _store16(network: Memory, index: int, values: Ints) -> None:
    network.store(index, np.frombuffer(values.astype("<i2").tobytes(), np.int8).astype(np.int64))


def run_svdf(network: Memory, op: ops.Svdf) -> None:
    """Add the newest results to the memory, and filter it over time."""
    x = network.get(op.input).reshape(-1)
    units = network.tensors[op.output].dims[3]
    filters = units * op.rank
    weights = network.array(op.weights, filters * x.size, "i1").reshape(filters, x.size)
    sums = wrap32(weights @ x + network.array(op.feature_bias, filters, "<i4"))
    newest = saturate16(multiply_by_quantized_multiplier(sums, op.multiplier, op.shift))
    old = _load16(network, op.memory).reshape(filters, op.memory_size)
    memory = np.concatenate([old[:, 1:], newest[:, None]], axis=1)
    _store16(network, op.memory, memory)
    time = network.array(op.time_weights, memory.size, "<i2").reshape(memory.shape)
    totals = (time * memory).reshape(units, -1).sum(axis=1) + network.array(op.bias, units, "<i4")
    network.put(op, multiply_by_quantized_multiplier(wrap32(totals), op.multiplier_out, op.shift_out))


def run_lstm(network: Memory, op: ops.SequenceLstm) -> None:
    """Run all steps of a sequence."""
    sequence = network.get(op.input)[0, 0]
    units = network.tensors[op.output].dims[3]
    weights = network.array(op.weights, _GATES * units * sequence.shape[1], "i1").reshape(_GATES, units, -1)
    recurrent = network.array(op.recurrent, _GATES * units * units, "i1").reshape(_GATES, units, units)
    bias, recurrent_bias = (
        network.array(offset, _GATES * units, "<i4").reshape(_GATES, units) for offset in (op.bias, op.recurrent_bias)
    )
    multipliers, shifts = network.array(op.multipliers, 9, "<i4"), network.array(op.shifts, 9, "i1")
    hidden, cell = network.get(op.hidden).reshape(-1), _load16(network, op.cell)
    rows = []
    for x in sequence:
        gates = saturate16(_scaled(weights @ x + bias, multipliers[:4], shifts[:4]))
        gates = saturate16(gates + _scaled(recurrent @ hidden + recurrent_bias, multipliers[4:8], shifts[4:8]))
        enter, forget, leave = sigmoid16(gates[[0, 1, 3]])
        added = enter * tanh16(gates[2], GATE_INTEGER_BITS)
        cell = saturate16(wrap16(rdp(forget * cell, 15)) + wrap16(rdp(added, 15 + op.cell_bits)))
        if op.clip > 0:
            cell = np.clip(cell, -op.clip, op.clip)
        out = multiply_by_quantized_multiplier(leave * tanh16(cell, op.cell_bits), multipliers[8], shifts[8])
        hidden = np.clip(out + op.zero, op.low, op.high)
        rows.append(hidden)
    network.store(op.output, np.array(rows))
    network.store(op.hidden, hidden)
    _store16(network, op.cell, cell)


def _scaled(sums: Ints, multipliers: Ints, shifts: Ints) -> Ints:
    """Scale the sums of each gate."""
    return multiply_by_quantized_multiplier(wrap32(sums), multipliers[:, None], shifts[:, None])
