# SPDX-License-Identifier: Apache-2.0
"""The progress of a rollout as JSON."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from reconciler.report.rollout_file import wave_as_dict
from reconciler.review.formatting import iso
from reconciler.review.rollout_history import PastRollout
from reconciler.review.rollout_state import RolloutOverview


def as_dict(each: RolloutOverview, past: Iterable[PastRollout] | None = None) -> dict[str, Any]:
    """Return the fields of a rollout, with its history if given."""
    fields: dict[str, Any] = {
        "rollout": each.rollout,
        "model": each.model,
        "state": each.state.value,
        "since": iso(each.since),
        "message": each.message,
        "devices": each.devices,
        "done": each.done,
        "earliestEnd": iso(each.ends_at),
        "secondsLeft": each.left_s,
        "reportedBy": list(each.reported_by),
        "reportedAt": iso(each.reported_at),
        "waves": [wave_as_dict(wave) for wave in each.waves],
        "stuckCount": each.stuck_count,
        "stuck": [
            {
                "device": stuck.device,
                "gateway": stuck.gateway,
                "reason": stuck.reason,
                "message": stuck.message,
                "since": iso(stuck.since),
            }
            for stuck in each.stuck
        ],
    }
    if past is not None:
        fields["history"] = [
            {
                "gateway": row.gateway,
                "model": row.model,
                "revision": row.revision,
                "startedAt": iso(row.started_at),
                "endedAt": iso(row.ended_at),
                "outcome": row.outcome,
            }
            for row in past
        ]
    return fields
