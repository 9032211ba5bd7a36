# SPDX-License-Identifier: Apache-2.0
"""The error codes of devices (firmware/include/tinyfleet/error.h) and their descriptions."""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum


class DeviceErrorCode(IntEnum):
    """The codes that this gateway knows; a newer device may send others."""

    TOO_LONG = -1
    TRUNCATED = -2
    NOT_CANONICAL = -3
    UNEXPECTED = -4
    TRAILING = -5
    OUT_OF_RANGE = -6
    ALGORITHM = -7
    DIGEST = -8
    ROOT = -9
    DELEGATION_SIGNATURE = -10
    FLEET = -11
    REVOKED = -12
    NO_DELEGATION = -13
    EXPIRED = -14
    SIGNER = -15
    SIGNATURE = -16
    VENDOR = -17
    CLASS = -18
    DEVICE = -19
    SEQUENCE = -20
    SEQUENCE_JUMP = -21
    SIZE = -22
    MODEL = -23
    IMAGE = -24
    FLASH = -64
    GEOMETRY = -65
    PROVISIONED = -66
    JOURNAL = -67
    MESSAGE = -70
    CAPACITY = -71
    NO_TRANSFER = -72
    BLOCK_SIZE = -73
    TOO_LARGE = -74
    NO_UPDATES = -75
    ENCODING = -76
    BUSY = -77
    NO_PAYLOAD = -78
    SPACE = -79
    RANGE = -80
    STREAM = -81
    PATCH = -82
    PACK = -83
    KIND = -84
    OPERATOR = -85
    ARENA = -86
    GOLDEN = -87
    PARAMETER = -88
    RESET = -90
    FAULT = -91
    INPUT = -92
    NOTHING = -93
    SESSION = -95
    FUNCTION = -96


DESCRIPTIONS: Mapping[int, str] = {
    DeviceErrorCode.ROOT: "it trusts another root key",
    DeviceErrorCode.DELEGATION_SIGNATURE: "the root key did not sign this gateway's delegation",
    DeviceErrorCode.FLEET: "the delegation is for another fleet",
    DeviceErrorCode.REVOKED: "this gateway's delegation is revoked",
    DeviceErrorCode.NO_DELEGATION: "it holds no delegation of this gateway",
    DeviceErrorCode.EXPIRED: "this gateway's delegation has expired",
    DeviceErrorCode.SIGNER: "the signing key is not the delegated one",
    DeviceErrorCode.SIGNATURE: "the signature is wrong",
    DeviceErrorCode.VENDOR: "the order is for another vendor's devices",
    DeviceErrorCode.CLASS: "the order is for devices with another engine or of another type",
    DeviceErrorCode.DEVICE: "the order is for another device",
    DeviceErrorCode.SEQUENCE: "it has already accepted this or a later order",
    DeviceErrorCode.SEQUENCE_JUMP: "the order's sequence number is too far ahead",
    DeviceErrorCode.SIZE: "the pack is larger than its slot",
    DeviceErrorCode.MODEL: "the parameters are for a model that it does not run",
    DeviceErrorCode.IMAGE: "the pack is not the one that was signed",
    DeviceErrorCode.FLASH: "its flash did not keep what was written",
    DeviceErrorCode.JOURNAL: "its journal can't take more records",
    DeviceErrorCode.NO_TRANSFER: "it does not know this transfer",
    DeviceErrorCode.TOO_LARGE: "pack and payload do not fit",
    DeviceErrorCode.NO_UPDATES: "it does not accept packs over the air",
    DeviceErrorCode.BUSY: "it has a model on trial",
    DeviceErrorCode.NO_PAYLOAD: "it does not hold this pack, and no payload was offered",
    DeviceErrorCode.SPACE: "it keeps no such samples",
    DeviceErrorCode.RANGE: "it no longer has all of these samples",
    DeviceErrorCode.STREAM: "the compressed pack is malformed",
    DeviceErrorCode.PATCH: "the patch is malformed, or does not apply to the running pack",
    DeviceErrorCode.PACK: "the pack is malformed",
    DeviceErrorCode.KIND: "it has no engine for this kind of pack",
    DeviceErrorCode.OPERATOR: "it lacks an operator",
    DeviceErrorCode.ARENA: "it needs a larger arena",
    DeviceErrorCode.GOLDEN: "the output differs from the golden vectors",
    DeviceErrorCode.PARAMETER: "the model has no such parameter, or does not allow this value",
    DeviceErrorCode.RESET: "a reset ended it",
    DeviceErrorCode.FAULT: "the watchdog or a fault ended it",
    DeviceErrorCode.INPUT: "the input does not have the size that the model takes",
    DeviceErrorCode.SESSION: "no session is open",
    DeviceErrorCode.FUNCTION: "its firmware has no built-in of this number",
}


def describe_failed_trial(error: int) -> str:
    """Describe why a trial failed."""
    return f"the trial failed with {_with_description(error)}"


def describe_refusal(code: int, during: str) -> str:
    """Describe what a device refused, and why."""
    return f"refused while {during} with {_with_description(code)}"


def describe_returned(code: int) -> str:
    """Describe how a built-in failed; all codes but one are those of the firmware's author."""
    return DESCRIPTIONS[code] if code == DeviceErrorCode.FUNCTION else f"the built-in returned {code}"


def _with_description(code: int) -> str:
    text = DESCRIPTIONS.get(code)
    return f"{code}" + (f": {text}" if text else "")
