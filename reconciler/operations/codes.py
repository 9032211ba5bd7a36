# SPDX-License-Identifier: Apache-2.0
"""How a request may end (docs/specs/operations.md, section 3)."""

from __future__ import annotations

from enum import IntEnum


class AnswerCode(IntEnum):
    """The code of an answer."""

    DONE = 0
    NO_SUCH_OPERATION = 1
    DESCRIPTOR_MISMATCH = 2
    NO_CAPABLE_NODE = 3
    BUSY = 4
    DEADLINE = 5
    FUNCTION_FAILED = 6
    LOOP = 7
    FORBIDDEN = 8
    TOO_LARGE = 9
    ANSWER_DROPPED = 10
    NOT_FOUND = 11
    STORAGE_FULL = 12

    @property
    def title(self) -> str:
        """The name that people read."""
        return _TITLES[self]


_TITLES = (
    "Done",
    "NoSuchOperation",
    "DescriptorMismatch",
    "NoCapableNode",
    "Busy",
    "Deadline",
    "FunctionFailed",
    "Loop",
    "Forbidden",
    "TooLarge",
    "AnswerDropped",
    "NotFound",
    "StorageFull",
)


class OperationFailed(Exception):
    """An operation ended with another code than `DONE`. An expected outcome: it becomes an answer."""

    def __init__(self, code: AnswerCode, why: str) -> None:
        super().__init__(f"{code.title}: {why}")
        self.code = code
        self.why = why
