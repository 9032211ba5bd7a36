# SPDX-License-Identifier: Apache-2.0
"""The message of a proposal has the figures from which a person decides."""

from __future__ import annotations

from dataclasses import replace

from reconciler.report.proposal_message import WIDTH, ProposedTransfer, proposal_message
from tests.contest.rows import A, alarms, row, unsound
from tests.report.test_contest_status import figures

FIGURES = figures(unsound()).figures


def test_the_message_says_what_changes_why_and_what_it_costs() -> None:
    assert (
        proposal_message(FIGURES, ProposedTransfer(2412, 12.4), "ab" * 32)
        == """\
rollout pumps: forest@b at 0.6

The contest pumps proposes forest@b at 0.6 in place of forest@a at 0.6.
By the vote of the pool, the champion has too many errors (pump-1: 5
false positives, 0 missed windows). The limits are 5 false positives and
5 missed windows on 1 devices.

35 windows are decided (30 of the log of normal windows), 0 are not. It
would be replacement 1 of at most 3 in the period that counts.

                     rank  false alarms  missed
    forest@a at 0.6   +25          16.4     0.0
    forest@b at 0.6   +35           0.0     0.0
    forest@c at 0.6   +35           0.0     0.0
    forest@d at 0.6   +35           0.0     0.0
    forest@e at 0.6   +35           0.0     0.0

It costs each device a transfer of 2,412 bytes, 12 s on the slowest
link.

Contest: pumps
Round: 2026-11-01T00:00:00Z
Evidence: sha256:"""
        + "ab" * 32
        + "\n"
    )


def test_a_threshold_costs_an_envelope_and_an_unknown_cost_is_stated() -> None:
    assert "an envelope and no transfer" in proposal_message(FIGURES, ProposedTransfer(0), "")
    assert "not known yet" in proposal_message(FIGURES, None, "")


def test_a_return_to_the_champion_before_says_so() -> None:
    message = proposal_message(replace(FIGURES, cause="RolloutStopped"), None, "")
    assert "has stopped; this was the champion before" in message.replace("\n", " ")


def test_many_devices_are_summarized() -> None:
    rows = unsound() + [row(90 + index / 10, alarms(A), device=f"d{index}") for index in range(9)]
    message = proposal_message(figures(rows).figures, None, "")
    assert "and 5 more devices" in message.replace("\n", " ")
    assert max(len(line) for line in message.splitlines() if not line.startswith(("Evidence", " "))) <= WIDTH


def test_errors_that_are_too_old_are_not_given_as_a_reason() -> None:
    assert "older than the time that counts" in proposal_message(replace(FIGURES, errors=()), None, "").replace(
        "\n", " "
    )
