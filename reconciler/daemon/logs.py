# SPDX-License-Identifier: Apache-2.0
"""Logs: one line each on standard error, as text for people and journald, or as JSON for programs."""

from __future__ import annotations

import json
import logging
import os
import sys
from datetime import UTC, datetime
from typing import ClassVar

# syslog's levels, which journald reads from the start of a line (sd-daemon(3))
_PRIORITY = {logging.DEBUG: 7, logging.INFO: 6, logging.WARNING: 4, logging.ERROR: 3, logging.CRITICAL: 2}


class TextFormatter(logging.Formatter):
    """Time, level, text; under journald only the level's mark and the text, because it keeps the time itself."""

    def __init__(self, *, journald: bool) -> None:
        super().__init__("%(message)s" if journald else "%(asctime)s %(levelname)-7s %(message)s", "%H:%M:%S")
        self._journald = journald

    def format(self, record: logging.LogRecord) -> str:
        """Write one record."""
        text = super().format(record)
        return f"<{_PRIORITY.get(record.levelno, 6)}>{text}" if self._journald else text


class JsonFormatter(logging.Formatter):
    """One JSON object a line."""

    FIELDS: ClassVar[tuple[str, ...]] = ("device", "commit", "pass_number", "reason")

    def format(self, record: logging.LogRecord) -> str:
        """Write one record."""
        told = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        told.update({name: getattr(record, name) for name in self.FIELDS if hasattr(record, name)})
        if record.exc_info:
            told["traceback"] = self.formatException(record.exc_info)
        return json.dumps(told, ensure_ascii=False)


def set_up(log_format: str, *, verbose: bool) -> None:
    """Send the logs of this process where the one who started it looks for them."""
    handler = logging.StreamHandler(sys.stderr)
    journald = "JOURNAL_STREAM" in os.environ
    handler.setFormatter(JsonFormatter() if log_format == "json" else TextFormatter(journald=journald))
    logging.basicConfig(level=logging.DEBUG if verbose else logging.INFO, handlers=[handler], force=True)
    for chatty in ("git", "asyncio", "watchdog"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
