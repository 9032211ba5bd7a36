# SPDX-License-Identifier: Apache-2.0
"""The bench over many gateways in its short form: it keeps the failure budget, and would show if it were exceeded."""

from __future__ import annotations

from bench.reach import BAD_MODEL, run

GATEWAYS, DEVICES = 3, 60


def test_the_failure_budget_holds_across_gateways_that_exchange_their_status_over_git() -> None:
    outcome, measured = run(GATEWAYS, DEVICES, BAD_MODEL)
    assert outcome.stopped
    assert outcome.failed > outcome.allowed
    assert outcome.failed_beyond == 0
    assert measured.fetched_bytes
    assert len(measured.pass_s) > GATEWAYS


def test_gateways_that_ignore_the_budget_exceed_it() -> None:
    """Otherwise the test above would show nothing."""
    outcome, _ = run(GATEWAYS, DEVICES, BAD_MODEL, without_budget=True)
    assert outcome.failed_beyond > 0
