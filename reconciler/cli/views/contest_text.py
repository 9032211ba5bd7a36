# SPDX-License-Identifier: Apache-2.0
"""Contests, their rows and replays as tables for a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime

from rich import box
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from reconciler.cli.inputs.status_overviews import ContestOverview
from reconciler.contest.evaluated_sample import EvaluatedSample
from reconciler.contest.replay import ReplayOutcome
from reconciler.engine.samples.kept_rows import KeptRow
from reconciler.report.conditions import Conditions, Status
from reconciler.report.contest_figures import CandidateFigures, ContestFigures
from reconciler.review.formatting import ago, counted

WORDS = {True: "anomalous", False: "normal", None: "-"}


def listed(found: Sequence[ContestOverview]) -> RenderableType:
    """Show all contests."""
    if not found:
        return Text("no contests")
    table = plain_table("CONTEST", "GATEWAY", "CHAMPION", "STATE", "ERRORS", "WINDOWS", "MESSAGE")
    for each in found:
        figures = each.figures
        table.add_row(
            figures.contest, each.gateway, figures.champion, figures.state, _errors(figures),
            f"{figures.decided:,}", Text(each.status.ready.message),
        )  # fmt: skip
    return table


def shown(each: ContestOverview, now: datetime) -> Iterator[RenderableType]:
    """Show one contest."""
    figures, limits = each.figures, each.figures.limits
    yield Text.assemble((figures.contest, "bold"), f"  {figures.champion}  {figures.state}")
    facts = plain_table("", "")
    rows = [
        ("gateway", each.gateway),
        ("rollout", figures.rollout),
        ("champion since", f"{figures.since:%Y-%m-%d %H:%M UTC}, {ago(figures.since, now)}" if figures.since else "-"),
        ("successor", figures.successor or "-"),
        ("waits until", f"{figures.until:%Y-%m-%d %H:%M UTC}" if figures.until else "-"),
        ("decided windows", f"{figures.decided:,} of at least {limits.decided:,}; {figures.undecided:,} undecided"),
        ("of the normal log", f"{figures.normals:,} of at least {limits.normals:,}"),
        ("replacements", f"{figures.replaced} of at most {limits.replacements}"),
    ]
    for row in rows:
        facts.add_row(*row)
    yield facts
    yield Text()
    yield conditions_table(each.status.conditions)
    yield from _devices(figures)
    yield Text()
    candidates = plain_table("CANDIDATE", "RANK", "WINDOWS", "FALSE ALARMS /1000", "MISSED /1000", "MAY SUCCEED")
    for candidate in figures.candidates:
        candidates.add_row(*_candidate(candidate, figures))
    yield candidates


def samples_table(rows: Iterable[tuple[KeptRow, bool | None]]) -> RenderableType:
    """Show rows, each with what it counts as."""
    table = plain_table(
        "NUMBER", "RECEIVED (UTC)", "DEVICE", "LOG", "CHAMPION", "DECISION", "VOTES", "COUNTS AS", "LABEL"
    )
    for row, truth in rows:
        sample = row.sample
        table.add_row(
            str(row.number), f"{sample.received_at:%Y-%m-%d %H:%M:%S}", sample.device, sample.log.name.lower(),
            str(sample.champion), WORDS[sample.champion_anomalous], votes_of(sample), WORDS[truth], WORDS[sample.label],
        )  # fmt: skip
    return table if table.row_count else Text("no such samples")


def votes_of(sample: EvaluatedSample) -> str:
    """Count the votes on one window."""
    votes = [vote for vote in sample.votes.values() if vote is not None]
    return f"{sum(votes)} of {len(votes)}"


def replayed(outcomes: Sequence[tuple[str, ReplayOutcome]]) -> Iterator[RenderableType]:
    """Show what rules would have decided, and the replacements of each."""
    table = plain_table("RULES", "REPLACEMENTS", "LAST CHAMPION", "WINDOWS", "FALSE ALARMS /1000", "MISSED /1000")
    for name, outcome in outcomes:
        false_alarms, missed = (per_thousand(each, outcome.windows) for each in (outcome.false_alarms, outcome.missed))
        table.add_row(
            name, str(len(outcome.replacements)), str(outcome.champion), f"{outcome.windows:,}", false_alarms, missed
        )
    yield table
    for name, outcome in outcomes:
        for change in outcome.replacements:
            yield Text(f"{name}: {change.at:%Y-%m-%d %H:%M} {change.out} -> {change.into}")


def per_thousand(number: float, total: float) -> str:
    """Write a rate."""
    return f"{1000 * number / total:.1f}" if total else "-"


def _errors(figures: ContestFigures) -> str:
    worst = figures.errors[0] if figures.errors else None
    limits = figures.limits
    if worst is None:
        return "-"
    return f"{worst.false_positives}/{limits.false_positives} false, {worst.missed}/{limits.missed} missed"


def _devices(figures: ContestFigures) -> Iterator[RenderableType]:
    if not figures.errors:
        return
    yield Text()
    table = plain_table("DEVICE", "FALSE POSITIVES", "MISSED")
    for each in figures.errors:
        limits = figures.limits
        table.add_row(
            each.device, f"{each.false_positives} of {limits.false_positives}", f"{each.missed} of {limits.missed}"
        )
    yield table
    hidden = figures.devices_with_errors - len(figures.errors)
    if hidden:
        yield Text(f"and {counted(hidden, 'more device')}")


def _candidate(each: CandidateFigures, figures: ContestFigures) -> tuple[str, ...]:
    verdict = "champion" if each.candidate == figures.champion else each.shortcoming or "yes"
    rates = (f"{1000 * each.false_alarm_rate:.1f}", f"{1000 * each.missed_rate:.1f}")
    return each.candidate, f"{each.rank:+d}", f"{each.decided:,}", *rates, verdict


def conditions_table(conditions: Conditions) -> RenderableType:
    """Show conditions, those that are not True in another colour."""
    table = plain_table("CONDITION", "STATUS", "REASON", "SINCE", "MESSAGE")
    for each in conditions:
        style = "" if each.status is Status.TRUE else "yellow"
        since = f"{each.since:%Y-%m-%d %H:%M}"
        table.add_row(each.type, each.status.value, each.reason, since, Text(each.message), style=style)
    return table


def plain_table(*columns: str) -> Table:
    """Make a table without a frame, and without a head if no column has a name."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, header_style="bold", show_header=any(columns))
    for column in columns:
        table.add_column(column, overflow="fold")
    return table
