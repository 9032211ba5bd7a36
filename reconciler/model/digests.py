# SPDX-License-Identifier: Apache-2.0
"""Digests of packs: whole, and cut to the 16 bytes that a device reports (`digest16` in docs/specs/protocol.md)."""

from __future__ import annotations

from typing import NewType, overload

Digest = NewType("Digest", str)  # 64 lower-case hex digits of a SHA-256
ShortDigest = NewType("ShortDigest", str)  # the first 32 of them
# What a device has: it reports short digests, and an observed state from a file may have whole ones. Compare only
# what `short_digest` returns.
ReportedDigest = Digest | ShortDigest

SHORT_DIGEST_BYTES = 16


@overload
def short_digest(digest: ReportedDigest) -> ShortDigest: ...


@overload
def short_digest(digest: None) -> None: ...


@overload
def short_digest(digest: ReportedDigest | None) -> ShortDigest | None: ...


def short_digest(digest: ReportedDigest | None) -> ShortDigest | None:
    """Cut a digest to the part that devices report. A digest that is already short is returned unchanged."""
    return None if digest is None else ShortDigest(digest[: 2 * SHORT_DIGEST_BYTES])


def reported_digest(text: str) -> ReportedDigest:
    """Return the digest that a status has: whole or short."""
    return ShortDigest(text) if len(text) <= 2 * SHORT_DIGEST_BYTES else Digest(text)


def short_digest_to_bytes(digest: ReportedDigest) -> bytes:
    """Return the short digest as it is sent to a device."""
    return bytes.fromhex(short_digest(digest))


def short_digest_from_bytes(digest16: bytes) -> ShortDigest:
    """Return the short digest that a device sent."""
    return ShortDigest(digest16.hex())
