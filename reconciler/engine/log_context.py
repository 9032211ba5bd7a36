# SPDX-License-Identifier: Apache-2.0
"""Which pass, commit and device a log line is about.

Tasks inherit these context variables from the pass that starts them, so no function has to pass them on.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from reconciler.model import Commit, DeviceId

pass_number: ContextVar[int | None] = ContextVar("pass_number", default=None)
commit: ContextVar[Commit | None] = ContextVar("commit", default=None)
device: ContextVar[DeviceId | None] = ContextVar("device", default=None)


def begin_pass(number: int, enforced: Commit | None) -> None:
    """Set the pass and its commit for all log lines from here on."""
    pass_number.set(number)
    commit.set(enforced)


@contextmanager
def about(name: DeviceId) -> Iterator[None]:
    """Set the device for the log lines inside the block."""
    token = device.set(name)
    try:
        yield
    finally:
        device.reset(token)
