# SPDX-License-Identifier: Apache-2.0
"""Rows and replays of contests as JSON."""

from __future__ import annotations

from typing import Any

from reconciler.contest.replay import ReplayOutcome
from reconciler.engine.samples.kept_rows import KeptRow
from reconciler.review.formatting import iso


def sample_as_dict(row: KeptRow, truth: bool | None) -> dict[str, Any]:  # noqa: FBT001 (what the window counts as)
    """Return the fields of one row."""
    sample = row.sample
    return {
        "number": row.number,
        "receivedAt": iso(sample.received_at),
        "device": sample.device,
        "log": sample.log.name.lower(),
        "weight": sample.weight,
        "champion": str(sample.champion),
        "anomalous": sample.champion_anomalous,
        "countsAs": truth,
        "label": sample.label,
        "votes": {str(candidate): vote for candidate, vote in sorted(sample.votes.items())},
    }


def replay_as_dict(name: str, outcome: ReplayOutcome) -> dict[str, Any]:
    """Return the fields of one replay."""
    return {
        "rules": name,
        "champion": str(outcome.champion),
        "windows": outcome.windows,
        "falseAlarms": outcome.false_alarms,
        "missed": outcome.missed,
        "replacements": [
            {"at": iso(each.at), "out": str(each.out), "into": str(each.into)} for each in outcome.replacements
        ],
    }
