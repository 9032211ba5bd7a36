# SPDX-License-Identifier: Apache-2.0
"""The progress of rollouts as tables and bars for a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime

from rich.text import Text

from reconciler.cli.views.table import Row, table
from reconciler.report.rollout_status import WaveFacts
from reconciler.review.formatting import duration
from reconciler.review.rollout_history import PastRollout
from reconciler.review.rollout_state import RolloutOverview, RolloutState

BAR_WIDTH = 24
BARS_FROM = 100  # columns; a narrower terminal needs them for the figures
HISTORY_SHOWN = 10
STYLES = {
    RolloutState.COMPLETE: "green",
    RolloutState.IN_PROGRESS: "cyan",
    RolloutState.WAITING: "yellow",
    RolloutState.STOPPED: "bold red",
    RolloutState.ROLLED_BACK: "bold red",
    RolloutState.UNKNOWN: "dim",
}


def listed(found: Sequence[RolloutOverview], width: int) -> list[Text]:
    """Show all rollouts."""
    if not found:
        return [Text("no rollouts")]
    rows: list[Row] = [
        (
            each.rollout,
            each.model,
            _state(each),
            *_bar(each.done, each.devices, width),
            f"{each.done}/{each.devices}",
            duration(each.left_s) if each.left_s else "-",
            each.message or (f"{each.stuck_count} stuck" if each.stuck_count else ""),
        )
        for each in found
    ]
    return table(("rollout", "model", "state", *_bar_heading(width), "done", "left", "message"), rows, width)


def shown(each: RolloutOverview, past: Iterable[PastRollout], now: datetime, width: int) -> Iterator[Text]:
    """Show one rollout."""
    head = Text.assemble((each.rollout, "bold"), f"  {each.model}  ", _state(each))
    if each.since is not None:
        head.append(f" for {duration(max(0.0, (now - each.since).total_seconds()))}")
    yield head
    if each.message:
        yield Text(each.message)
    if each.advice:
        yield Text(f"what to do: {each.advice}")
    if each.ends_at is not None and each.left_s:
        yield Text(f"ends in {duration(each.left_s)} at the earliest, at {each.ends_at:%Y-%m-%d %H:%M UTC}")
    yield Text()
    yield from _waves(each, width)
    yield from _stuck(each, width)
    yield from _past(past, width)
    if each.reported_at is not None:
        when = f"last report at {each.reported_at:%Y-%m-%d %H:%M:%S UTC}"
        yield Text(f"reported by {', '.join(each.reported_by)}; {when}", "dim")


def _waves(each: RolloutOverview, width: int) -> list[Text]:
    rows: list[Row] = [
        (
            f"{number} {wave.name}",
            *_bar(wave.done, wave.devices, width),
            f"{wave.done}/{wave.devices}",
            *(str(figure) if figure else "-" for figure in (wave.at_risk, wave.due, wave.failed, wave.missing)),
            _wave_state(wave),
        )
        for number, wave in enumerate(each.waves, start=1)
    ]
    headings = ("wave", *_bar_heading(width), "done", "at risk", "to go", "failed", "missing", "state")
    return table(headings, rows, width)


def _stuck(each: RolloutOverview, width: int) -> Iterator[Text]:
    if not each.stuck:
        return
    yield Text()
    rows: list[Row] = [
        (
            stuck.device,
            stuck.gateway,
            stuck.reason,
            f"{stuck.since:%Y-%m-%d %H:%M}" if stuck.since is not None else "-",
            stuck.message,
        )
        for stuck in each.stuck
    ]
    yield from table(("stuck", "gateway", "reason", "since", "message"), rows, width)
    if each.stuck_count > len(each.stuck):
        yield Text(f"and {each.stuck_count - len(each.stuck)} more")


def _past(past: Iterable[PastRollout], width: int) -> Iterator[Text]:
    rows: list[Row] = [
        (
            f"{row.started_at:%Y-%m-%d %H:%M}",
            row.model,
            row.outcome.replace("-", " "),
            duration((row.ended_at - row.started_at).total_seconds()) if row.ended_at is not None else "-",
            row.gateway,
        )
        for row in list(past)[:HISTORY_SHOWN]
    ]
    if rows:
        yield Text()
        yield from table(("started", "model", "outcome", "after", "gateway"), rows, width)


def _state(each: RolloutOverview) -> Text:
    return Text(each.state.text, STYLES[each.state])


def _bar_heading(width: int) -> tuple[str, ...]:
    return ("",) if width >= BARS_FROM else ()


def _bar(done: int, total: int, width: int) -> tuple[Text, ...]:
    if width < BARS_FROM:
        return ()
    filled = BAR_WIDTH * done // total if total else 0
    return (Text.assemble(("━" * filled, "green"), ("━" * (BAR_WIDTH - filled), "dim")),)


def _wave_state(wave: WaveFacts) -> str:
    if wave.devices and wave.done == wave.devices:
        return "complete"
    return "open" if wave.open else "pending"
