# SPDX-License-Identifier: Apache-2.0
"""What can go wrong between gateway and device, as leaves of the project's error tree.

FleetError
├── Stalled
│   ├── Refused
│   │   ├── Malformed          bytes from outside that the protocol does not allow
│   │   └── DeviceRefused      the device answered an offer with an error
│   └── Unusable
│       └── LinkUnusable       the link's set-up is wrong: no such port, certificate refused
└── Transient
    ├── LineDown               the serial port went away
    ├── BrokerDown             the broker can't be reached
    └── NoAnswer               a device stayed silent for longer than its share of patience
"""

from __future__ import annotations

from typing import ClassVar

from reconciler.errors import Refused, Transient, Unusable


class Malformed(Refused):
    """Bytes from outside that the protocol does not allow."""

    reason: ClassVar[str] = "MalformedMessage"


class DeviceRefused(Refused):
    """The device checked what it was offered and said no."""

    reason: ClassVar[str] = "DeviceRefused"

    def __init__(self, message: str, *, code: int) -> None:
        super().__init__(message)
        self.code = code


class LinkUnusable(Unusable):
    """The link's set-up is wrong; trying again changes nothing."""

    reason: ClassVar[str] = "LinkUnusable"


class LineDown(Transient):
    """The serial port went away or does not open."""

    reason: ClassVar[str] = "LineDown"


class BrokerDown(Transient):
    """The broker can't be reached."""

    reason: ClassVar[str] = "BrokerDown"


class NoAnswer(Transient):
    """A device stayed silent for longer than its share of patience."""

    reason: ClassVar[str] = "NoAnswer"
