# SPDX-License-Identifier: Apache-2.0
"""What a verification can say, one number for each reason; the same list in C (docs/specs/envelope.md, "Errors")."""

from __future__ import annotations

from enum import IntEnum


class VerificationCode(IntEnum):
    """Stable numbers: devices answer with them, negated. Append only."""

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
    """Signed bytes that are not accepted, and the first reason why."""

    def __init__(self, verdict: VerificationCode, detail: str) -> None:
        super().__init__(f"{verdict.name}: {detail}")
        self.verdict = verdict
        self.detail = detail


def require(holds: bool, verdict: VerificationCode, detail: str) -> None:  # noqa: FBT001 - reads as "require x, else VERDICT"
    """Refuse unless the check holds. Each call is one check, and `make mutate-signing` takes them out one by one."""
    if not holds:
        raise VerificationError(verdict, detail)
