# SPDX-License-Identifier: Apache-2.0
"""Ctrl-C, for commands that start processes and write temporary files."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def ended_by_one_interrupt() -> Iterator[None]:
    """Let the first Ctrl-C end the command, and ignore further ones, so that none interrupts the clean-up."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(_signal: int, _frame: FrameType | None) -> None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGINT, interrupt)
    try:
        yield
    finally:
        if signal.getsignal(signal.SIGINT) is interrupt:  # not interrupted
            signal.signal(signal.SIGINT, before)
