# SPDX-License-Identifier: Apache-2.0
"""Documents of kind Observed: what is read, and what is refused."""

from __future__ import annotations

import re
from dataclasses import fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from reconciler.load.observed_document import ObservedInvalid, observed_from, timestamp_of
from reconciler.load.schema_validator import validator
from reconciler.model import (
    Artifact,
    Before,
    Capabilities,
    Counts,
    DeviceHealth,
    DeviceId,
    Digest,
    ModelRef,
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

DIGEST = "ab" * 32
CAPABILITIES = {"type": "esp32", "packFormat": 1, "operators": ["ADD"], "slotBytes": 9, "arenaBytes": 8}
BUILT = {
    "model": {"name": "m", "version": "1"},
    "type": "esp32",
    "digest": DIGEST,
    "packBytes": 7,
    "arenaBytes": 6,
    "operators": ["ADD"],
}
SCORES = {"count": 2, "min": -1, "max": 5, "mean": 2.0, "histogram": [1, 1, 0, 0, 0, 0, 0, 0]}
FULL = {
    "lastSeen": "2026-11-21T10:00:00+02:00",
    "phase": "receiving",
    "running": DIGEST,
    "otherSlot": "cd" * 16,
    "incoming": "ef" * 16,
    "previousFailed": "01" * 16,
    "confirmedSince": "2026-11-20T10:00:00.5Z",
    "sequence": 3,
    "parameters": {"threshold": 0.5},
    "capabilities": {**CAPABILITIES, "prebaked": ["23" * 16], "updates": False},
    "before": {"revision": "ab" * 8, "running": "45" * 16, "parameters": {"threshold": 0.4}},
    "health": {
        "now": {"inferences": 9, "anomalies": 1, "faults": 2, "resets": 3, "seconds": 1.5, "scores": SCORES},
        "before": {"inferences": 8, "anomalies": 0, "faults": 0, "resets": 0},
    },
    "flaps": 2,
    "flappedAt": "2026-11-21T07:00:00Z",
}


def document(**more: object) -> dict[str, Any]:
    return {"apiVersion": "tinyfleet/v1alpha1", "kind": "Observed", **more}


def is_valid(value: dict[str, Any]) -> bool:
    return bool(validator("Observed").is_valid(value))


def test_every_field_is_read() -> None:
    value = document(devices={"d1": FULL}, artifacts=[BUILT], quarantined=[{"device": "d1", "digest": DIGEST}])
    assert is_valid(value)
    observed = observed_from(value)
    assert observed.devices[DeviceId("d1")] == ObservedDevice(
        last_seen=datetime(2026, 11, 21, 8, tzinfo=UTC),
        phase=Phase.RECEIVING,
        running=Digest(DIGEST),
        other_slot=Digest("cd" * 16),
        incoming=Digest("ef" * 16),
        previous_failed=Digest("01" * 16),
        confirmed_since=datetime(2026, 11, 20, 10, 0, 0, 500_000, tzinfo=UTC),
        sequence=3,
        parameters={"threshold": 0.5},
        capabilities=Capabilities(
            TypeId("esp32"), 1, frozenset({"ADD"}), 9, 8, prebaked=(Digest("23" * 16),), updates=False
        ),
        before=Before("ab" * 8, Digest("45" * 16), {"threshold": 0.4}),
        health=DeviceHealth(
            Counts(9, 1, 2, 3, 1.5, Scores(2, -1, 5, 2.0, (1, 1, 0, 0, 0, 0, 0, 0))), before=Counts(8, 0, 0, 0)
        ),
        flaps=2,
        flapped_at=datetime(2026, 11, 21, 7, tzinfo=UTC),
    )
    artifact = Artifact(ModelRef("m", Version("1")), TypeId("esp32"), Digest(DIGEST), 7, 6, frozenset({"ADD"}))
    assert observed.artifacts == {(artifact.model, artifact.type): artifact}
    assert observed.quarantined == {("d1", DIGEST)}


def test_memories_and_peer_reports_are_read() -> None:
    value = document(
        gateway="hall",
        rollouts={"r": {"revision": "ab" * 8, "stopped": "why", "stoppedAt": "2026-11-21T08:00:00Z"}},
        peers={"yard": {"r": {"revision": "ab" * 8, "done": ["d1"], "out": ["d2"], "at": "2026-11-21T08:00:00Z"}}},
    )
    assert is_valid(value)
    observed, at = observed_from(value), datetime(2026, 11, 21, 8, tzinfo=UTC)
    assert observed.gateway == "hall"
    assert observed.rollouts == {"r": RolloutMemory("ab" * 8, "why", at)}
    report = RolloutReport("ab" * 8, done=frozenset({DeviceId("d1")}), out=frozenset({DeviceId("d2")}), at=at)
    assert observed.peers == {"yard": PeerReport({RolloutId("r"): report})}


def test_omitted_fields_have_the_defaults_of_the_type() -> None:
    value = document(devices={"d1": {"lastSeen": "2026-11-21T08:00:00Z", "phase": "idle"}})
    assert is_valid(value)
    assert observed_from(value).devices[DeviceId("d1")] == ObservedDevice(
        datetime(2026, 11, 21, 8, tzinfo=UTC), Phase.IDLE, None
    )
    assert observed_from(document()).devices == {}


@pytest.mark.parametrize(
    ("kind", "type_"),
    [
        ("device", ObservedDevice),
        ("capabilities", Capabilities),
        ("artifact", Artifact),
        ("counts", Counts),
        ("scores", Scores),
        ("memory", RolloutMemory),
        ("report", RolloutReport),
    ],
)
def test_schema_and_types_name_the_same_fields(kind: str, type_: type) -> None:
    top: Any = validator("Observed").schema
    device = top["properties"]["devices"]["additionalProperties"]
    shapes = {
        "device": device,
        "capabilities": device["properties"]["capabilities"],
        "artifact": top["properties"]["artifacts"]["items"],
        "counts": device["properties"]["health"]["properties"]["now"],
        "scores": device["properties"]["health"]["properties"]["now"]["properties"]["scores"],
        "memory": top["properties"]["rollouts"]["additionalProperties"],
        "report": top["properties"]["peers"]["additionalProperties"]["additionalProperties"],
    }
    snake = {re.sub("([A-Z])", r"_\1", name).lower() for name in shapes[kind]["properties"]}
    assert snake == {each.name for each in fields(type_)}


def test_schema_and_type_name_the_same_phases() -> None:
    top: Any = validator("Observed").schema
    device = top["properties"]["devices"]["additionalProperties"]
    assert device["properties"]["phase"]["enum"] == [str(phase) for phase in Phase]


@pytest.mark.parametrize(
    "wrong",
    [
        document(kind="Fleet"),
        document(devices={"Not A Name": {"lastSeen": "2026-11-21T08:00:00Z", "phase": "idle"}}),
        document(devices={"d1": {"lastSeen": "2026-11-21T08:00:00", "phase": "idle"}}),  # no offset
        document(devices={"d1": {"lastSeen": "2026-11-21T08:00:00Z", "phase": "asleep"}}),
        document(devices={"d1": {"lastSeen": "2026-11-21T08:00:00Z", "phase": "idle", "running": "ab" * 20}}),
        document(artifacts=[{**BUILT, "digest": "ab" * 16}]),  # half a digest names no artifact
        document(more=1),
    ],
)
def test_the_schema_refuses_other_shapes(wrong: dict[str, Any]) -> None:
    assert not is_valid(wrong)


@pytest.mark.parametrize("when", ["2026-02-30T08:00:00Z", "2026-02-03T25:00:00Z", "0001-01-01T00:00:00+14:00"])
def test_a_time_that_no_calendar_has_is_refused(when: str) -> None:
    value = document(at=when)
    assert is_valid(value)
    with pytest.raises(ObservedInvalid, match="is not a valid date and time"):
        timestamp_of(value)


def test_two_artifacts_of_one_model_for_one_type_contradict_each_other() -> None:
    assert len(observed_from(document(artifacts=[BUILT, BUILT])).artifacts) == 1
    with pytest.raises(ObservedInvalid, match="two different artifacts of m@1 for esp32"):
        observed_from(document(artifacts=[BUILT, {**BUILT, "packBytes": 8}]))


def test_the_example_of_the_specification_is_valid() -> None:
    page = (Path(__file__).parents[2] / "docs" / "specs" / "observed.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    value = yaml.safe_load(example)
    assert is_valid(value)
    assert timestamp_of(value) == datetime(2026, 11, 21, 8, 30, tzinfo=UTC)
    assert len(observed_from(value).devices) == 1
