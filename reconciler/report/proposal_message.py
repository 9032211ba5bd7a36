# SPDX-License-Identifier: Apache-2.0
"""The message of a commit that proposes a successor: what changes, why, and what it costs.

A person decides from this message, so every reason in it has its figures.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from dataclasses import dataclass

from reconciler.contest.decision import Cause
from reconciler.report.contest_figures import CandidateFigures, ContestFigures

WIDTH = 72
SHOWN = 5  # candidates, and devices


@dataclass(frozen=True, slots=True)
class ProposedTransfer:
    """What the change costs each device."""

    payload_bytes: int  # 0: an envelope is enough
    seconds: float | None = None  # on the slowest link; None: unknown


def proposal_message(figures: ContestFigures, cost: ProposedTransfer | None, evidence_sha256: str) -> str:
    """Return subject, body and trailers. `evidence_sha256` is that of the contest's file in the status ref."""
    subject = f"rollout {figures.rollout}: {figures.successor}"
    paragraphs = [
        f"The contest {figures.contest} proposes {figures.successor} in place of {figures.champion}. {_why(figures)}",
        _windows(figures),
    ]
    body = [textwrap.fill(paragraph, WIDTH) for paragraph in paragraphs]
    body += ["\n".join(_table(figures)), textwrap.fill(_cost(cost), WIDTH)]
    began = f"{figures.since:%Y-%m-%dT%H:%M:%SZ}" if figures.since is not None else "none"
    trailers = f"Contest: {figures.contest}\nRound: {began}\nEvidence: sha256:{evidence_sha256}"
    return "\n\n".join([subject, *body, trailers]) + "\n"


def _why(figures: ContestFigures) -> str:
    limits = figures.limits
    if figures.cause == Cause.ROLLOUT_STOPPED:
        return f"The rollout of {figures.champion} has stopped; this was the champion before it."
    if not figures.errors:
        return "The errors that led to it are older than the time that counts."
    worst = "; ".join(
        f"{each.device}: {each.false_positives} false positives, {each.missed} missed windows"
        for each in figures.errors[:SHOWN]
    )
    more = figures.devices_with_errors - len(figures.errors[:SHOWN])
    also = f"; and {more} more devices" if more else ""
    return (
        f"By the vote of the pool, the champion has too many errors ({worst}{also}). The limits are "
        f"{limits.false_positives} false positives and {limits.missed} missed windows on {limits.on_devices} devices."
    )


def _windows(figures: ContestFigures) -> str:
    return (
        f"{figures.decided:,} windows are decided ({figures.normals:,} of the log of normal windows), "
        f"{figures.undecided:,} are not. It would be replacement {figures.replaced + 1} of at most "
        f"{figures.limits.replacements} in the period that counts."
    )


def _table(figures: ContestFigures) -> Iterator[str]:
    """Yield the champion and the best candidates; rates are per 1,000 windows."""
    width = max(len(each.candidate) for each in figures.candidates)
    yield f"    {'':<{width}}  rank  false alarms  missed"
    champion = [each for each in figures.candidates if each.candidate == figures.champion]
    others = [each for each in figures.candidates if each.candidate != figures.champion]
    chosen = [each for each in others if each.candidate == figures.successor]
    rest = [each for each in others if each.candidate != figures.successor]
    yield from (_row(each, width) for each in [*champion, *chosen, *rest[: SHOWN - 1]])


def _row(each: CandidateFigures, width: int) -> str:
    return (
        f"    {each.candidate:<{width}}  {each.rank:>+4}  {1000 * each.false_alarm_rate:>12.1f}  "
        f"{1000 * each.missed_rate:>6.1f}"
    )


def _cost(cost: ProposedTransfer | None) -> str:
    if cost is None:
        return "What the transfer costs is not known yet."
    if not cost.payload_bytes:
        return "It costs each device an envelope and no transfer."
    seconds = f", {cost.seconds:.0f} s on the slowest link" if cost.seconds is not None else ""
    return f"It costs each device a transfer of {cost.payload_bytes:,} bytes{seconds}."
