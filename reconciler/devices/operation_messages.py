# SPDX-License-Identifier: Apache-2.0
"""The messages of operations between a gateway and a device (docs/specs/operations.md section 7)."""

from __future__ import annotations

from dataclasses import dataclass

from reconciler.devices.device_session import TagKey
from reconciler.devices.errors import Malformed
from reconciler.devices.strict_cbor import integer, octets, uint

OCTETS_MAX = 600
CODE_MIN = -128
TAKEN = 1  # the code of a first reply
POLL = 0  # the function that asks for a request
FUNCTIONS = 256
_TAG_BYTES = 16
CALL_TYPE, _REPLY_TYPE, _REQUEST_TYPE, _RETURNED_TYPE = 10, 11, 18, 19


@dataclass(frozen=True, slots=True)
class CallBuiltin:
    """Calls a built-in; answered by `BuiltinReturned`, by `DeviceRequest` if it is `POLL`, or by `TransferResult`."""

    seq: int
    function: int
    data: bytes
    tag: bytes


@dataclass(frozen=True, slots=True)
class BuiltinReturned:
    """What a built-in returned: 0, or a negative code and no data."""

    seq: int
    code: int
    data: bytes
    tag: bytes


@dataclass(frozen=True, slots=True)
class DeviceRequest:
    """A device asks for an operation; `number` counts its requests since its start."""

    number: int
    operation: int
    data: bytes
    tag: bytes


@dataclass(frozen=True, slots=True)
class ReplyToRequest:
    """`TAKEN`, 0 with the outputs, or a negative code; answered by `TransferResult`."""

    number: int
    code: int
    data: bytes
    tag: bytes


OperationQuestion = CallBuiltin | ReplyToRequest  # gateway to device
OperationAnswer = BuiltinReturned | DeviceRequest  # device to gateway
OperationMessage = OperationQuestion | OperationAnswer


def call_builtin(key: TagKey, seq: int, function: int, data: bytes) -> CallBuiltin:
    """Make a call with its tag."""
    return CallBuiltin(seq, function, data, key.tag(CALL_TYPE, seq, function, data))


def reply_to_request(key: TagKey, number: int, code: int, data: bytes = b"") -> ReplyToRequest:
    """Make a reply with its tag."""
    return ReplyToRequest(number, code, data, key.tag(_REPLY_TYPE, number, _unsigned(code), data))


def is_genuine(key: TagKey, message: OperationAnswer) -> bool:
    """Return whether a device sent this, in the session of the key."""
    match message:
        case BuiltinReturned(seq, code, data, tag):
            return key.is_tag(tag, _RETURNED_TYPE, seq, _unsigned(code), data)
        case DeviceRequest(number, operation, data, tag):
            return key.is_tag(tag, _REQUEST_TYPE, number, operation, data)


def operation_fields(message: OperationMessage) -> list[object]:
    """Return a message as the items of its array."""
    match message:
        case CallBuiltin(seq, function, data, tag):
            return [CALL_TYPE, seq, function, data, tag]
        case ReplyToRequest(number, code, data, tag):
            return [_REPLY_TYPE, number, code, data, tag]
        case DeviceRequest(number, operation, data, tag):
            return [_REQUEST_TYPE, number, operation, data, tag]
        case BuiltinReturned(seq, code, data, tag):
            return [_RETURNED_TYPE, seq, code, data, tag]


def parse_operation(kind: int, fields: list[object]) -> OperationMessage | None:
    """Read a message of an operation; `None`: it is of another type."""
    match kind, fields:
        case 10, [seq, function, data, tag]:
            return CallBuiltin(_counted(seq), uint(function, "function", end=FUNCTIONS), _data(data), _tag(tag))
        case 11, [number, code, data, tag]:
            return ReplyToRequest(_counted(number), _code(code, TAKEN), _data(data), _tag(tag))
        case 18, [number, operation, data, tag]:
            named = uint(operation, "operation", end=FUNCTIONS)
            if not named:
                raise Malformed("a request for operation 0")
            return DeviceRequest(_counted(number), named, _data(data), _tag(tag))
        case 19, [seq, code, data, tag]:
            return BuiltinReturned(_counted(seq), _code(code, 0), _data(data), _tag(tag))
        case _:
            return None


def _unsigned(code: int) -> int:
    return code & 0xFFFF_FFFF


def _counted(value: object) -> int:
    number = uint(value, "number")
    if not number:
        raise Malformed("messages of operations count from 1")
    return number


def _code(value: object, most: int) -> int:
    code = integer(value, "code")
    if not CODE_MIN <= code <= most:
        raise Malformed(f"a code of {code}")
    return code


def _data(value: object) -> bytes:
    return octets(value, "octets", max_bytes=OCTETS_MAX)


def _tag(value: object) -> bytes:
    return octets(value, "tag", min_bytes=_TAG_BYTES, max_bytes=_TAG_BYTES)
