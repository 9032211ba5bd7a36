# SPDX-License-Identifier: Apache-2.0
"""Converts a valid document of kind `Observed` to the value that the planner takes.

docs/specs/observed.md defines the document.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from reconciler.errors import Invalid
from reconciler.model import (
    Artifact,
    ArtifactKey,
    Before,
    Capabilities,
    Counts,
    DeviceHealth,
    DeviceId,
    Digest,
    ModelRef,
    Observed,
    ObservedDevice,
    PeerReport,
    Phase,
    RolloutId,
    RolloutMemory,
    RolloutReport,
    Scores,
    TypeId,
    Version,
)

REPORTED_GROUPS = ("done", "begun", "soaking", "due", "failed", "missing", "out")
ObservedDocument = Mapping[str, Any]  # one that its schema has accepted


class ObservedInvalid(Invalid):
    """A document matches its schema but contradicts itself."""


def observed_from(document: ObservedDocument) -> Observed:
    """Return the observed state of a document. Its `at` is not part of it: see `timestamp_of`."""
    artifacts: dict[ArtifactKey, Artifact] = {}
    for raw in document.get("artifacts", ()):
        artifact = _artifact(raw)
        if artifacts.setdefault((artifact.model, artifact.type), artifact) != artifact:
            raise ObservedInvalid(f"two different artifacts of {artifact.model} for {artifact.type}")
    return Observed(
        devices={DeviceId(name): _device(name, raw) for name, raw in document.get("devices", {}).items()},
        artifacts=artifacts,
        quarantined=frozenset((pair["device"], pair["digest"]) for pair in document.get("quarantined", ())),
        rollouts={name: _memory(name, raw) for name, raw in document.get("rollouts", {}).items()},
        gateway=document.get("gateway"),
        peers={name: _peer(raw) for name, raw in document.get("peers", {}).items()},
    )


def timestamp_of(document: ObservedDocument) -> datetime | None:
    """Return the time that the document describes, if it states one."""
    return _time("at", document["at"]) if "at" in document else None


def _device(name: str, raw: ObservedDocument) -> ObservedDevice:
    reported = raw.get("capabilities")
    return ObservedDevice(
        last_seen=_time(f"lastSeen of {name}", raw["lastSeen"]),
        phase=Phase(raw["phase"]),
        running=raw.get("running"),
        other_slot=raw.get("otherSlot"),
        incoming=raw.get("incoming"),
        previous_failed=raw.get("previousFailed"),
        confirmed_since=_time_of(name, raw, "confirmedSince"),
        sequence=raw.get("sequence", 0),
        parameters=raw.get("parameters", {}),
        capabilities=None if reported is None else _capabilities(reported),
        cloned=raw.get("cloned", False),
        health=_health(raw["health"]) if "health" in raw else None,
        before=_before(raw["before"]) if "before" in raw else None,
        flaps=raw.get("flaps", 0),
        flapped_at=_time_of(name, raw, "flappedAt"),
    )


def _before(raw: ObservedDocument) -> Before:
    return Before(raw["revision"], raw.get("running"), raw.get("parameters", {}))


def _health(raw: ObservedDocument) -> DeviceHealth:
    return DeviceHealth(_counts(raw["now"]), _counts(raw["before"]) if "before" in raw else None)


def _counts(raw: ObservedDocument) -> Counts:
    scores = raw.get("scores")
    return Counts(
        inferences=raw["inferences"],
        anomalies=raw["anomalies"],
        faults=raw["faults"],
        resets=raw["resets"],
        seconds=raw.get("seconds", 0.0),
        scores=None if scores is None else Scores(**{**scores, "histogram": tuple(scores["histogram"])}),
    )


def _memory(name: str, raw: ObservedDocument) -> RolloutMemory:
    at = _time_of(name, raw, "stoppedAt")
    return RolloutMemory(raw["revision"], raw.get("stopped", ""), at, _time_of(name, raw, "completedAt"))


def _peer(raw: ObservedDocument) -> PeerReport:
    return PeerReport({RolloutId(name): _peer_rollout(name, report) for name, report in raw.items()})


def _peer_rollout(name: str, raw: ObservedDocument) -> RolloutReport:
    names = {key: frozenset(raw.get(key, ())) for key in REPORTED_GROUPS}
    return RolloutReport(raw["revision"], **names, stopped=raw.get("stopped", ""), at=_time_of(name, raw, "at"))


def _capabilities(raw: ObservedDocument) -> Capabilities:
    return Capabilities(
        type=TypeId(raw["type"]),
        pack_format=raw["packFormat"],
        operators=frozenset(raw["operators"]),
        slot_bytes=raw["slotBytes"],
        arena_bytes=raw["arenaBytes"],
        prebaked=tuple(raw.get("prebaked", ())),
        updates=raw.get("updates", True),
    )


def _artifact(raw: ObservedDocument) -> Artifact:
    return Artifact(
        model=ModelRef(raw["model"]["name"], Version(raw["model"]["version"])),
        type=TypeId(raw["type"]),
        digest=Digest(raw["digest"]),
        pack_bytes=raw["packBytes"],
        arena_bytes=raw["arenaBytes"],
        operators=frozenset(raw["operators"]),
    )


def _time_of(name: str, raw: ObservedDocument, key: str) -> datetime | None:
    return _time(f"{key} of {name}", raw[key]) if key in raw else None


def _time(what: str, text: str) -> datetime:
    """Parse a timestamp. The schema has checked its form; this checks that the date exists."""
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise ObservedInvalid(f"{what}: {text!r} is not a valid date and time") from error
