# SPDX-License-Identifier: Apache-2.0
"""Errors between gateway and device, as leaves of the project's error tree.

FleetError
├── Stalled
│   ├── Refused
│   │   └── Malformed          bytes from outside that the protocol does not allow
│   └── Unusable
│       └── LinkUnusable       the link's configuration is wrong: unknown scheme, no permission, no certificate
└── Transient
    └── LineDown               the serial port disappeared

The failure of a single device is an outcome (conversation.py), not an exception.
"""

from __future__ import annotations

from typing import ClassVar

from reconciler.errors import Refused, Transient, Unusable


class Malformed(Refused):
    """Bytes from outside that the protocol does not allow."""

    reason: ClassVar[str] = "MalformedMessage"


class LinkUnusable(Unusable):
    """The link's configuration is wrong; retrying does not help."""

    reason: ClassVar[str] = "LinkUnusable"


class LineDown(Transient):
    """The serial port disappeared or can't be opened."""

    reason: ClassVar[str] = "LineDown"
