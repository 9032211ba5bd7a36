# SPDX-License-Identifier: Apache-2.0
"""Messages of clients and gateways, to bytes and back (docs/specs/operations.md, section 2)."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from reconciler.devices import strict_cbor
from reconciler.devices.errors import Malformed
from reconciler.devices.strict_cbor import integer, items, octets, text, uint
from reconciler.model import Quantization, ValueDescriptor, ValueUsage
from reconciler.operations.codes import AnswerCode
from reconciler.operations.descriptors import ELEMENTS, DataDescriptor, as_array
from reconciler.operations.limits import (
    CALL_BYTES,
    DATA_BYTES_MAX,
    DEADLINE_MS_MAX,
    DIGEST_BYTES,
    PART_BYTES_MAX,
    PATH_MAX,
    RANK_MAX,
)

ASK, TAKEN, DONE, PART = 32, 33, 34, 35
MESSAGE_BYTES_MAX = 4608  # of the broker (systemd/mosquitto.conf)
VALUES_MAX = 16
NAME_BYTES_MAX = 63
OPERATION = re.compile(r"(?=.{1,96}\Z)([a-z0-9-]+\.)+[a-z0-9-]+")

Made = TypeVar("Made")


@dataclass(frozen=True, slots=True)
class AskMessage:
    """A client asks for an operation."""

    call: bytes
    operation: str
    descriptor: DataDescriptor | bytes
    deadline_ms: int
    data: bytes | None  # None: the parts before it
    path: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TakenMessage:
    """A node has the work."""

    call: bytes
    node: str


@dataclass(frozen=True, slots=True)
class DoneMessage:
    """The work has ended."""

    call: bytes
    code: AnswerCode
    node: str
    microseconds: int
    data: bytes | str | None  # text: why it failed; None: the parts before it


@dataclass(frozen=True, slots=True)
class PartMessage:
    """A part of data that one message can't hold."""

    call: bytes
    offset: int
    total: int
    data: bytes


BusMessage = AskMessage | TakenMessage | DoneMessage | PartMessage


def encode(message: BusMessage) -> bytes:
    """Return a message as bytes."""
    fields: list[object] = []
    match message:
        case AskMessage(call, operation, described, deadline_ms, data, path):
            what = described if isinstance(described, bytes) else as_array(described)
            fields = [ASK, call, operation, what, deadline_ms, list(path), data]
        case TakenMessage(call, node):
            fields = [TAKEN, call, node]
        case DoneMessage(call, code, node, microseconds, data):
            fields = [DONE, call, int(code), node, microseconds, data]
        case PartMessage(call, offset, total, data):
            fields = [PART, call, offset, total, data]
    return strict_cbor.dump(fields)


def parse(payload: bytes) -> BusMessage:
    """Return the message that bytes hold."""
    fields = items(strict_cbor.load(payload), "a message")
    readers: dict[object, Callable[[Sequence[object]], BusMessage]] = {
        ASK: _ask,
        TAKEN: _taken,
        DONE: _done,
        PART: _part,
    }
    number = fields[0] if fields and type(fields[0]) is int else None
    if number not in readers:
        raise Malformed("a message must begin with 32, 33, 34 or 35")
    return readers[number](fields)


def parts(call: bytes, data: bytes) -> list[PartMessage]:
    """Return data in parts; none if one message can hold it."""
    if len(data) <= PART_BYTES_MAX:
        return []
    starts = range(0, len(data), PART_BYTES_MAX)
    return [PartMessage(call, start, len(data), data[start : start + PART_BYTES_MAX]) for start in starts]


def _call(value: object) -> bytes:
    return octets(value, "call", min_bytes=CALL_BYTES, max_bytes=CALL_BYTES)


