# SPDX-License-Identifier: Apache-2.0
# ruff: noqa: E501 -- a row of a table is one line
"""The conditions of a contest, and its status file."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from reconciler.contest.decision import decide
from reconciler.contest.evidence import gather
from reconciler.contest.facts import ContestFacts, Replacement
from reconciler.model import Contest, DeviceId, KnowledgeBounds, ProposalMode, ReplacementLimit
from reconciler.report.conditions import Status
from reconciler.report.contest_figures import MAX_DEVICES, contest_figures
from reconciler.report.contest_file import InvalidContestStatus, contest_file, read_contest_file
from reconciler.report.contest_status import (
    CollectionFacts,
    ContestReport,
    KnowledgeFacts,
    ProposalFacts,
    VotingFacts,
    contest_status,
)
from reconciler.report.device_status import PassStamp
from reconciler.report.remedies import REMEDIES
from tests.contest.rows import CONTEST, FACTS, A, B, C, alarms, at, row, unsound

GOOD = ContestReport(
    figures=contest_figures(CONTEST, decide(CONTEST, FACTS, gather(CONTEST, FACTS, unsound(2)), at(120))),
    collection=CollectionFacts(devices=12),
    voting=VotingFacts(voters=5, quorum=3),
    knowledge=KnowledgeFacts(35, 3 * 1024 * 1024, KnowledgeBounds()),
    proposal=ProposalFacts(ProposalMode.BRANCH, "propose/hall/pumps"),
)


def stamp(minutes: float = 120, commit: str = "c" * 40) -> PassStamp:
    return PassStamp(at(minutes), commit)


def figures(
    rows: Any,  # noqa: ANN401 (any rows)
    minutes: float = 120,
    *,
    facts: ContestFacts = FACTS,
    contest: Contest = CONTEST,
) -> ContestReport:
    return replace(
        GOOD, figures=contest_figures(contest, decide(contest, facts, gather(contest, facts, rows), at(minutes)))
    )


def conditions(report: ContestReport) -> dict[str, tuple[Status, str, str]]:
    status = contest_status(report, stamp(), None)
    return {each.type: (each.status, each.reason, each.message) for each in status.conditions}


def test_a_good_contest_is_ready_and_every_message_has_its_number() -> None:
    found = conditions(GOOD)
    assert all(status is Status.TRUE for status, _, _ in found.values())
    assert {kind: message for kind, (_, _, message) in found.items()} == {
        "Ready": "The champion is sound.",
        "KnowledgeKept": "35 of 200,000 windows, 3.0 of 512 MiB.",
        "Voting": "5 models vote, with a quorum of 3.",
        "Proposed": "Nothing is proposed: the champion is sound.",
        "ChampionSound": (
            "forest@a at 0.6: pump-1 has 2 false positives of 5 and 0 missed windows of 5; 32 windows are decided."
        ),
        "Collecting": "Samples of 12 devices are fetched.",
    }


OUT = Replacement(at(-9), B, A, proposed=True)
STRICT = replace(CONTEST, replace=replace(CONTEST.replace, decided=60, normals=31))
ONCE = replace(CONTEST, replace=replace(CONTEST.replace, at_most=ReplacementLimit(1, 86_400)))
FIVE = unsound()

# name: (report, type, status, reason, part of the message)
CASES: dict[str, tuple[ContestReport, str, Status, str, str]] = {
    "false positives": (figures(FIVE), "ChampionSound", Status.FALSE, "TooManyFalsePositives", "5 false positives of 5"),
    "missed": (
        figures([row(60 + index, alarms(B, C, *FACTS.candidates[3:])) for index in range(6)]),
        "ChampionSound", Status.FALSE, "TooManyMissed", "6 missed windows of 5",
    ),
    "on two devices": (
        figures([*FIVE, row(90, alarms(A), device="pump-2")]),
        "ChampionSound", Status.FALSE, "TooManyFalsePositives", "on 2 devices",
    ),
    "too little to know": (
        figures(unsound(1), contest=STRICT), "ChampionSound", Status.UNKNOWN, "TooLittleSeen", "31 of 60 windows",
    ),
    "too little to act": (
        figures(FIVE, contest=STRICT),
        "Proposed", Status.FALSE, "TooLittleSeen", "35 of 60 windows are decided, 30 of 31 of them",
    ),
    "settling": (figures(FIVE, 30), "Proposed", Status.TRUE, "Nothing", "the tenure is not over, until 2026-11-01 01:00"),
    "incomplete": (
        figures(FIVE, facts=replace(FACTS, complete_since=None)), "Proposed", Status.TRUE, "Nothing", "not complete",
    ),
    "due": (figures(FIVE), "Proposed", Status.FALSE, "Proposing", "forest@b at 0.6 is about to be proposed"),
    "not pushed": (
        replace(figures(FIVE), proposal=ProposalFacts(ProposalMode.BRANCH, "b", "the remote is away")),
        "Proposed", Status.FALSE, "NotPushed", "could not be pushed: the remote is away",
    ),
    "never": (
        replace(figures(FIVE), proposal=ProposalFacts(ProposalMode.NEVER, "b")),
        "Proposed", Status.FALSE, "ProposeNever", "propose: never",
    ),
    "open": (
        figures(FIVE, facts=replace(FACTS, open=B)),
        "Proposed", Status.TRUE, "Open", "propose/hall/pumps proposes forest@b at 0.6 in place of forest@a at 0.6",
    ),
    "declined": (figures(FIVE, facts=replace(FACTS, declined=frozenset({B}))), "Proposed", Status.FALSE, "Declined", "forest@b"),
    "no successor": (
        figures(unsound(also=[B]), facts=replace(FACTS, candidates=(A, B))),
        "Proposed", Status.FALSE, "NoSuccessor", "none of 1 candidate qualifies; forest@b at 0.6: too many false alarms",
    ),
    "cooling down": (
        figures(FIVE, facts=replace(FACTS, candidates=(A, B), replacements=(OUT,))),
        "Proposed", Status.FALSE, "CoolingDown", "until 2026-11-07 23:51",
    ),
    "flapping": (
        figures(FIVE, facts=replace(FACTS, replacements=(OUT,)), contest=ONCE),
        "Proposed", Status.FALSE, "Flapping", "1 replacements, and the contest allows 1, until 2026-11-01 23:51",
    ),
    "stopped": (
        figures(FIVE, facts=replace(FACTS, stopped="1 failed")), "Proposed", Status.FALSE, "RolloutStopped", "forest@a",
    ),
    "suspended": (figures(FIVE, contest=replace(CONTEST, suspend=True)), "Proposed", Status.UNKNOWN, "Suspended", ""),
    "no samples": (
        replace(GOOD, collection=CollectionFacts(12, tuple(DeviceId(f"d{index}") for index in range(7)))),
        "Collecting", Status.FALSE, "DeviceLacksSamples", "7 of 12 devices keep no samples: d0, d1, d2, d3, d4 and 2 more",
    ),
    "overrun": (
        replace(GOOD, collection=CollectionFacts(12, lost_bytes=4064)), "Collecting", Status.FALSE, "LogOverrun", "4,064 bytes",
    ),
    "busy": (
        replace(GOOD, collection=CollectionFacts(12, busy_lines=("/dev/ttyUSB0",))),
        "Collecting", Status.FALSE, "LineBudgetSpent", "/dev/ttyUSB0",
    ),
    "small pool": (
        replace(GOOD, voting=VotingFacts(3, 3, {"m@1": "timed out"})),
        "Voting", Status.FALSE, "PoolTooSmall", "2 of 3 models can vote, and the quorum is 3; m@1: timed out",
    ),
    "failing model": (
        replace(GOOD, voting=VotingFacts(5, 3, {"m@1": "timed out"})),
        "Voting", Status.FALSE, "ModelFails", "1 of 5 models fail: m@1: timed out",
    ),
    "no knowledge": (
        replace(GOOD, knowledge=replace(GOOD.knowledge, trouble="disk full")),
        "KnowledgeKept", Status.FALSE, "KnowledgeUnusable", "disk full",
    ),
    "lost knowledge": (
        replace(GOOD, knowledge=replace(GOOD.knowledge, set_aside="knowledge.db.damaged")),
        "KnowledgeKept", Status.FALSE, "KnowledgeLost", "knowledge.db.damaged",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_each_reason_has_its_message_and_a_remedy(name: str) -> None:
    report, kind, status, reason, words = CASES[name]
    found = conditions(report)
    assert found[kind][:2] == (status, reason)
    assert words in found[kind][2]
    assert status is Status.TRUE or reason in REMEDIES


@pytest.mark.parametrize("name", CASES)
def test_a_status_file_is_read_back_unchanged(name: str) -> None:
    status = contest_status(CASES[name][0], stamp(), None)
    data = contest_file(status)
    assert contest_file(read_contest_file(data)) == data
    read = read_contest_file(data)
    assert read.conditions == status.conditions
    assert (read.figures.errors, read.figures.limits) == (status.figures.errors, status.figures.limits)


def test_ready_has_the_reason_of_the_first_condition_that_is_not_true() -> None:
    assert conditions(figures(FIVE))["Ready"][1] == "Proposing"
    assert conditions(figures(FIVE, facts=replace(FACTS, open=B)))["Ready"][1] == "TooManyFalsePositives"
    assert conditions(replace(figures(FIVE), voting=VotingFacts(2, 3)))["Ready"][1] == "PoolTooSmall"


def test_figures_alone_do_not_change_a_status() -> None:
    before = contest_status(figures(unsound(1)), stamp(), None)
    later = stamp(150, "d" * 40)
    assert contest_status(figures(unsound(3)), later, before) is before
    changed = contest_status(figures(FIVE), later, before)
    assert changed.figures.errors[0].false_positives == 5
    since = {each.type: each.since for each in changed.conditions}
    assert since["Collecting"] == at(120)
    assert since["ChampionSound"] == at(150)


def test_a_successor_that_changes_is_published() -> None:
    before = contest_status(figures(FIVE), stamp(), None)
    other = replace(GOOD, figures=replace(figures(FIVE).figures, successor="forest@c at 0.6"))
    assert contest_status(other, stamp(121), before) is not before


def test_a_storm_on_many_devices_lists_the_worst() -> None:
    rows = [row(60 + index / 100, alarms(A), device=f"d{index % 20:02}") for index in range(60)]
    rows += [row(62, alarms(A), device="d07") for _ in range(3)]
    found = figures(rows).figures
    assert (found.devices_with_errors, len(found.errors), found.errors[0].device) == (20, MAX_DEVICES, "d07")
    assert found.errors[0].false_positives == 6


@pytest.mark.parametrize("data", [b"", b"{}", b"kind: RolloutStatus", b"kind: ContestStatus\nstatus: 1", b"\xff"])
def test_anything_else_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidContestStatus):
        read_contest_file(data)


def test_candidates_are_listed_with_the_champion_first_and_why_they_fall_short() -> None:
    found = figures(unsound(also=[B])).figures.candidates
    assert [each.candidate for each in found[:2]] == ["forest@a at 0.6", "forest@c at 0.6"]
    assert found[0].shortcoming == ""
    assert {each.candidate: each.shortcoming for each in found}["forest@b at 0.6"] != ""
    assert found[0].false_alarm_rate == pytest.approx(5 / 305)
