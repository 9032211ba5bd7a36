# SPDX-License-Identifier: Apache-2.0
"""A pack as it is transferred."""

from __future__ import annotations

from dataclasses import dataclass

from reconciler.model import PayloadEncoding


@dataclass(frozen=True, slots=True)
class EncodedPayload:
    """The bytes to send, and how a device decodes them."""

    encoding: PayloadEncoding
    data: bytes
    against_base: bool = False