def _ask(fields: Sequence[object]) -> AskMessage:
    _, call, operation, what, deadline, path, data = items(fields, "ask", 7)
    name = text(operation, "operation", max_bytes=96)
    if not OPERATION.fullmatch(name):
        raise Malformed("operation must be names of lower-case letters, digits and hyphens, with dots between them")
    within = uint(deadline, "deadline", end=DEADLINE_MS_MAX + 1)
    if not within:
        raise Malformed("deadline must be at least 1 ms")
    passed = items(path, "path")
    if len(passed) > PATH_MAX + 1:
        raise Malformed("path has too many servers")
    return AskMessage(
        _call(call),
        name,
        octets(what, "digest", min_bytes=DIGEST_BYTES, max_bytes=DIGEST_BYTES)
        if isinstance(what, bytes)
        else descriptor(what),
        within,
        _optional(data, lambda value: octets(value, "data", max_bytes=PART_BYTES_MAX)),
        tuple(text(each, "path", max_bytes=NAME_BYTES_MAX) for each in passed),
    )


def _taken(fields: Sequence[object]) -> TakenMessage:
    _, call, node = items(fields, "taken", 3)
    return TakenMessage(_call(call), text(node, "node", max_bytes=NAME_BYTES_MAX))


def _done(fields: Sequence[object]) -> DoneMessage:
    _, call, code, node, microseconds, data = items(fields, "done", 6)
    number = uint(code, "code", end=len(AnswerCode))
    content: bytes | str | None
    if number:
        content = text(data, "why", max_bytes=PART_BYTES_MAX)
    else:
        content = _optional(data, lambda value: octets(value, "data", max_bytes=PART_BYTES_MAX))
    name = text(node, "node", max_bytes=NAME_BYTES_MAX)
    return DoneMessage(_call(call), AnswerCode(number), name, uint(microseconds, "microseconds"), content)


def _part(fields: Sequence[object]) -> PartMessage:
    _, call, offset, total, data = items(fields, "part", 5)
    size = uint(total, "total", end=DATA_BYTES_MAX + 1)
    start = uint(offset, "offset", end=max(1, size))
    part = octets(data, "data", min_bytes=1, max_bytes=min(PART_BYTES_MAX, max(1, size - start)))
    return PartMessage(_call(call), start, size, part)


def descriptor(value: object) -> DataDescriptor:
    """Read a descriptor."""
    task, values = items(value, "descriptor", 2)
    listed = items(values, "values")
    if len(listed) > VALUES_MAX:
        raise Malformed(f"a descriptor has at most {VALUES_MAX} values")
    return DataDescriptor(
        tuple(_value(each) for each in listed), _optional(task, lambda given: text(given, "task", max_bytes=64))
    )


def _value(value: object) -> ValueDescriptor:
    name, element, shape, usage, unit, quantization = items(value, "a value", 6)
    number = uint(element, "element", end=len(ELEMENTS) + 1)
    dimensions = items(shape, "shape")
    if not number or len(dimensions) > RANK_MAX:
        raise Malformed(f"element must be 1 to {len(ELEMENTS)}, and a shape has at most {RANK_MAX} dimensions")
    if usage not in {None, *ValueUsage}:
        raise Malformed("usage must be inference or training")
    return ValueDescriptor(
        name=text(name, "name", max_bytes=NAME_BYTES_MAX),
        dtype=ELEMENTS[number - 1],
        shape=tuple(_optional(each, lambda size: uint(size, "shape")) for each in dimensions),
        usage=_optional(usage, lambda given: ValueUsage(str(given))),
        unit=_optional(unit, lambda given: text(given, "unit", max_bytes=16)),
        quantization=_optional(quantization, _quantization),
    )


def _quantization(value: object) -> Quantization:
    scale, zero_point = items(value, "quantization", 2)
    if type(scale) is not float:
        raise Malformed("scale must be a float")
    return Quantization(scale, integer(zero_point, "zero point"))


def _optional(value: object, read: Callable[[object], Made]) -> Made | None:
    return None if value is None else read(value)
