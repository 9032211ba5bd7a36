# SPDX-License-Identifier: Apache-2.0
"""Rollouts as pictures for people, and as fields for programs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any

from rich import box
from rich.console import RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from reconciler.cli.views.review_markdown import duration
from reconciler.report.rollout_file import wave_as_dict
from reconciler.report.rollout_status import WaveFacts
from reconciler.review.rollout_history import PastRollout
from reconciler.review.rollout_state import RolloutPicture, RolloutState

BAR_WIDTH = 24
CHAPTERS_SHOWN = 10
STYLES = {
    RolloutState.COMPLETE: "green",
    RolloutState.UNDER_WAY: "cyan",
    RolloutState.WAITING: "yellow",
    RolloutState.STOPPED: "bold red",
    RolloutState.ROLLED_BACK: "bold red",
    RolloutState.UNKNOWN: "dim",
}


def listed(found: Sequence[RolloutPicture]) -> RenderableType:
    """Show all rollouts."""
    if not found:
        return Text("no rollouts")
    table = _table("ROLLOUT", "MODEL", "STATE", "", "DONE", "LEFT", "WHAT")
    for each in found:
        what = Text(each.why or (f"{each.stuck_count} without it" if each.stuck_count else ""))
        bar = _bar(each.done, each.devices)
        table.add_row(each.rollout, each.model, _state(each), bar, _done(each), _left(each), what)
    return table


def shown(each: RolloutPicture, past: Iterable[PastRollout], now: datetime) -> Iterator[RenderableType]:
    """Show one rollout."""
    head = Text.assemble((each.rollout, "bold"), f"  {each.model}  ", _state(each))
    if each.since is not None:
        head.append(f" for {duration(max(0.0, (now - each.since).total_seconds()))}")
    yield head
    if each.why:
        yield Text(each.why)
    if each.ends_at is not None and each.left_s:
        yield Text(f"at best over in {duration(each.left_s)}, at {each.ends_at:%Y-%m-%d %H:%M UTC}")
    yield Text()
    table = _table("WAVE", "", "DONE", "AT RISK", "TO GO", "FAILED", "MISSING", "")
    for number, wave in enumerate(each.waves, start=1):
        figures = (wave.at_risk, wave.due, wave.failed, wave.missing)
        table.add_row(
            f"{number} {wave.name}",
            _bar(wave.done, wave.devices),
            f"{wave.done}/{wave.devices}",
            *(str(figure) if figure else "-" for figure in figures),
            _gate(wave),
        )
    yield table
    yield from _stuck(each)
    yield from _past(past)
    if each.told_at is not None:
        yield Text(f"told by {', '.join(each.told_by)}; the last word at {each.told_at:%Y-%m-%d %H:%M:%S UTC}", "dim")


def _stuck(each: RolloutPicture) -> Iterator[RenderableType]:
    if not each.stuck:
        return
    yield Text()
    table = _table("STUCK", "GATEWAY", "REASON", "SINCE", "WHY")
    for stuck in each.stuck:
        since = f"{stuck.since:%Y-%m-%d %H:%M}" if stuck.since is not None else "-"
        table.add_row(stuck.device, stuck.gateway, stuck.reason, since, Text(stuck.message))
    yield table
    if each.stuck_count > len(each.stuck):
        yield Text(f"and {each.stuck_count - len(each.stuck)} more")


def _past(past: Iterable[PastRollout]) -> Iterator[RenderableType]:
    rows = list(past)[:CHAPTERS_SHOWN]
    if not rows:
        return
    yield Text()
    table = _table("BEGAN", "MODEL", "OUTCOME", "AFTER", "GATEWAY")
    for row in rows:
        after = duration((row.ended_at - row.began_at).total_seconds()) if row.ended_at is not None else "-"
        table.add_row(f"{row.began_at:%Y-%m-%d %H:%M}", row.model, row.outcome, after, row.gateway)
    yield table


def _table(*columns: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


def _state(each: RolloutPicture) -> Text:
    return Text(each.state.value, STYLES[each.state])


def _bar(done: int, total: int) -> ProgressBar:
    return ProgressBar(total=max(1, total), completed=done if total else 0, width=BAR_WIDTH)


def _done(each: RolloutPicture) -> str:
    return f"{each.done}/{each.devices}"


def _left(each: RolloutPicture) -> str:
    return duration(each.left_s) if each.left_s else "-"


def _gate(wave: WaveFacts) -> str:
    if wave.devices and wave.done == wave.devices:
        return "over"
    return "open" if wave.open else "not open"


def as_dict(each: RolloutPicture, past: Iterable[PastRollout] | None = None) -> dict[str, Any]:
    """Name the fields for programs."""
    told: dict[str, Any] = {
        "rollout": each.rollout,
        "model": each.model,
        "state": each.state.value,
        "since": _moment(each.since),
        "why": each.why,
        "devices": each.devices,
        "done": each.done,
        "overAtBest": _moment(each.ends_at),
        "secondsLeft": each.left_s,
        "toldBy": list(each.told_by),
        "toldAt": _moment(each.told_at),
        "waves": [wave_as_dict(wave) for wave in each.waves],
        "stuckCount": each.stuck_count,
        "stuck": [
            {
                "device": stuck.device,
                "gateway": stuck.gateway,
                "reason": stuck.reason,
                "message": stuck.message,
                "since": _moment(stuck.since),
            }
            for stuck in each.stuck
        ],
    }
    if past is not None:
        told["history"] = [
            {
                "gateway": row.gateway,
                "model": row.model,
                "revision": row.revision,
                "beganAt": _moment(row.began_at),
                "endedAt": _moment(row.ended_at),
                "outcome": row.outcome,
            }
            for row in past
        ]
    return told


def _moment(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()
