# SPDX-License-Identifier: Apache-2.0
"""The link over a serial line (docs/specs/protocol.md section 3): the device speaks only when it is asked."""

import select
import time

from tinyfleet import frame

_MESSAGE_MAX = 1152
_OVERHEAD = 5  # address and CRC
_BITS = 10  # of a byte on the line
_ALL = 0  # the address that every device listens to and none answers


class SerialLink:
    """Serves the agent at its address. `stream` is a UART, or a file that is a terminal in raw mode."""

    speaks_unasked = False

    def __init__(self, stream: object, address: int, baud: int) -> None:
        self._stream = stream
        self._address = address
        self._pause_us = 3 * _BITS * 1_000_000 // baud  # before an answer, so that the gateway listens again
        self._receiver = frame.Receiver(_MESSAGE_MAX + _OVERHEAD)
        self._poller = select.poll()
        self._poller.register(stream, select.POLLIN)

    def serve(self, agent: object, wait_ms: int) -> None:
        """Wait for bytes as long as this, and answer the messages that they complete."""
        if not self._poller.poll(wait_ms):
            return
        waiting = self._stream.any() if hasattr(self._stream, "any") else 1
        for address, message, corrected in self._receiver.push(self._stream.read(waiting) or b""):
            if address not in {self._address, _ALL}:
                continue
            answer = agent.handle(message, corrected=corrected)
            if answer and address == self._address:
                time.sleep_us(self._pause_us)
                self._write(frame.encode(self._address, answer))

    def send(self, _message: bytes) -> None:
        """Drop an unsolicited message: the line belongs to the gateway."""

    def _write(self, data: bytes) -> None:
        sent = 0
        while sent < len(data):
            sent += self._stream.write(data[sent:]) or 0
