# SPDX-License-Identifier: Apache-2.0
"""What devices answer instead of obeying; numbers of firmware/include/tinyfleet/error.h, in words."""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum


class Code(IntEnum):
    """The device's own numbers; a device newer than this gateway may have others."""

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


WORDS: Mapping[int, str] = {
    Code.ROOT: "its root key is another one",
    Code.DELEGATION_SIGNATURE: "the root key did not sign this gateway's delegation",
    Code.FLEET: "the delegation is for another fleet",
    Code.REVOKED: "this gateway's delegation is revoked",
    Code.NO_DELEGATION: "it holds no delegation of this gateway",
    Code.EXPIRED: "this gateway's delegation has expired",
    Code.SIGNER: "another key signed than the one delegated to",
    Code.SIGNATURE: "the signature is wrong",
    Code.VENDOR: "the order is for another vendor's devices",
    Code.CLASS: "the order is for devices with another engine or of another type",
    Code.DEVICE: "the order is for another device",
    Code.SEQUENCE: "it has obeyed this or a later order",
    Code.SEQUENCE_JUMP: "the order's number is too far ahead",
    Code.SIZE: "the pack is larger than its slot",
    Code.MODEL: "the parameters are for another model than it runs",
    Code.IMAGE: "the pack is not the one that was signed",
    Code.FLASH: "its flash did not hold what was written",
    Code.JOURNAL: "its journal takes no more records",
    Code.NO_TRANSFER: "it knows of no such transfer",
    Code.TOO_LARGE: "pack and payload do not fit",
    Code.NO_UPDATES: "it takes no packs over the air",
    Code.BUSY: "it has a model on trial",
    Code.NO_PAYLOAD: "it does not hold this pack, and none was offered",
    Code.SPACE: "it keeps no such samples",
    Code.RANGE: "it no longer has all of these samples",
    Code.STREAM: "the compressed pack is malformed",
    Code.PATCH: "the patch is malformed, or for another pack than it runs",
    Code.PACK: "the pack is malformed",
    Code.KIND: "it has no engine for this kind of pack",
    Code.OPERATOR: "it lacks an operator",
    Code.ARENA: "it needs a larger arena",
    Code.GOLDEN: "another output than its golden vectors say",
    Code.PARAMETER: "the model has no such parameter, or not with this value",
    Code.RESET: "it was ended by a reset",
    Code.FAULT: "it was ended by the watchdog, or by a fault",
    Code.INPUT: "the input has another size than the model takes",
}


def trial_failed(error: int) -> str:
    """Say in a sentence how a trial ended that failed."""
    return f"the trial failed with {_told(error)}"


def refused(code: int, during: str) -> str:
    """Say in a sentence what a device refused, and why."""
    return f"refused while {during} with {_told(code)}"


def _told(code: int) -> str:
    words = WORDS.get(code)
    return f"{code}" + (f": {words}" if words else "")
