# SPDX-License-Identifier: Apache-2.0
"""Sets up logging to standard error: text for people and journald, or one JSON object per line for programs."""

from __future__ import annotations

import json
import logging
import os
import sys
from datetime import UTC, datetime

from reconciler.engine import log_context
from reconciler.foreign_text import printable

# syslog's levels, which journald reads from the start of a line (sd-daemon(3))
_PRIORITY = {logging.DEBUG: 7, logging.INFO: 6, logging.WARNING: 4, logging.ERROR: 3, logging.CRITICAL: 2}
_SHORT = 12  # digits of a commit, as in other output
CHATTY = ("git", "asyncio", "watchdog")


class TextFormatter(logging.Formatter):
    """Time, level, pass, commit, device and text. Under journald: the level as a prefix, and no time."""

    def __init__(self, *, journald: bool) -> None:
        super().__init__("%(context)s%(message)s" if journald else "%(asctime)s %(levelname)-7s %(context)s%(message)s")
        self.default_time_format = "%H:%M:%S"
        self.default_msec_format = None
        self._journald = journald

    def format(self, record: logging.LogRecord) -> str:
        """Format one record."""
        record.context = _context()
        text = printable(super().format(record))
        return f"<{_PRIORITY.get(record.levelno, 6)}>{text}" if self._journald else text


class JsonFormatter(logging.Formatter):
    """One JSON object per line."""

    def format(self, record: logging.LogRecord) -> str:
        """Format one record."""
        fields: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": printable(record.getMessage()),
            "pass": log_context.pass_number.get(),
            "commit": log_context.commit.get(),
            "device": log_context.device.get(),
            "reason": getattr(record, "reason", None),
        }
        if record.exc_info:
            fields["traceback"] = self.formatException(record.exc_info)
        return json.dumps({name: value for name, value in fields.items() if value is not None}, ensure_ascii=False)


def set_up(log_format: str, level: int) -> None:
    """Configure the logging of this process, from this level on."""
    handler = logging.StreamHandler(sys.stderr)
    journald = "JOURNAL_STREAM" in os.environ
    handler.setFormatter(JsonFormatter() if log_format == "json" else TextFormatter(journald=journald))
    logging.basicConfig(level=level, handlers=[handler], force=True)
    for chatty in CHATTY:
        logging.getLogger(chatty).setLevel(logging.WARNING)


def _context() -> str:
    number, commit, device = log_context.pass_number.get(), log_context.commit.get(), log_context.device.get()
    where = "" if number is None else f"[{number} {commit[:_SHORT] if commit else '-'}] "
    return f"{where}{device}: " if device else where
