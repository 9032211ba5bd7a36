# SPDX-License-Identifier: Apache-2.0
"""The output of `make explore` for failures."""

from __future__ import annotations

from pathlib import Path

from tools.explore import counted, findings, replay, report

LOG = Path("build/explore/7.log")
SAID = """\
F.E                                                                      [100%]
E       Failing test case: test_small(
E           x=1000,
E       )
E       You can reproduce this test case by temporarily adding @reproduce_failure('6.1', b'AEID6A==') as a decorator on
E       your test function
=========================== short test summary info ============================
FAILED tests/plan/test_windows.py::test_small[a b] - AssertionError: assert (1000 - 1 < 1000)
ERROR tests/plan/test_windows.py::test_other
1 failed, 1 passed, 3 deselected, 1 error in 0.42s
"""


def test_each_failure_has_the_command_that_reproduces_it() -> None:
    small, other = findings(SAID, 7, {}, LOG)
    assert small.test == "tests/plan/test_windows.py::test_small[a b]"
    assert small.replay == (
        ".venv/bin/python -m pytest --hypothesis-profile=explore --hypothesis-seed=7 "
        "'tests/plan/test_windows.py::test_small[a b]'"
    )
    assert small.blobs == ("@reproduce_failure('6.1', b'AEID6A==')",)
    assert other.test == "tests/plan/test_windows.py::test_other"


def test_the_command_keeps_the_number_of_examples() -> None:
    assert replay("tests/a.py::b", 7, {"TINYFLEET_EXAMPLES": "1500"}).startswith("env TINYFLEET_EXAMPLES=1500 .venv/")


def test_a_run_that_passes_has_no_findings() -> None:
    assert findings("..\n2 passed, 14 deselected in 1.10s\n", 7, {}, LOG) == []


def test_the_counts_come_from_pytest() -> None:
    assert counted(SAID) == "1 failed, 1 passed, 3 deselected, 1 error"
    assert counted("==== 2 passed in 61.10s (0:01:01) ====\n") == "2 passed"
    assert counted("Fatal Python error") == "no summary"


def test_the_report_ends_with_the_number_of_failures() -> None:
    lines = list(report(findings(SAID, 7, {}, LOG)))
    assert lines[-1] == "failures=2"
    assert sum(line.startswith("  reproduce: ") for line in lines) == 2
    assert list(report([])) == ["failures=0"]
