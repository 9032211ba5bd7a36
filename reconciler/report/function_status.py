# SPDX-License-Identifier: Apache-2.0
"""The status of a function on the gateway that runs it: whether its module compiles, and whether its calls end well."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from reconciler.errors import Invalid
from reconciler.model import FunctionId, GatewayId, Version
from reconciler.report.conditions import Condition, Conditions, Status, carry_over, ready
from reconciler.report.device_status import PassStamp
from reconciler.report.figured_file import FiguredFile, figured_file, read_figured_file

KIND = "FunctionStatus"
PRIORITY = ("Placed", "Compiled", "Serving")


class InvalidFunctionStatus(Invalid):
    """The file is not a valid function status."""

    reason: ClassVar[str] = "InvalidStatus"


@dataclass(frozen=True, slots=True)
class FunctionFigures:
    """A function that a gateway holds, and how often it was called since the daemon started."""

    function: FunctionId
    operation: str
    version: Version
    calls: int = 0
    failed: int = 0


@dataclass(frozen=True, slots=True)
class FunctionReport:
    """What a pass knows of a function that this gateway holds, or could hold."""

    figures: FunctionFigures
    holders: tuple[GatewayId, ...]  # the gateways that hold it
    replicas: int = 1  # how many should
    refused: tuple[str, str] | None = None  # the reason and the message, if it can't run
    failure: tuple[str, str] | None = None  # likewise, if the last call failed


@dataclass(frozen=True, slots=True)
class FunctionStatus:
    """One function as its status file shows it."""

    figures: FunctionFigures
    conditions: Conditions

    @property
    def name(self) -> FunctionId:
        """The name of the function."""
        return self.figures.function

    @property
    def ready(self) -> Condition:
        """The summary condition."""
        return self.conditions[0]


def function_status(report: FunctionReport, stamp: PassStamp, previous: FunctionStatus | None) -> FunctionStatus:
    """Build the conditions of a function; return the previous status if only the number of calls differs."""
    parts = tuple(Condition(kind, *part, stamp.now, stamp.commit) for kind, part in _parts(report))
    before = previous.conditions if previous is not None else ()
    kept = carry_over(parts, before)
    summary = carry_over((ready(kept, PRIORITY, when_true="The function answers requests."),), before)
    status = FunctionStatus(report.figures, (*summary, *kept))
    return previous if previous is not None and _outline(previous) == _outline(status) else status


def _outline(status: FunctionStatus) -> object:
    figures = status.figures
    return figures.function, figures.operation, figures.version, status.conditions


Part = tuple[Status, str, str]


def _parts(report: FunctionReport) -> tuple[tuple[str, Part], ...]:
    if not report.holders:
        nowhere = (Status.FALSE, "NoNode", "all gateways with its labels drain")
        idle = (Status.UNKNOWN, "NotPlaced", "No gateway holds the function.")
        return ("Placed", nowhere), ("Compiled", idle), ("Serving", idle)
    names = ", ".join(report.holders)
    placed = (Status.TRUE, "Placed", f"{len(report.holders)} of {report.replicas} replicas: {names}.")
    return ("Placed", placed), *_parts_of_held(report)


def _parts_of_held(report: FunctionReport) -> tuple[tuple[str, Part], ...]:
    if report.refused is not None:
        reason, message = report.refused
        idle = (Status.UNKNOWN, "NotCompiled", "The function does not run.")
        return ("Compiled", (Status.FALSE, reason, message)), ("Serving", idle)
    compiled = (Status.TRUE, "Compiled", f"The module of version {report.figures.version} compiles.")
    if report.failure is not None:
        return ("Compiled", compiled), ("Serving", (Status.FALSE, *report.failure))
    return ("Compiled", compiled), ("Serving", (Status.TRUE, "Serving", "The last call, if any, ended well."))


def function_file(status: FunctionStatus) -> bytes:
    """Render the status of one function."""
    fields = function_figures_as_dict(status.figures)
    del fields["function"]
    return figured_file(KIND, status.name, fields, status.conditions)


def read_function_file(data: bytes) -> FunctionStatus:
    """Read a status file, or raise `InvalidFunctionStatus`."""

    def status_of(file: FiguredFile) -> FunctionStatus:
        return FunctionStatus(function_figures_from_dict({**file.figures, "function": file.name}), file.conditions)

    return read_figured_file(KIND, data, InvalidFunctionStatus, status_of)


def function_figures_as_dict(figures: FunctionFigures) -> dict[str, Any]:
    """Return the fields under their names in YAML and JSON."""
    return {
        "function": str(figures.function),
        "operation": figures.operation,
        "version": str(figures.version),
        "calls": figures.calls,
        "failed": figures.failed,
    }


def function_figures_from_dict(fields: Mapping[str, Any]) -> FunctionFigures:
    """Read the result of `function_figures_as_dict`."""
    names = FunctionId(fields["function"]), str(fields["operation"]), Version(fields["version"])
    return FunctionFigures(*names, int(fields["calls"]), int(fields["failed"]))
