# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from reconciler.model import Commit, FunctionId, GatewayId, Version
from reconciler.report.conditions import Status
from reconciler.report.device_status import PassStamp
from reconciler.report.function_status import (
    FunctionFigures,
    FunctionReport,
    InvalidFunctionStatus,
    function_file,
    function_status,
    read_function_file,
)
from reconciler.report.function_table import function_section

NOON = PassStamp(datetime(2026, 5, 1, 12, tzinfo=UTC), Commit("a" * 40))
LATER = PassStamp(NOON.now + timedelta(hours=1), Commit("b" * 40))
FIGURES = FunctionFigures(FunctionId("rms"), "features.rms", Version("1.0.0"))
REPORT = FunctionReport(FIGURES, (GatewayId("north"), GatewayId("south")), 3)


def reasons(report: FunctionReport) -> dict[str, tuple[Status, str]]:
    return {each.type: (each.status, each.reason) for each in function_status(report, NOON, None).conditions}


def test_conditions_of_a_function() -> None:
    assert reasons(REPORT) == {
        "Ready": (Status.TRUE, "Ready"),
        "Placed": (Status.TRUE, "Placed"),
        "Compiled": (Status.TRUE, "Compiled"),
        "Serving": (Status.TRUE, "Serving"),
    }
    assert reasons(replace(REPORT, failure=("OutOfFuel", "x")))["Ready"] == (Status.FALSE, "OutOfFuel")
    refused = reasons(replace(REPORT, refused=("ImportRefused", "it imports x")))
    assert refused["Ready"] == (Status.FALSE, "ImportRefused")
    assert refused["Serving"] == (Status.UNKNOWN, "NotCompiled")


def test_a_function_that_no_gateway_holds() -> None:
    found = {each.type: each for each in function_status(replace(REPORT, holders=()), NOON, None).conditions}
    assert (found["Ready"].reason, found["Placed"].reason) == ("NoNode", "NoNode")
    assert {found["Compiled"].reason, found["Serving"].reason} == {"NotPlaced"}
    placed = {each.type: each for each in function_status(REPORT, NOON, None).conditions}["Placed"]
    assert placed.message == "2 of 3 replicas: north, south."


def test_a_status_survives_its_file_and_keeps_since() -> None:
    first = function_status(REPORT, NOON, None)
    assert read_function_file(function_file(first)) == first
    assert function_status(REPORT, LATER, first) == first
    called = replace(REPORT, figures=replace(FIGURES, calls=9, failed=1))
    assert function_status(called, LATER, first) is first  # no commit for each call
    assert function_status(replace(REPORT, figures=replace(FIGURES, version=Version("2"))), LATER, first) != first
    failing = function_status(replace(REPORT, failure=("Failing", "x")), LATER, first)
    assert [each.since for each in failing.conditions] == [LATER.now, NOON.now, NOON.now, LATER.now]
    with pytest.raises(InvalidFunctionStatus):
        read_function_file(b"kind: FunctionStatus\n")


def test_the_readme_has_a_table_of_functions() -> None:
    assert function_section([]) == []
    row = function_section(
        [function_status(replace(REPORT, failure=("Failing", "the last call failed: a|b\nc")), NOON, None)]
    )[4]
    assert row == "| rms 1.0.0 | features.rms | Failing | 2026-05-01 12:00 | the last call failed: a\\|b c |"
