# SPDX-License-Identifier: Apache-2.0
"""Why a verification fails: one code for each reason, the same list as in C (docs/specs/envelope.md, "Errors")."""

from __future__ import annotations

from enum import IntEnum


class VerificationCode(IntEnum):
    """Stable numbers, which devices report negated. Append only."""

    OK = 0
    TOO_LONG = 1
    TRUNCATED = 2
    NOT_CANONICAL = 3
    UNEXPECTED = 4
    TRAILING = 5
    OUT_OF_RANGE = 6
    ALGORITHM = 7
    DIGEST = 8
    ROOT = 9
    DELEGATION_SIGNATURE = 10
    FLEET = 11
    REVOKED = 12
    NO_DELEGATION = 13
    EXPIRED = 14
    SIGNER = 15
    SIGNATURE = 16
    VENDOR = 17
    CLASS = 18
    DEVICE = 19
    SEQUENCE = 20
    SEQUENCE_JUMP = 21
    SIZE = 22
    MODEL = 23
    IMAGE = 24
    AUTHENTICATION = 25


class VerificationError(Exception):
    """Signed bytes are rejected; `code` is the first reason."""

    def __init__(self, code: VerificationCode, detail: str) -> None:
        super().__init__(f"{code.name}: {detail}")
        self.code = code
        self.detail = detail


def require(condition: bool, code: VerificationCode, detail: str) -> None:  # noqa: FBT001 - reads as "require x, else CODE"
    """Reject unless the condition holds. Each call is one check; `make mutate-signing` removes them one by one."""
    if not condition:
        raise VerificationError(code, detail)
