# SPDX-License-Identifier: Apache-2.0
"""Telling systemd how it goes: one datagram to a socket that it names (sd_notify(3)); nothing without systemd."""

from __future__ import annotations

import contextlib
import os
import socket

_MICROSECONDS = 1_000_000


class SystemdNotifier:
    """Speaks to the service manager that started us, if one did."""

    def __init__(self) -> None:
        address = os.environ.get("NOTIFY_SOCKET", "")
        self._address = "\0" + address[1:] if address.startswith("@") else address

    @property
    def watchdog_s(self) -> float | None:
        """Return within how long systemd wants to hear from us; None: it doesn't."""
        for_us = os.environ.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        wanted = os.environ.get("WATCHDOG_USEC", "") if for_us else ""
        return int(wanted) / _MICROSECONDS if wanted.isdigit() and int(wanted) else None

    def ready(self, status: str) -> None:
        """Say that the service is up."""
        self._say(f"READY=1\nSTATUS={status}")

    def alive(self, status: str) -> None:
        """Say that real progress was made, and where things stand."""
        self._say(f"WATCHDOG=1\nSTATUS={status}")

    def stopping(self) -> None:
        """Say that the service goes down in good order."""
        self._say("STOPPING=1")

    def _say(self, text: str) -> None:
        if not self._address:
            return
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
            sock.sendto(text.encode(), self._address)
