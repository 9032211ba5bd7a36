# SPDX-License-Identifier: Apache-2.0
"""The failures that tinyfleet handles.

FleetError
├── Stalled      needs a new commit or a person: not retried
│   ├── Refused        external input that trust or policy does not allow
│   ├── Invalid        errors in the fleet repository, a configuration or a model
│   └── Unusable       the machine or its set-up is at fault (permissions, a missing program)
└── Transient    may resolve on its own: retried after `retry_after_s`
    └── ResourcesExhausted   no descriptors, processes, memory or disk space are left at the moment

Any other exception is a bug: it is logged with its traceback and never swallowed. Modules derive their own
classes from one of these. Each class has one `reason`, which the condition, the log event and the metric
label share.
"""

from __future__ import annotations

import errno
from typing import ClassVar, Final


class FleetError(Exception):
    """A failure, with the reason that conditions, logs and metrics share."""

    reason: ClassVar[str] = "Failed"


class Stalled(FleetError):
    """Needs a new commit or a person; a retry would fail in the same way."""

    reason: ClassVar[str] = "Stalled"


class Refused(Stalled):
    """External input that trust or policy does not allow."""

    reason: ClassVar[str] = "Refused"


class Invalid(Stalled):
    """The fleet repository, a configuration file or a model contains errors."""

    reason: ClassVar[str] = "Invalid"


class Unusable(Stalled):
    """The machine or its set-up is at fault."""

    reason: ClassVar[str] = "Unusable"


class Transient(FleetError):
    """May resolve on its own: retried after `retry_after_s` seconds."""

    reason: ClassVar[str] = "Unavailable"

    def __init__(self, message: str, *, retry_after_s: float = 10.0) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


# What the system answers when descriptors, processes, memory or disk space run out. Others may release theirs.
EXHAUSTED: Final = frozenset(
    {errno.EMFILE, errno.ENFILE, errno.EAGAIN, errno.ENOMEM, errno.ENOSPC, errno.EDQUOT},
)


class ResourcesExhausted(Transient):
    """The machine has no descriptors, processes, memory or disk space left at the moment."""

    reason: ClassVar[str] = "ResourcesExhausted"


def failure_of_system(error: OSError, doing: str, otherwise: type[FleetError]) -> FleetError:
    """Return the failure that an error of the system stands for: a lack of resources, or what the caller names."""
    kind = ResourcesExhausted if error.errno in EXHAUSTED else otherwise
    return kind(f"{doing}: {error.strerror or error}")
