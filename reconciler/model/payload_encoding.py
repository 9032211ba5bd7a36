# SPDX-License-Identifier: Apache-2.0
"""How a pack is encoded while it is transferred (docs/specs/patch.md)."""

from __future__ import annotations

from enum import IntEnum


class PayloadEncoding(IntEnum):
    """The encoding of a payload, by its number in an offer."""

    RAW = 0
    HEATSHRINK = 1
    PATCH = 2
    RESERVED = 3  # valid on the wire, but no encoder makes it and every device refuses it
