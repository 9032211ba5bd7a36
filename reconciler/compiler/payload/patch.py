# SPDX-License-Identifier: Apache-2.0
"""Patches between packs (docs/specs/patch.md): a bytewise difference in run-length and Rice codes."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from reconciler.compiler.errors import PackMalformed
from reconciler.compiler.pack.bitstream import BitReader, BitWriter
from reconciler.compiler.pack.pack_format import disassemble

VERSION = 1
_HEADER_BYTES = 6
_MAX_NUMBER_BITS = 24
_MAX_UNARY = 15
_ESCAPE_BITS = 24
_SWITCH_BITS = 26  # the approximate cost of another operation
_CHUNK = 32

Ints = npt.NDArray[np.int64]


# ---------------------------------------------------------------- fields


def _put_number(stream: BitWriter, n: int) -> None:
    z = (n + 1).bit_length() - 1
    stream.put(1 << z, z + 1)
    stream.put(n + 1, z)


def _get_number(stream: BitReader) -> int:
    z = 0
    while not stream.get(1):
        z += 1
        if z > _MAX_NUMBER_BITS:
            raise PackMalformed("the patch has a number of more than 24 bits")
    return (1 << z) - 1 + stream.get(z)


def _put_rice(stream: BitWriter, value: int, k: int) -> None:
    quotient = value >> k
    if quotient < _MAX_UNARY:
        stream.put((1 << quotient) - 1, quotient + 1)
        stream.put(value, k)
    else:
        stream.put((1 << _MAX_UNARY) - 1, _MAX_UNARY)
        stream.put(value, _ESCAPE_BITS)


def _get_rice(stream: BitReader, k: int) -> int:
    quotient = 0
    while quotient < _MAX_UNARY and stream.get(1):
        quotient += 1
    if quotient == _MAX_UNARY:
        return stream.get(_ESCAPE_BITS)
    return quotient << k | stream.get(k)


def _rice_bits(values: Ints, k: int) -> Ints:
    quotient = values >> k
    return np.where(quotient < _MAX_UNARY, quotient + 1 + k, _MAX_UNARY + _ESCAPE_BITS)


def _zigzag(difference: Ints) -> Ints:
    signed = ((difference + 128) & 0xFF) - 128
    return np.where(signed >= 0, 2 * signed, -2 * signed - 1)


def _unzigzag(value: int) -> int:
    return value // 2 if value % 2 == 0 else -(value + 1) // 2


# ---------------------------------------------------------------- decoding


def apply_patch(patch: bytes, source: bytes, length: int) -> bytes:
    """Apply a patch to a source. Refuses everything that a device refuses."""
    if len(patch) <= _HEADER_BYTES or patch[0] != VERSION or patch[1] > 1:
        raise PackMalformed("not a patch of version 1")
    against = source if patch[1] else b""
    wanted = hashlib.sha256(source).digest()[:4] if patch[1] else bytes(4)
    if patch[2:_HEADER_BYTES] != wanted:
        raise PackMalformed("the patch was made against another pack")
    return _Decoder(BitReader(patch[_HEADER_BYTES:]), against, length).run()


class _Decoder:
    def __init__(self, stream: BitReader, source: bytes, length: int) -> None:
        self._stream = stream
        self._source = source
        self._length = length
        self._at = 0
        self._output = bytearray()

    def run(self) -> bytes:
        operations = (None, self._insert, self._sparse, self._dense)
        while True:
            operation = operations[self._stream.get(2)]
            if operation is not None:
                operation()
            elif self._stream.get(1):
                self._seek()
            else:
                break
        if len(self._output) != self._length:
            raise PackMalformed(f"the patch decodes to {len(self._output)} bytes, not {self._length}")
        return bytes(self._output)

    def _emit(self, byte: int) -> None:
        if len(self._output) == self._length:
            raise PackMalformed("the patch decodes to more bytes than the pack has")
        self._output.append(byte & 0xFF)

    def _move(self, distance: int) -> None:
        self._at += distance
        if not 0 <= self._at <= 1 << 24:
            raise PackMalformed("the patch reads outside of its source")

    def _copy(self, change: int = 0) -> None:
        old = self._source[self._at] if self._at < len(self._source) else 0
        self._emit(old + change)
        self._move(1)

    def _seek(self) -> None:
        back = self._stream.get(1)
        distance = _get_number(self._stream)
        self._move(-distance if back else distance)

    def _insert(self) -> None:
        skip = self._stream.get(1)
        for _ in range(_get_number(self._stream) + 1):
            self._emit(self._stream.get(8))
            self._move(skip)

    def _sparse(self) -> None:
        kg, kv = self._stream.get(4), self._stream.get(3)
        for _ in range(_get_number(self._stream)):
            for _ in range(_get_rice(self._stream, kg)):
                self._copy()
            self._change(_get_rice(self._stream, kv) + 1)
        for _ in range(_get_number(self._stream)):
            self._copy()

    def _dense(self) -> None:
        kv = self._stream.get(3)
        for _ in range(_get_number(self._stream) + 1):
            self._change(_get_rice(self._stream, kv))

    def _change(self, value: int) -> None:
        if value > 0xFF:  # noqa: PLR2004 - one byte
            raise PackMalformed("the patch has a difference of more than one byte")
        self._copy(_unzigzag(value))


# ---------------------------------------------------------------- encoding


@dataclass(frozen=True, slots=True)
class _Coding:
    """The coding of a run of bytes: dense if `kg` < 0, literal if both are < 0."""

    kg: int
    kv: int


_LITERAL = _Coding(-1, -1)
_CODINGS = (
    _LITERAL,
    *(_Coding(-1, kv) for kv in range(8)),
    *(_Coding(kg, kv) for kg in range(16) for kv in range(7)),
)


def make_patch(target: bytes, source: bytes | None = None) -> bytes:
    """Make a patch from a source, or from nothing, to the target."""
    against = source or b""
    header = bytes([VERSION, int(source is not None)])
    header += hashlib.sha256(against).digest()[:4] if source is not None else bytes(4)
    stream = BitWriter()
    at = 0
    for begin, end, origin in _regions(target, against):
        if origin != at:
            stream.put(0, 2)
            stream.put(1, 1)
            stream.put(int(origin < at), 1)
            _put_number(stream, abs(origin - at))
        old = against[origin : origin + end - begin].ljust(end - begin, b"\0")
        _encode_region(stream, target[begin:end], old)
        at = origin + end - begin
    stream.put(0, 3)
    return header + stream.getvalue()


def _regions(target: bytes, source: bytes) -> Iterator[tuple[int, int, int]]:
    """Split the target by sections; yield each range with the offset of its counterpart in the source."""
    try:
        new, old = _section_ranges(target), _section_ranges(source)
    except PackMalformed:
        yield 0, len(target), 0
        return
    merged: list[tuple[int, int, int]] = []
    for name, (begin, end) in new.items():
        origin = old.get(name, (0, 0))[0]
        if merged and merged[-1][2] - merged[-1][0] == origin - begin:
            merged[-1] = (merged[-1][0], end, merged[-1][2])
        else:
            merged.append((begin, end, origin))
    yield from merged


def _section_ranges(data: bytes) -> dict[int, tuple[int, int]]:
    """Return the range of each section with its padding; 0 is the header."""
    pack = disassemble(data)
    at = 16 + 4 * len(pack.sections)
    ranges = {0: (0, at)}
    for name in sorted(pack.sections):
        end = at + -(-len(pack.sections[name]) // 4) * 4
        if end > at:
            ranges[int(name)] = (at, end)
        at = end
    return ranges


def _encode_region(stream: BitWriter, new: bytes, old: bytes) -> None:
    values = _zigzag(np.frombuffer(new, np.uint8).astype(np.int64) - np.frombuffer(old, np.uint8).astype(np.int64))
    chosen = _choose_codings(values)
    begin = 0
    for chunk in range(1, len(chosen) + 1):
        if chunk == len(chosen) or chosen[chunk] != chosen[begin]:
            low, high = begin * _CHUNK, min(chunk * _CHUNK, len(new))
            _encode_run(stream, _CODINGS[chosen[begin]], values[low:high], new[low:high])
            begin = chunk


def _choose_codings(values: Ints) -> Sequence[int]:
    """Choose a coding for each chunk so that the total cost is minimal, including changes of coding."""
    starts = np.arange(0, len(values), _CHUNK)
    costs = np.stack([np.add.reduceat(bits, starts) for bits in _bit_costs(values)])
    best = costs[:, 0] + _SWITCH_BITS
    came_from = np.zeros(costs.shape, np.int64)
    stay = np.arange(len(costs))
    for chunk in range(1, costs.shape[1]):
        cheapest = int(best.argmin())
        switch = best[cheapest] + _SWITCH_BITS
        came_from[:, chunk] = np.where(best <= switch, stay, cheapest)
        best = np.minimum(best, switch) + costs[:, chunk]
    path = [int(best.argmin())]
    for chunk in range(costs.shape[1] - 1, 0, -1):
        path.append(int(came_from[path[-1], chunk]))
    return path[::-1]


def _bit_costs(values: Ints) -> Iterator[Ints]:
    """Yield the bits that each byte costs, for one coding after the other."""
    changed = np.flatnonzero(values)
    gaps = np.diff(changed, prepend=-1) - 1
    by_kv = [_rice_bits(values[changed] - 1, kv) for kv in range(7)]
    for coding in _CODINGS:
        if coding is _LITERAL:
            yield np.full(len(values), 8, np.int64)
        elif coding.kg < 0:
            yield _rice_bits(values, coding.kv)
        else:
            bits = np.zeros(len(values), np.int64)
            bits[changed] = by_kv[coding.kv] + _rice_bits(gaps, coding.kg)
            yield bits


def _encode_run(stream: BitWriter, coding: _Coding, values: Ints, new: bytes) -> None:
    if coding is _LITERAL:
        stream.put(1, 2)
        stream.put(1, 1)
        _put_number(stream, len(new) - 1)
        for byte in new:
            stream.put(byte, 8)
    elif coding.kg < 0:
        stream.put(3, 2)
        stream.put(coding.kv, 3)
        _put_number(stream, len(values) - 1)
        for value in values.tolist():
            _put_rice(stream, value, coding.kv)
    else:
        _encode_sparse(stream, coding, values)


def _encode_sparse(stream: BitWriter, coding: _Coding, values: Ints) -> None:
    changed = np.flatnonzero(values).tolist()
    stream.put(2, 2)
    stream.put(coding.kg, 4)
    stream.put(coding.kv, 3)
    _put_number(stream, len(changed))
    at = 0
    for index in changed:
        _put_rice(stream, index - at, coding.kg)
        _put_rice(stream, int(values[index]) - 1, coding.kv)
        at = index + 1
    _put_number(stream, len(values) - at)
