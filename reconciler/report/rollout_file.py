# SPDX-License-Identifier: Apache-2.0
"""The status file of a rollout. People read it, and `tinyfleet rollout`, and the other gateways plan with it.

Each set of devices is one line of names, so a file about ten thousand devices is small and quick to parse, and
its diff shows what changed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any, ClassVar

import yaml

from reconciler.errors import Invalid
from reconciler.foreign_text import printable
from reconciler.model import BuildFailure, DeviceId, ModelRef, RolloutId, RolloutReport, TypeId, Version
from reconciler.report.conditions import Condition
from reconciler.report.rollout_status import RolloutFacts, RolloutStatus, WaveFacts

KIND = "RolloutStatus"
SETS = ("done", "begun", "soaking", "due", "failed", "missing", "out")
_TIME = "%Y-%m-%dT%H:%M:%SZ"
_MAX_MESSAGE_CHARS = 500


class InvalidRolloutStatus(Invalid):
    """The file is not a valid rollout status."""

    reason: ClassVar[str] = "InvalidStatus"


def rollout_file(status: RolloutStatus) -> bytes:
    """Render the status of one rollout."""
    facts, report = status.facts, status.facts.report
    fields: dict[str, Any] = {
        "model": facts.model,
        "revision": report.revision,
        "at": report.at.strftime(_TIME) if report.at else None,
        "complete": facts.complete,
        "stopped": report.stopped,
        "rolledBack": facts.rolled_back,
        "waiting": facts.waiting,
        "held": facts.held,
        **({"buildFailure": _build_failure_fields(facts.build_failure)} if facts.build_failure is not None else {}),
        "waves": [wave_as_dict(wave) for wave in facts.waves],
        "devices": {name: " ".join(sorted(names)) for name in SETS if (names := getattr(report, name))},
        "conditions": [condition.as_dict() for condition in status.conditions],
    }
    metadata = {"name": facts.rollout}
    document = {"apiVersion": "tinyfleet/v1alpha1", "kind": KIND, "metadata": metadata, "status": fields}
    text: bytes = yaml.dump(
        document, Dumper=yaml.CSafeDumper, sort_keys=False, allow_unicode=True, width=2**31 - 1, encoding="utf-8"
    )
    return text


def read_rollout_file(data: bytes) -> RolloutStatus:
    """Read a status file, written here or at another gateway; raise `InvalidRolloutStatus` for anything else."""
    try:
        document = yaml.load(data, Loader=yaml.CSafeLoader)
        return _status(document)
    except (yaml.YAMLError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise InvalidRolloutStatus(f"not a rollout status: {error!r}"[:_MAX_MESSAGE_CHARS]) from error


def _status(document: Mapping[str, Any]) -> RolloutStatus:
    if document["kind"] != KIND:
        raise InvalidRolloutStatus(f"a document of kind {document['kind']!r}")
    fields = document["status"]
    names = {name: frozenset(map(DeviceId, _text(fields["devices"].get(name, "")).split())) for name in SETS}
    at = datetime.strptime(fields["at"], _TIME).replace(tzinfo=UTC) if fields["at"] else None
    facts = RolloutFacts(
        rollout=RolloutId(_text(document["metadata"]["name"])),
        model=_text(fields["model"]),
        report=RolloutReport(
            _text(fields["revision"]), **names, stopped=_text(fields["stopped"])[:_MAX_MESSAGE_CHARS], at=at
        ),
        waves=tuple(_wave_from(wave) for wave in fields["waves"]),
        complete=bool(fields["complete"]),
        waiting=_text(fields["waiting"]),
        held=_text(fields["held"]),
        rolled_back=bool(fields["rolledBack"]),
        build_failure=_build_failure(fields["buildFailure"]) if "buildFailure" in fields else None,
    )
    return RolloutStatus(facts, tuple(Condition.from_dict(each) for each in fields["conditions"]))


def _build_failure_fields(failure: BuildFailure) -> dict[str, Any]:
    return {**asdict(failure), "model": str(failure.model)}


def _build_failure(fields: Mapping[str, Any]) -> BuildFailure:
    name, _, version = _text(fields["model"]).rpartition("@")
    kind, reason, message = (_text(fields[each]) for each in ("type", "reason", "message"))
    return BuildFailure(ModelRef(name, Version(version)), TypeId(kind), reason, message, bool(fields["retried"]))


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError("expected a string")
    return printable(value)


def wave_as_dict(wave: WaveFacts) -> dict[str, Any]:
    """Return the fields of a wave under their names in files and JSON."""
    return {
        "name": wave.name,
        "devices": wave.devices,
        "done": wave.done,
        "atRisk": wave.at_risk,
        "due": wave.due,
        "failed": wave.failed,
        "missing": wave.missing,
        "open": wave.open,
    }


def _wave_from(fields: Mapping[str, Any]) -> WaveFacts:
    return WaveFacts(
        name=_text(fields["name"]),
        devices=int(fields["devices"]),
        done=int(fields["done"]),
        at_risk=int(fields["atRisk"]),
        due=int(fields["due"]),
        failed=int(fields["failed"]),
        missing=int(fields["missing"]),
        open=bool(fields["open"]),
    )
