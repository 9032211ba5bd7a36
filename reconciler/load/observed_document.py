# SPDX-License-Identifier: Apache-2.0
"""From a document of kind `Observed`, checked against its schema, to the value that planning takes.

docs/specs/observed.md says what the document means.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from reconciler.errors import Invalid
from reconciler.model import (
    Artifact,
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

STANDINGS = ("done", "begun", "soaking", "due", "failed", "missing", "out")
Document = Mapping[str, Any]  # as a schema has passed it


class ObservedInvalid(Invalid):
    """A document has the right shape and still can't be true."""


def observed_from(document: Document) -> Observed:
    """Make the value; `at` is not part of it (see `timestamp_of`)."""
    artifacts: dict[tuple[ModelRef, TypeId], Artifact] = {}
    for raw in document.get("artifacts", ()):
        made = _artifact(raw)
        if artifacts.setdefault((made.model, made.type), made) != made:
            raise ObservedInvalid(f"two artifacts of {made.model} for {made.type}")
    return Observed(
        devices={DeviceId(name): _device(name, raw) for name, raw in document.get("devices", {}).items()},
        artifacts=artifacts,
        quarantined=frozenset((pair["device"], pair["digest"]) for pair in document.get("quarantined", ())),
        rollouts={name: _memory(name, raw) for name, raw in document.get("rollouts", {}).items()},
        gateway=document.get("gateway"),
        peers={name: _peer(raw) for name, raw in document.get("peers", {}).items()},
    )


def timestamp_of(document: Document) -> datetime | None:
    """Return the moment that the document describes, if it says so."""
    return _time("at", document["at"]) if "at" in document else None


def _device(name: str, raw: Document) -> ObservedDevice:
    told = raw.get("capabilities")
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
        capabilities=None if told is None else _capabilities(told),
        cloned=raw.get("cloned", False),
        health=_health(raw["health"]) if "health" in raw else None,
        before=_before(raw["before"]) if "before" in raw else None,
        flaps=raw.get("flaps", 0),
        flapped_at=_time_of(name, raw, "flappedAt"),
    )


def _before(raw: Document) -> Before:
    return Before(raw["revision"], raw.get("running"), raw.get("parameters", {}))


def _health(raw: Document) -> DeviceHealth:
    return DeviceHealth(_counts(raw["now"]), _counts(raw["before"]) if "before" in raw else None)


def _counts(raw: Document) -> Counts:
    scores = raw.get("scores")
    return Counts(
        inferences=raw["inferences"],
        anomalies=raw["anomalies"],
        faults=raw["faults"],
        resets=raw["resets"],
        seconds=raw.get("seconds", 0.0),
        scores=None if scores is None else Scores(**{**scores, "histogram": tuple(scores["histogram"])}),
    )


def _memory(name: str, raw: Document) -> RolloutMemory:
    at = _time_of(name, raw, "stoppedAt")
    return RolloutMemory(raw["revision"], raw.get("stopped", ""), at, _time_of(name, raw, "completedAt"))


def _peer(raw: Document) -> PeerReport:
    return PeerReport({RolloutId(name): _word(name, said) for name, said in raw.items()})


def _word(name: str, raw: Document) -> RolloutReport:
    names = {key: frozenset(raw.get(key, ())) for key in STANDINGS}
    return RolloutReport(raw["revision"], **names, stopped=raw.get("stopped", ""), at=_time_of(name, raw, "at"))


def _capabilities(raw: Document) -> Capabilities:
    return Capabilities(
        type=TypeId(raw["type"]),
        pack_format=raw["packFormat"],
        operators=frozenset(raw["operators"]),
        slot_bytes=raw["slotBytes"],
        arena_bytes=raw["arenaBytes"],
        prebaked=tuple(raw.get("prebaked", ())),
        updates=raw.get("updates", True),
    )


def _artifact(raw: Document) -> Artifact:
    return Artifact(
        model=ModelRef(raw["model"]["name"], Version(raw["model"]["version"])),
        type=TypeId(raw["type"]),
        digest=Digest(raw["digest"]),
        pack_bytes=raw["packBytes"],
        arena_bytes=raw["arenaBytes"],
        operators=frozenset(raw["operators"]),
    )


def _time_of(name: str, raw: Document, key: str) -> datetime | None:
    return _time(f"{key} of {name}", raw[key]) if key in raw else None


def _time(what: str, text: str) -> datetime:
    """Read a moment; the schema has seen to its offset, only a calendar can see to its day."""
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise ObservedInvalid(f"{what}: {text!r} is no moment of the calendar") from error
