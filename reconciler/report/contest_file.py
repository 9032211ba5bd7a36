# SPDX-License-Identifier: Apache-2.0
"""The status file of a contest, for people, for the page and for `tinyfleet contest`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from reconciler.errors import Invalid
from reconciler.model import ContestId, DeviceId, RolloutId
from reconciler.report.contest_figures import CandidateFigures, ContestFigures, ContestLimits, DeviceErrors
from reconciler.report.contest_status import ContestStatus
from reconciler.report.figured_file import FiguredFile, figured_file, read_figured_file, text_of, time_of

KIND = "ContestStatus"
_DIGITS = 6  # of a rate


class InvalidContestStatus(Invalid):
    """The file is not a valid contest status."""

    reason: ClassVar[str] = "InvalidStatus"


def contest_file(status: ContestStatus) -> bytes:
    """Render the status of one contest."""
    fields = figures_as_dict(status.figures)
    del fields["contest"]
    return figured_file(KIND, status.name, fields, status.conditions)


def figures_as_dict(figures: ContestFigures) -> dict[str, Any]:
    """Return the fields of a contest under their names in files and JSON."""
    limits = figures.limits
    return {
        "contest": str(figures.contest),
        "rollout": str(figures.rollout),
        "champion": figures.champion,
        "state": figures.state,
        "cause": figures.cause,
        "successor": figures.successor,
        "completeSince": text_of(figures.since),
        "until": text_of(figures.until),
        "windows": {"decided": figures.decided, "undecided": figures.undecided, "normals": figures.normals},
        "replacements": figures.replaced,
        "limits": {
            "falsePositives": limits.false_positives,
            "falseNegatives": limits.missed,
            "onDevices": limits.on_devices,
            "decided": limits.decided,
            "normals": limits.normals,
            "replacements": limits.replacements,
        },
        "devicesWithErrors": figures.devices_with_errors,
        "errors": [
            {"device": str(each.device), "falsePositives": each.false_positives, "missed": each.missed}
            for each in figures.errors
        ],
        "candidates": [
            {
                "candidate": each.candidate,
                "rank": each.rank,
                "decided": each.decided,
                "falseAlarmRate": round(each.false_alarm_rate, _DIGITS),
                "missedRate": round(each.missed_rate, _DIGITS),
                "shortcoming": each.shortcoming,
            }
            for each in figures.candidates
        ],
    }


def figures_from_dict(fields: Mapping[str, Any]) -> ContestFigures:
    """Read the result of `figures_as_dict`."""
    windows, limits = fields["windows"], fields["limits"]
    return ContestFigures(
        contest=ContestId(fields["contest"]),
        rollout=RolloutId(fields["rollout"]),
        champion=fields["champion"],
        state=fields["state"],
        cause=fields["cause"],
        successor=fields["successor"],
        since=time_of(fields["completeSince"]),
        until=time_of(fields["until"]),
        decided=int(windows["decided"]),
        undecided=int(windows["undecided"]),
        normals=int(windows["normals"]),
        replaced=int(fields["replacements"]),
        limits=ContestLimits(
            int(limits["falsePositives"]),
            int(limits["falseNegatives"]),
            int(limits["onDevices"]),
            int(limits["decided"]),
            int(limits["normals"]),
            int(limits["replacements"]),
        ),
        errors=tuple(
            DeviceErrors(DeviceId(each["device"]), int(each["falsePositives"]), int(each["missed"]))
            for each in fields["errors"]
        ),
        devices_with_errors=int(fields["devicesWithErrors"]),
        candidates=tuple(
            CandidateFigures(
                each["candidate"],
                int(each["rank"]),
                int(each["decided"]),
                float(each["falseAlarmRate"]),
                float(each["missedRate"]),
                each["shortcoming"],
            )
            for each in fields["candidates"]
        ),
    )


def read_contest_file(data: bytes) -> ContestStatus:
    """Read a status file, or raise `InvalidContestStatus`."""

    def status_of(file: FiguredFile) -> ContestStatus:
        return ContestStatus(figures_from_dict({**file.figures, "contest": file.name}), file.conditions)

    return read_figured_file(KIND, data, InvalidContestStatus, status_of)
