# SPDX-License-Identifier: Apache-2.0
"""The message of a proposal says why, compared with what, at what cost, and where the evidence is."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from hashlib import sha256

from reconciler.model import ContestId, DeviceId, GatewayId, RolloutId
from reconciler.report.contest_figures import CandidateFigures, ContestFigures, ContestLimits, DeviceErrors
from reconciler.report.proposal_message import EvidenceFile, ProposalCost, proposal_message

CANDIDATES = tuple(
    CandidateFigures(f"forest@{number} at 0.6", rank, 412, alarms, 0.003)
    for number, rank, alarms in ((1, -9, 0.085), (2, 41, 0.012), (3, 40, 0.02), (4, 7, 0.0), (5, 3, 0.0), (6, 1, 0.0),
                                 (7, -30, 0.5))
)  # fmt: skip
FIGURES = ContestFigures(
    ContestId("pumps"), RolloutId("vibration"), "forest@1 at 0.6", "Due", "TooManyFalsePositives", "forest@2 at 0.6",
    datetime(2026, 11, 28, 9, tzinfo=UTC), None, 412, 8, 120, 0, ContestLimits(5, 5, 1, 50, 20, 3),
    (DeviceErrors(DeviceId("pump-1"), 7, 0), DeviceErrors(DeviceId("pump-2"), 1, 1)), 4, CANDIDATES,
)  # fmt: skip
EVIDENCE = EvidenceFile("evidence/pumps.yaml", b"kind: ContestStatus\n")
COST = ProposalCost(1833, 12.4, "at 2400 baud")


def message(figures: ContestFigures = FIGURES, cost: ProposalCost = COST) -> str:
    return proposal_message(figures, GatewayId("north"), cost, EVIDENCE)


def test_the_subject_names_both_and_the_trailers_are_the_last_paragraph() -> None:
    text = message()
    assert text.splitlines()[0] == "vibration: replace forest@1 at 0.6 by forest@2 at 0.6"
    assert text.split("\n\n")[-1].splitlines() == [
        "Contest: pumps",
        "Round: 2026-11-28T09:00:00Z",
        f"Evidence: status/north evidence/pumps.yaml sha256:{sha256(EVIDENCE.data).hexdigest()}",
    ]


def test_the_counts_the_limits_and_the_cost_are_stated() -> None:
    text = message()
    assert "pump-1 (7 false positives, 0 missed), pump-2 (1 false positives, 1 missed), and 2 more" in text
    assert "from 5 false positives or 5 missed windows on 1 device on" in text
    assert "412 decided windows, 120 of them of the normal log; 8 are undecided" in text
    assert "up to 1833 bytes to each device, about 12 s at 2400 baud" in text
    assert "not known before it is built" in message(cost=ProposalCost(None))
    assert message(cost=ProposalCost(400)).count("about") == 0


def test_the_first_five_ranks_the_champion_and_the_successor_are_listed() -> None:
    rows = [line for line in message().splitlines() if line.startswith("    ")]
    assert [row.split()[0] for row in rows] == ["rank", "+41", "+40", "+7", "+3", "+1", "-9"]
    assert rows[1] == "     +41        1.20 %   0.30 %  forest@2 at 0.6  (proposed)"
    assert rows[-1] == "      -9        8.50 %   0.30 %  forest@1 at 0.6  (champion)"
    last = replace(FIGURES, successor="forest@7 at 0.6")
    assert "     -30       50.00 %   0.30 %  forest@7 at 0.6  (proposed)" in message(last)


def test_a_rollout_that_stopped_is_the_reason_for_going_back() -> None:
    stopped = replace(FIGURES, cause="RolloutStopped", errors=(), devices_with_errors=0)
    assert "The rollout of forest@1 at 0.6 stopped. forest@2 at 0.6 was the champion before it." in message(stopped)


def test_no_line_is_longer_than_a_forge_shows_in_a_list() -> None:
    assert len(message().splitlines()[0]) < 72
