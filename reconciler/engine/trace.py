# SPDX-License-Identifier: Apache-2.0
"""What a log line is about. Tasks inherit it from the pass that began them, so nobody hands it on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from reconciler.model import Commit, DeviceId

pass_number: ContextVar[int | None] = ContextVar("pass_number", default=None)
commit: ContextVar[Commit | None] = ContextVar("commit", default=None)
device: ContextVar[DeviceId | None] = ContextVar("device", default=None)


def begin_pass(number: int, enforced: Commit | None) -> None:
    """Say which pass this is, and of which commit."""
    pass_number.set(number)
    commit.set(enforced)


@contextmanager
def about(name: DeviceId) -> Iterator[None]:
    """Say of which device it is while this lasts."""
    token = device.set(name)
    try:
        yield
    finally:
        device.reset(token)
