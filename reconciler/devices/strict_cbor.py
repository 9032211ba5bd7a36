# SPDX-License-Identifier: Apache-2.0
"""CBOR as the protocol allows it: core deterministic encoding and nothing else.

A value is read, written again and compared, so whatever is not the one shortest form is refused. Then
each place says which type it takes; `bool` is never taken for a number.
"""

from __future__ import annotations

from collections.abc import Sequence

import cbor2

from reconciler.devices.errors import Malformed

UINT32_END = 1 << 32
UINT64_END = 1 << 64


def dump(value: object) -> bytes:
    """Encode in the one form that a receiver takes."""
    return cbor2.dumps(value, canonical=True)


def load(data: bytes) -> object:
    """Decode one value that fills `data` exactly and is in deterministic form."""
    try:
        value: object = cbor2.loads(data)
        again = cbor2.dumps(value, canonical=True)
    except (cbor2.CBORError, ValueError, TypeError, OverflowError, RecursionError, MemoryError) as error:
        raise Malformed(f"not CBOR: {error}") from error
    if again != data:
        raise Malformed("CBOR, but not in deterministic form or with bytes behind it")
    return value


def items(value: object, what: str, *counts: int) -> Sequence[object]:
    """Take an array of one of these lengths; of any length, none included, when none is named."""
    if not isinstance(value, list | tuple) or (counts and len(value) not in counts):
        raise Malformed(f"{what} must be an array of {' or '.join(map(str, counts)) or 'any number of'} items")
    return value


def uint(value: object, what: str, *, end: int = UINT32_END) -> int:
    """Take an unsigned number below `end`."""
    if type(value) is not int or not 0 <= value < end:
        raise Malformed(f"{what} must be a whole number from 0 to {end - 1}")
    return value


def integer(value: object, what: str, *, bits: int = 32) -> int:
    """Take a signed number of so many bits."""
    half = 1 << (bits - 1)
    if type(value) is not int or not -half <= value < half:
        raise Malformed(f"{what} must be a whole number of {bits} bits")
    return value


def octets(value: object, what: str, *, least: int = 0, most: int | None = None) -> bytes:
    """Take a byte string between two lengths."""
    if type(value) is not bytes or len(value) < least or (most is not None and len(value) > most):
        raise Malformed(f"{what} must be a byte string of {least} to {most if most is not None else 'any'} bytes")
    return value


def text(value: object, what: str, *, most: int) -> str:
    """Take text of at most so many bytes."""
    if type(value) is not str or len(value.encode()) > most:
        raise Malformed(f"{what} must be text of at most {most} bytes")
    return value


def truth(value: object, what: str) -> bool:
    """Take true or false."""
    if type(value) is not bool:
        raise Malformed(f"{what} must be true or false")
    return value
