# SPDX-License-Identifier: Apache-2.0
"""Exchanges data with a process, within limits on time and on the amount of output."""

from __future__ import annotations

import os
import selectors
import subprocess
import time
from dataclasses import dataclass
from typing import IO

_CHUNK = 1 << 16


class OutputTimedOut(Exception):
    """The process did not end in time."""


class OutputTooLarge(Exception):
    """The process wrote more than its limit."""


@dataclass(frozen=True, slots=True)
class OutputLimits:
    """How much a process may write."""

    out_bytes: int
    err_bytes: int


def exchange(
    process: subprocess.Popen[bytes], data: bytes, limits: OutputLimits, *, limit_s: float
) -> tuple[bytes, bytes]:
    """Write `data` to a process and return its output, once it has ended. It still runs if this raises."""
    if process.stdin is None or process.stdout is None or process.stderr is None:
        raise ValueError("the process needs pipes")
    deadline = time.monotonic() + limit_s
    out, err = _Collected(limits.out_bytes), _Collected(limits.err_bytes)
    rest = memoryview(data)
    with selectors.DefaultSelector() as selector:
        os.set_blocking(process.stdin.fileno(), False)
        selector.register(process.stdin, selectors.EVENT_WRITE)
        selector.register(process.stdout, selectors.EVENT_READ, out)
        selector.register(process.stderr, selectors.EVENT_READ, err)
        while selector.get_map():
            left_s = deadline - time.monotonic()
            events = selector.select(left_s) if left_s > 0 else []
            if not events:
                raise OutputTimedOut
            for key, _ in events:
                if key.data is None:
                    rest = _write(selector, process.stdin, rest)
                elif not key.data.read(key.fd):
                    selector.unregister(key.fileobj)
    try:
        process.wait(max(0.0, deadline - time.monotonic()))
    except subprocess.TimeoutExpired:
        raise OutputTimedOut from None
    return bytes(out.content), bytes(err.content)


class _Collected:
    """What one pipe has brought so far."""

    def __init__(self, most_bytes: int) -> None:
        self.content = bytearray()
        self._most_bytes = most_bytes

    def read(self, descriptor: int) -> bool:
        """Read what is there; return False at the end."""
        chunk = os.read(descriptor, _CHUNK)
        self.content += chunk
        if len(self.content) > self._most_bytes:
            raise OutputTooLarge
        return bool(chunk)


def _write(selector: selectors.BaseSelector, stream: IO[bytes], rest: memoryview) -> memoryview:
    """Write what the pipe takes; close it once everything is written, or nobody reads it."""
    try:
        rest = rest[os.write(stream.fileno(), rest[:_CHUNK]) :]
    except BlockingIOError:
        return rest
    except BrokenPipeError:
        rest = rest[:0]
    if not rest:
        selector.unregister(stream)
        stream.close()
    return rest
