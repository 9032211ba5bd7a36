# SPDX-License-Identifier: Apache-2.0
"""The section STATE: tensors that keep their values between inferences (docs/specs/pack.md section 6.5)."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

from reconciler.compiler.errors import PackMalformed

MAX_STATES = 64
_RECORD = struct.Struct("<HbB")


@dataclass(frozen=True, slots=True)
class StateRecord:
    """A tensor, and the initial value of all its elements."""

    tensor: int
    fill: int


def encode_states(records: Sequence[StateRecord]) -> bytes:
    """Write the section STATE."""
    return b"".join(_RECORD.pack(record.tensor, record.fill, 0) for record in records)


def decode_states(data: bytes) -> list[StateRecord]:
    """Read the section STATE (rule 23, as far as it concerns the section alone); without it there are no states."""
    if len(data) % _RECORD.size or len(data) > MAX_STATES * _RECORD.size:
        raise PackMalformed(f"STATE is not 1 to {MAX_STATES} whole records")
    fields = list(_RECORD.iter_unpack(data))
    if any(zero for _, _, zero in fields):
        raise PackMalformed("STATE has a field that should be zero")
    return [StateRecord(tensor, fill) for tensor, fill, _ in fields]
