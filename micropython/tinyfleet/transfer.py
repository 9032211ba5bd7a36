# SPDX-License-Identifier: Apache-2.0
"""An open transfer: blocks are appended to one file; later ones wait in memory until the gap before them is filled.

The file is flushed before each answer that says what is held, so a loss of power costs at most the burst before it.
"""

from tinyfleet import errors
from tinyfleet.errors import Refused
from tinyfleet.files import remove, size_of
from tinyfleet.state import State

BLOCKS_MAX = 4096
WAITING_BYTES = 8192  # of blocks that came before an earlier one
RAW, HEATSHRINK = 0, 1


class Shape:
    """The payload of an offer. No signature covers it, so the first offer of an envelope decides it."""

    def __init__(self, name: int, encoding: int, payload_bytes: int, block_bytes: int) -> None:
        self.name = name
        self.encoding = encoding
        self.payload_bytes = payload_bytes
        self.block_bytes = block_bytes

    def is_that_of(self, state: State) -> bool:
        """Return whether it is the payload of the last transfer."""
        return (self.encoding, self.payload_bytes, self.block_bytes) == (
            state.encoding,
            state.payload_bytes,
            state.block_bytes,
        )

    def check(self, package_bytes: int, slot_bytes: int, block_max: int) -> None:
        """Raise Refused unless this device can receive it."""
        if slot_bytes == 0:
            raise Refused(errors.NO_UPDATES)
        if self.encoding not in {RAW, HEATSHRINK}:
            raise Refused(errors.ENCODING)
        if not 0 < self.block_bytes <= block_max or self.block_bytes % 16:
            raise Refused(errors.BLOCK_SIZE)
        if not 0 < self.payload_bytes <= slot_bytes:
            raise Refused(errors.TOO_LARGE)
        if self.encoding == RAW and self.payload_bytes != package_bytes:
            raise Refused(errors.ENCODING)
        if -(-self.payload_bytes // self.block_bytes) > BLOCKS_MAX:
            raise Refused(errors.BLOCK_SIZE)


class Transfer:
    """The blocks of the open transfer."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._file: object | None = None
        self._state: State | None = None
        self._first = 0
        self._waiting: dict[int, bytes] = {}

    def open(self, state: State, *, fresh: bool) -> None:
        """Continue the transfer that the state describes, or begin it."""
        self.close()
        self._state, self._first = state, 0
        held = 0 if fresh else size_of(self.path)
        if held == state.payload_bytes:
            self._first = self.blocks()
        elif held % state.block_bytes == 0:
            self._first = held // state.block_bytes
        if not self._first:
            remove(self.path)  # empty, or torn by a file system without copy on write

    def close(self) -> None:
        """Close the file; what it holds stays."""
        if self._file:
            self._file.close()
        self._file = None
        self._waiting = {}

    def discard(self) -> None:
        """Forget the transfer and its file."""
        self.close()
        remove(self.path)

    def blocks(self) -> int:
        """Return the number of blocks."""
        return -(-self._state.payload_bytes // self._state.block_bytes)

    def first_missing(self) -> int:
        """Return the first block that is not held; the number of blocks if all are."""
        return self._first

    def held(self) -> bytes:
        """Return the bits of the message `have` for the blocks after the first missing one."""
        bits = 0
        for index in self._waiting:
            bits |= 1 << (index - self._first - 1)
        length = 0
        while bits >> 8 * length:
            length += 1
        return bits.to_bytes(length, "little")

    def flush(self) -> None:
        """Make sure that what was received survives a loss of power."""
        if self._file:
            self._file.close()
            self._file = None

    def add(self, index: int, data: bytes) -> None:
        """Take a block; raise Refused if it does not belong to this transfer."""
        state = self._state
        if index >= self.blocks() or len(data) != min(
            state.block_bytes, state.payload_bytes - index * state.block_bytes
        ):
            raise Refused(errors.MESSAGE)
        if index < self._first or index in self._waiting:
            return
        if index > self._first and (len(self._waiting) + 1) * state.block_bytes > WAITING_BYTES:
            return  # no room: it is sent again
        self._waiting[index] = data
        while self._first in self._waiting:
            self._append(self._waiting.pop(self._first))
            self._first += 1

    def _append(self, data: bytes) -> None:
        try:
            if self._file is None:
                self._file = open(self.path, "ab")
            self._file.write(data)
        except OSError:
            raise Refused(errors.FLASH) from None
