# SPDX-License-Identifier: Apache-2.0
"""Rollouts in the README of a status branch: the progress of each, wave by wave."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from reconciler.report.rollout_status import RolloutStatus, WaveFacts

BAR_CELLS = 12
FULL, EMPTY = "█", "░"


def rollout_section(statuses: Iterable[RolloutStatus]) -> list[str]:
    """Render a table of all rollouts, and the waves of those that are not complete."""
    every = sorted(statuses, key=lambda status: status.facts.rollout)
    if not every:
        return []
    lines = [
        "## Rollouts",
        "",
        "| rollout | model | state | done | since (UTC) | message |",
        "|---|---|---|---|---|---|",
    ]
    lines += [_row(status) for status in every]
    for status in every:
        if not status.facts.complete and len(status.facts.waves) > 1:
            lines += _waves(status)
    return [*lines, ""]


def bar(done: int, total: int) -> str:
    """Draw a progress bar. It is full only at 100 %, and empty only at 0 %."""
    if not total:
        return EMPTY * BAR_CELLS
    cells = done * BAR_CELLS // total
    cells = max(cells, 1) if done else cells
    return FULL * cells + EMPTY * (BAR_CELLS - cells)


def _row(status: RolloutStatus) -> str:
    facts = status.facts
    done, total = sum(wave.done for wave in facts.waves), sum(wave.devices for wave in facts.waves)
    ready = status.ready
    figures = f"{bar(done, total)} {done} of {total} | {ready.since:%Y-%m-%d %H:%M}"
    return f"| {facts.rollout} | {facts.model} | {ready.reason} | {figures} | {_cell(ready.message)} |"


def _waves(status: RolloutStatus) -> Iterator[str]:
    yield from ("", f"### {status.facts.rollout}", "", "| wave | done | at risk | to go | failed | missing | |")
    yield "|---|---|---:|---:|---:|---:|---|"
    yield from (_wave(number, wave) for number, wave in enumerate(status.facts.waves, start=1))


def _wave(number: int, wave: WaveFacts) -> str:
    state = "complete" if wave.devices and wave.done == wave.devices else "open" if wave.open else "not open"
    counts = f"{wave.at_risk} | {wave.due} | {wave.failed} | {wave.missing}"
    done = f"{bar(wave.done, wave.devices)} {wave.done} of {wave.devices}"
    return f"| {number} {wave.name} | {done} | {counts} | {state} |"


def _cell(message: str) -> str:
    return " ".join(message.split()).replace("|", "\\|")
