# SPDX-License-Identifier: Apache-2.0
"""Strict CBOR: only core deterministic encoding is accepted.

A value is decoded, encoded again and compared, so anything but the shortest form is rejected. Each caller states the
type that it expects; a `bool` is never accepted as a number.
"""

from __future__ import annotations

from collections.abc import Sequence

import cbor2

from reconciler.devices.errors import Malformed

UINT32_END = 1 << 32
UINT64_END = 1 << 64


def dump(value: object) -> bytes:
    """Encode a value deterministically."""
    return cbor2.dumps(value, canonical=True)


def load(data: bytes) -> object:
    """Decode one value that fills `data` exactly and is in deterministic form."""
    try:
        value: object = cbor2.loads(data)
        again = cbor2.dumps(value, canonical=True)
    except (cbor2.CBORError, ValueError, TypeError, OverflowError, RecursionError, MemoryError) as error:
        raise Malformed(f"not CBOR: {error}") from error
    if again != data:
        raise Malformed("CBOR that is not deterministic or has trailing bytes")
    return value


def items(value: object, what: str, *counts: int) -> Sequence[object]:
    """Expect an array with one of these lengths; any length if none is given."""
    if not isinstance(value, list | tuple) or (counts and len(value) not in counts):
        raise Malformed(f"{what} must be an array of {' or '.join(map(str, counts)) or 'any number of'} items")
    return value


def uint(value: object, what: str, *, end: int = UINT32_END) -> int:
    """Expect an unsigned number below `end`."""
    if type(value) is not int or not 0 <= value < end:
        raise Malformed(f"{what} must be a whole number from 0 to {end - 1}")
    return value


def integer(value: object, what: str, *, bits: int = 32) -> int:
    """Expect a signed number of this many bits."""
    half = 1 << (bits - 1)
    if type(value) is not int or not -half <= value < half:
        raise Malformed(f"{what} must be a whole number of {bits} bits")
    return value


def octets(value: object, what: str, *, min_bytes: int = 0, max_bytes: int) -> bytes:
    """Expect a byte string within these lengths."""
    if type(value) is not bytes or not min_bytes <= len(value) <= max_bytes:
        raise Malformed(f"{what} must be a byte string of {min_bytes} to {max_bytes} bytes")
    return value


def text(value: object, what: str, *, max_bytes: int) -> str:
    """Expect text of at most this many bytes."""
    if type(value) is not str or len(value.encode()) > max_bytes:
        raise Malformed(f"{what} must be text of at most {max_bytes} bytes")
    return value


def truth(value: object, what: str) -> bool:
    """Expect true or false."""
    if type(value) is not bool:
        raise Malformed(f"{what} must be true or false")
    return value
