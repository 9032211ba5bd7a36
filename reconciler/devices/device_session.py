# SPDX-License-Identifier: Apache-2.0
"""A session with a device, as conversations see it (docs/specs/stages.md section 2)."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import Protocol

from reconciler.devices.stage_messages import AT_TYPE, STAGE_PIECE_BYTES_MAX, StageState


class TagKey(Protocol):
    """The key of a session."""

    def tag(self, kind: int, seq: int, offset: int, data: bytes) -> bytes:
        """Return the tag of a piece."""

    def is_tag(self, tag: bytes, kind: int, seq: int, offset: int, data: bytes) -> bool:
        """Return whether a piece has this tag."""


@dataclass(slots=True)
class DeviceSession:
    """An open session, and the number of its last input or call."""

    number: int
    key: TagKey
    piece_bytes: int = STAGE_PIECE_BYTES_MAX
    last_seq: int = field(default=0, init=False)

    def next_seq(self) -> int:
        """Return the number of a new input; a number never gets a second content."""
        self.last_seq += 1
        return self.last_seq

    def is_genuine(self, state: StageState) -> bool:
        """Return whether this device sent the state, in this session."""
        if state.session != self.number:
            return False
        return self.key.is_tag(state.tag, AT_TYPE, state.seq, state.filled, struct.pack("<I", state.session))
