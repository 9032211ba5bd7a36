# SPDX-License-Identifier: Apache-2.0
"""Digests of packs: whole, and cut to the 16 bytes that a device reports (`digest16` in docs/specs/protocol.md)."""

from __future__ import annotations

from typing import NewType, overload

Digest = NewType("Digest", str)  # 64 lower-case hex digits of a SHA-256
ShortDigest = NewType("ShortDigest", str)  # the first 32 of them

SHORT_DIGEST_BYTES = 16


@overload
def short_digest(digest: Digest) -> ShortDigest: ...


@overload
def short_digest(digest: None) -> None: ...


@overload
def short_digest(digest: Digest | None) -> ShortDigest | None: ...


def short_digest(digest: Digest | None) -> ShortDigest | None:
    """Cut a digest to the part that devices report. A digest that is already short is returned unchanged."""
    return None if digest is None else ShortDigest(digest[: 2 * SHORT_DIGEST_BYTES])


def short_digest_to_bytes(digest: Digest) -> bytes:
    """Return the short digest as it is sent to a device."""
    return bytes.fromhex(short_digest(digest))


def short_digest_from_bytes(digest16: bytes) -> ShortDigest:
    """Return the short digest that a device sent."""
    return ShortDigest(digest16.hex())
