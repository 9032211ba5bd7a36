# SPDX-License-Identifier: Apache-2.0
"""The message of a commit that proposes another champion: why, compared with what, and at what cost."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256

from reconciler.model import GatewayId
from reconciler.report.contest_figures import CandidateFigures, ContestFigures

RANKS = 5
_TIME = "%Y-%m-%dT%H:%M:%SZ"


@dataclass(frozen=True, slots=True)
class ProposalCost:
    """What the change costs each device of the rollout."""

    bytes: int | None  # None: unknown before the model is built
    seconds: float | None = None  # on the slowest line; None: nothing limits the rate
    line: str = ""


@dataclass(frozen=True, slots=True)
class EvidenceFile:
    """The status file from which the figures are, as the gateway publishes it."""

    path: str
    data: bytes


def proposal_message(figures: ContestFigures, gateway: GatewayId, cost: ProposalCost, evidence: EvidenceFile) -> str:
    """Write the message, with trailers for programs. A forge shows it as the text of the review."""
    return "\n".join((
        f"{figures.rollout}: replace {figures.champion} by {figures.successor}",
        "",
        _why(figures),
        "",
        *_table(figures),
        "",
        _windows(figures),
        _cost(cost),
        "",
        f"Contest: {figures.contest}",
        f"Round: {figures.since.strftime(_TIME) if figures.since is not None else 'none'}",
        f"Evidence: status/{gateway} {evidence.path} sha256:{sha256(evidence.data).hexdigest()}",
    ))  # fmt: skip


def _why(figures: ContestFigures) -> str:
    if figures.cause == "RolloutStopped":
        return f"The rollout of {figures.champion} stopped. {figures.successor} was the champion before it."
    limits = figures.limits
    devices = [
        f"{each.device} ({each.false_positives} false positives, {each.missed} missed)" for each in figures.errors
    ]
    more = figures.devices_with_errors - len(devices)
    listed = ", ".join((*devices, f"and {more} more") if more else devices)
    return (
        f"{figures.cause}: the pool disagrees with {figures.champion} on {listed}. The contest replaces a champion "
        f"from {limits.false_positives} false positives or {limits.missed} missed windows on {limits.on_devices} "
        f"device{'' if limits.on_devices == 1 else 's'} on."
    )


def _windows(figures: ContestFigures) -> str:
    decided = f"{figures.decided} decided windows, {figures.normals} of them of the normal log"
    return f"These are figures of {decided}; {figures.undecided} are undecided."


def _table(figures: ContestFigures) -> Iterator[str]:
    """Yield the first candidates by rank, and in any case the champion and the successor."""
    ranked = sorted(figures.candidates, key=lambda each: -each.rank)
    shown = [
        each
        for place, each in enumerate(ranked)
        if place < RANKS or each.candidate in {figures.champion, figures.successor}
    ]
    yield "    rank  false alarms   missed  candidate"
    for each in shown:
        yield _row(each, {figures.champion: "  (champion)", figures.successor: "  (proposed)"}.get(each.candidate, ""))


def _row(each: CandidateFigures, note: str) -> str:
    return (
        f"    {each.rank:+4d}  {each.false_alarm_rate * 100:10.2f} %  {each.missed_rate * 100:5.2f} %  "
        f"{each.candidate}{note}"
    )


def _cost(cost: ProposalCost) -> str:
    if cost.bytes is None:
        return "What it sends to each device is not known before it is built."
    time = f", about {cost.seconds:.0f} s {cost.line}" if cost.seconds is not None else ""
    return f"It sends up to {cost.bytes} bytes to each device{time}."
