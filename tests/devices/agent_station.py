# SPDX-License-Identifier: Apache-2.0
"""The real C agent as a station of a simulated line. Frames, flash and signatures are real; only time is simulated."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cffi import FFI

from tests.firmware.host import HostAgent

FRAMES = """
struct tf_frame_receiver {
    uint8_t *buffer; size_t capacity; size_t filled; uint8_t left, code, broken, address;
    const uint8_t *message; size_t length;
};
void tf_frame_init(struct tf_frame_receiver *receiver, uint8_t *buffer, size_t capacity);
int tf_frame_push(struct tf_frame_receiver *receiver, uint8_t byte);
size_t tf_frame_encode(uint8_t *out, size_t capacity, uint8_t address, const uint8_t *message, size_t length);
"""
NOTHING, READY, CORRECTED, BAD = range(4)
BUFFER_BYTES = 1200


class AgentStation:
    """One agent at one address."""

    def __init__(self, library: Path, agent: HostAgent, address: int) -> None:
        self.agent = agent
        self.corrected = 0
        self.bad = 0
        self._address = address
        self._ffi, self._c = _loaded(library)
        self._buffer = self._ffi.new("uint8_t[]", BUFFER_BYTES)
        self._out = self._ffi.new("uint8_t[]", BUFFER_BYTES)
        self._receiver = self._ffi.new("struct tf_frame_receiver *")
        self._c.tf_frame_init(self._receiver, self._buffer, BUFFER_BYTES)

    def hear(self, data: bytes, now_s: float) -> bytes:
        """Pass the bytes to the agent; return its answer, framed by its own code."""
        self.agent.now_ms = int(now_s * 1000)
        said = b""
        for byte in data:
            event = self._c.tf_frame_push(self._receiver, byte)
            self.corrected += event == CORRECTED
            self.bad += event == BAD
            if event in {READY, CORRECTED} and self._receiver.address == self._address:
                said += self._answered(corrected=event == CORRECTED)
        return said

    def _answered(self, *, corrected: bool) -> bytes:
        message = bytes(self._ffi.buffer(self._receiver.message, self._receiver.length))
        answer = self.agent.handle(message, corrected=corrected)
        self.agent.settle()
        if not answer:
            return b""
        length = self._c.tf_frame_encode(self._out, BUFFER_BYTES, self._address, answer, len(answer))
        return bytes(self._ffi.buffer(self._out, length))


def _loaded(library: Path) -> tuple[Any, Any]:
    """Load the framing functions of the library; cffi objects have no types."""
    ffi = FFI()
    ffi.cdef(FRAMES)
    return ffi, ffi.dlopen(str(library))
