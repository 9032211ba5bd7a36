# SPDX-License-Identifier: Apache-2.0
"""Every failure that tinyfleet knows how to handle.

FleetError
├── Stalled      needs a new commit or a human: never retried
│   ├── Refused        something came from outside and is not allowed (trust, policy)
│   ├── Invalid        the fleet repository, a configuration or a model has mistakes
│   └── Unusable       the machine or its set-up is at fault (permissions, missing program)
└── Transient    may heal by itself: retried after `retry_after_s`

Anything else is a bug: it is logged with its traceback and never swallowed.
Modules raise leaves of their own below one of these. Each leaf carries one `reason`, the same
word that the condition, the log event and the metric label use.
"""

from __future__ import annotations

from typing import ClassVar


class FleetError(Exception):
    """A failure with a reason that conditions, logs and metrics share."""

    reason: ClassVar[str] = "Failed"


class Stalled(FleetError):
    """Needs a new commit or a human; trying again changes nothing."""

    reason: ClassVar[str] = "Stalled"


class Refused(Stalled):
    """Came from outside and is not allowed by trust or policy."""

    reason: ClassVar[str] = "Refused"


class Invalid(Stalled):
    """The fleet repository, a configuration file or a model has mistakes."""

    reason: ClassVar[str] = "Invalid"


class Unusable(Stalled):
    """The machine or its set-up is at fault."""

    reason: ClassVar[str] = "Unusable"


class Transient(FleetError):
    """May heal by itself: worth another try after `retry_after_s` seconds."""

    reason: ClassVar[str] = "Unavailable"

    def __init__(self, message: str, *, retry_after_s: float = 10.0) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s
