# SPDX-License-Identifier: Apache-2.0
"""Reports the state of the service to systemd (sd_notify(3)), with one datagram per message; no-op without systemd."""

from __future__ import annotations

import contextlib
import os
import socket

_MICROSECONDS = 1_000_000


class SystemdNotifier:
    """Sends notifications to the service manager that started this process, if any."""

    def __init__(self) -> None:
        address = os.environ.get("NOTIFY_SOCKET", "")
        self._address = "\0" + address[1:] if address.startswith("@") else address

    @property
    def watchdog_s(self) -> float | None:
        """Return the watchdog timeout; None if the watchdog is off."""
        for_us = os.environ.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        timeout_us = os.environ.get("WATCHDOG_USEC", "") if for_us else ""
        return int(timeout_us) / _MICROSECONDS if timeout_us.isdigit() and int(timeout_us) else None

    def ready(self, status: str) -> None:
        """Report that the service is up."""
        self._send(f"READY=1\nSTATUS={status}")

    def alive(self, status: str) -> None:
        """Report progress to the watchdog, with the current status."""
        self._send(f"WATCHDOG=1\nSTATUS={status}")

    def stopping(self) -> None:
        """Report that the service is shutting down."""
        self._send("STOPPING=1")

    def _send(self, text: str) -> None:
        if not self._address:
            return
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
            sock.sendto(text.encode(), self._address)
