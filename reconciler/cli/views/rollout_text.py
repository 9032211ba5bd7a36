# SPDX-License-Identifier: Apache-2.0
"""The progress of rollouts as tables and bars for a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime

from rich import box
from rich.console import RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from reconciler.report.rollout_status import WaveFacts
from reconciler.review.formatting import duration
from reconciler.review.rollout_history import PastRollout
from reconciler.review.rollout_state import RolloutOverview, RolloutState

BAR_WIDTH = 24
HISTORY_SHOWN = 10
STYLES = {
    RolloutState.COMPLETE: "green",
    RolloutState.IN_PROGRESS: "cyan",
    RolloutState.WAITING: "yellow",
    RolloutState.STOPPED: "bold red",
    RolloutState.ROLLED_BACK: "bold red",
    RolloutState.UNKNOWN: "dim",
}


def listed(found: Sequence[RolloutOverview]) -> RenderableType:
    """Show all rollouts."""
    if not found:
        return Text("no rollouts")
    table = _table("ROLLOUT", "MODEL", "STATE", "", "DONE", "LEFT", "MESSAGE")
    for each in found:
        message = Text(each.message or (f"{each.stuck_count} stuck" if each.stuck_count else ""))
        bar = _bar(each.done, each.devices)
        table.add_row(each.rollout, each.model, _state(each), bar, _done(each), _left(each), message)
    return table


def shown(each: RolloutOverview, past: Iterable[PastRollout], now: datetime) -> Iterator[RenderableType]:
    """Show one rollout."""
    head = Text.assemble((each.rollout, "bold"), f"  {each.model}  ", _state(each))
    if each.since is not None:
        head.append(f" for {duration(max(0.0, (now - each.since).total_seconds()))}")
    yield head
    if each.message:
        yield Text(each.message)
    if each.ends_at is not None and each.left_s:
        yield Text(f"ends in {duration(each.left_s)} at the earliest, at {each.ends_at:%Y-%m-%d %H:%M UTC}")
    yield Text()
    table = _table("WAVE", "", "DONE", "AT RISK", "TO GO", "FAILED", "MISSING", "")
    for number, wave in enumerate(each.waves, start=1):
        figures = (wave.at_risk, wave.due, wave.failed, wave.missing)
        table.add_row(
            f"{number} {wave.name}",
            _bar(wave.done, wave.devices),
            f"{wave.done}/{wave.devices}",
            *(str(figure) if figure else "-" for figure in figures),
            _wave_state(wave),
        )
    yield table
    yield from _stuck(each)
    yield from _past(past)
    if each.reported_at is not None:
        when = f"last report at {each.reported_at:%Y-%m-%d %H:%M:%S UTC}"
        yield Text(f"reported by {', '.join(each.reported_by)}; {when}", "dim")


def _stuck(each: RolloutOverview) -> Iterator[RenderableType]:
    if not each.stuck:
        return
    yield Text()
    table = _table("STUCK", "GATEWAY", "REASON", "SINCE", "MESSAGE")
    for stuck in each.stuck:
        since = f"{stuck.since:%Y-%m-%d %H:%M}" if stuck.since is not None else "-"
        table.add_row(stuck.device, stuck.gateway, stuck.reason, since, Text(stuck.message))
    yield table
    if each.stuck_count > len(each.stuck):
        yield Text(f"and {each.stuck_count - len(each.stuck)} more")


def _past(past: Iterable[PastRollout]) -> Iterator[RenderableType]:
    rows = list(past)[:HISTORY_SHOWN]
    if not rows:
        return
    yield Text()
    table = _table("STARTED", "MODEL", "OUTCOME", "AFTER", "GATEWAY")
    for row in rows:
        after = duration((row.ended_at - row.started_at).total_seconds()) if row.ended_at is not None else "-"
        table.add_row(f"{row.started_at:%Y-%m-%d %H:%M}", row.model, row.outcome.replace("-", " "), after, row.gateway)
    yield table


def _table(*columns: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


def _state(each: RolloutOverview) -> Text:
    return Text(each.state.text, STYLES[each.state])


def _bar(done: int, total: int) -> ProgressBar:
    return ProgressBar(total=max(1, total), completed=done if total else 0, width=BAR_WIDTH)


def _done(each: RolloutOverview) -> str:
    return f"{each.done}/{each.devices}"


def _left(each: RolloutOverview) -> str:
    return duration(each.left_s) if each.left_s else "-"


def _wave_state(wave: WaveFacts) -> str:
    if wave.devices and wave.done == wave.devices:
        return "complete"
    return "open" if wave.open else "pending"
