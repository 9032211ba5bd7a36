# SPDX-License-Identifier: Apache-2.0
"""The status file of a contest, for people, for the page and for `tinyfleet contest`."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, ClassVar

import yaml

from reconciler.errors import Invalid
from reconciler.model import ContestId, DeviceId, RolloutId
from reconciler.report.conditions import Condition
from reconciler.report.contest_figures import CandidateFigures, ContestFigures, ContestLimits, DeviceErrors
from reconciler.report.contest_status import ContestStatus

KIND = "ContestStatus"
_TIME = "%Y-%m-%dT%H:%M:%SZ"
_DIGITS = 6  # of a rate


class InvalidContestStatus(Invalid):
    """The file is not a valid contest status."""

    reason: ClassVar[str] = "InvalidStatus"


def contest_file(status: ContestStatus) -> bytes:
    """Render the status of one contest."""
    fields = {**figures_as_dict(status.figures), "conditions": [each.as_dict() for each in status.conditions]}
    del fields["contest"]
    metadata = {"name": status.name}
    document = {"apiVersion": "tinyfleet/v1alpha1", "kind": KIND, "metadata": metadata, "status": fields}
    text: bytes = yaml.dump(
        document, Dumper=yaml.CSafeDumper, sort_keys=False, allow_unicode=True, width=120, encoding="utf-8"
    )
    return text


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
        "completeSince": _text_of(figures.since),
        "until": _text_of(figures.until),
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
        since=_time_of(fields["completeSince"]),
        until=_time_of(fields["until"]),
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
    try:
        document = yaml.load(data, Loader=yaml.CSafeLoader)
        return _status(document)
    except (yaml.YAMLError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise InvalidContestStatus(f"not a contest status: {error!r}"[:500]) from error


def _status(document: Mapping[str, Any]) -> ContestStatus:
    if document["kind"] != KIND:
        raise InvalidContestStatus(f"a document of kind {document['kind']!r}")
    fields = document["status"]
    figures = figures_from_dict({**fields, "contest": document["metadata"]["name"]})
    return ContestStatus(figures, tuple(Condition.from_dict(each) for each in fields["conditions"]))


def _text_of(at: datetime | None) -> str | None:
    return at.strftime(_TIME) if at is not None else None


def _time_of(text: str | None) -> datetime | None:
    return datetime.strptime(text, _TIME).replace(tzinfo=UTC) if text else None
