# SPDX-License-Identifier: Apache-2.0
"""The status of a function on the gateway that runs it: whether its module compiles, and whether its calls end well."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from reconciler.errors import Invalid
from reconciler.model import FunctionId, Version
from reconciler.report.conditions import Condition, Conditions, Status, carry_over, ready
from reconciler.report.device_status import PassStamp
from reconciler.report.figured_file import FiguredFile, figured_file, read_figured_file

KIND = "FunctionStatus"
PRIORITY = ("Compiled", "Serving")


class InvalidFunctionStatus(Invalid):
    """The file is not a valid function status."""

    reason: ClassVar[str] = "InvalidStatus"


@dataclass(frozen=True, slots=True)
class FunctionReport:
    """What a pass knows of a function that this gateway holds."""

    function: FunctionId
    operation: str
    version: Version
    refused: tuple[str, str] | None = None  # the reason and the message, if it can't run
    failure: str | None = None  # why the last call failed


@dataclass(frozen=True, slots=True)
class FunctionStatus:
    """One function as its status file shows it."""

    function: FunctionId
    operation: str
    version: Version
    conditions: Conditions

    @property
    def ready(self) -> Condition:
        """The summary condition."""
        return self.conditions[0]


def function_status(report: FunctionReport, stamp: PassStamp, previous: FunctionStatus | None) -> FunctionStatus:
    """Build the conditions of a function."""
    parts = tuple(Condition(kind, *part, stamp.now, stamp.commit) for kind, part in _parts(report))
    before = previous.conditions if previous is not None else ()
    kept = carry_over(parts, before)
    summary = carry_over((ready(kept, PRIORITY, when_true="The function answers requests."),), before)
    return FunctionStatus(report.function, report.operation, report.version, (*summary, *kept))


Part = tuple[Status, str, str]


def _parts(report: FunctionReport) -> tuple[tuple[str, Part], ...]:
    if report.refused is not None:
        reason, message = report.refused
        idle = (Status.UNKNOWN, "NotCompiled", "The function does not run.")
        return ("Compiled", (Status.FALSE, reason, message)), ("Serving", idle)
    compiled = (Status.TRUE, "Compiled", f"The module of version {report.version} compiles.")
    if report.failure is not None:
        return ("Compiled", compiled), ("Serving", (Status.FALSE, "Failing", f"the last call failed: {report.failure}"))
    return ("Compiled", compiled), ("Serving", (Status.TRUE, "Serving", "The last call, if any, ended well."))


def function_file(status: FunctionStatus) -> bytes:
    """Render the status of one function."""
    fields = {"operation": status.operation, "version": str(status.version)}
    return figured_file(KIND, status.function, fields, status.conditions)


def read_function_file(data: bytes) -> FunctionStatus:
    """Read a status file, or raise `InvalidFunctionStatus`."""

    def status_of(file: FiguredFile) -> FunctionStatus:
        operation, version = file.figures["operation"], file.figures["version"]
        return FunctionStatus(FunctionId(file.name), operation, Version(version), file.conditions)

    return read_figured_file(KIND, data, InvalidFunctionStatus, status_of)
