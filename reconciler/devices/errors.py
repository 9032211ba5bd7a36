# SPDX-License-Identifier: Apache-2.0
"""What can go wrong between gateway and device, as leaves of the project's error tree.

FleetError
├── Stalled
│   ├── Refused
│   │   └── Malformed          bytes from outside that the protocol does not allow
│   └── Unusable
│       └── LinkUnusable       the link's set-up is wrong: no such scheme, not allowed, no certificate
└── Transient
    └── LineDown               the serial port went away

What one device does wrong is no exception but an outcome (conversation.py).
"""

from __future__ import annotations

from typing import ClassVar

from reconciler.errors import Refused, Transient, Unusable


class Malformed(Refused):
    """Bytes from outside that the protocol does not allow."""

    reason: ClassVar[str] = "MalformedMessage"


class LinkUnusable(Unusable):
    """The link's set-up is wrong; trying again changes nothing."""

    reason: ClassVar[str] = "LinkUnusable"


class LineDown(Transient):
    """The serial port went away or does not open."""

    reason: ClassVar[str] = "LineDown"
