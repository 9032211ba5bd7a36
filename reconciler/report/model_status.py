# SPDX-License-Identifier: Apache-2.0
"""The phases of a model, from its adaptation to its monitoring, as conditions.

The phases are those of Antonini et al., Tiny-MLOps (2022). Each message has the figure of its phase. As with contests,
a status stays the same until a phase changes, so that figures alone cause no commit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import yaml

from reconciler.errors import Invalid
from reconciler.model import Parameters, RolloutId, TypeId
from reconciler.report.conditions import Condition, Conditions, Status, carry_over, ready
from reconciler.report.device_status import PassStamp

KIND = "ModelStatus"
PRIORITY = ("Adapted", "Verified", "Packaged", "Released", "Configured", "Monitored")
DAY_S = 86_400


class InvalidModelStatus(Invalid):
    """The file is not a valid model status."""

    reason: ClassVar[str] = "InvalidStatus"


@dataclass(frozen=True, slots=True)
class BuiltPack:
    """The pack of a model for one device type."""

    type: TypeId
    bytes: int
    arena_bytes: int
    scheme: str  # of its numbers, such as int8; empty: the source was not quantized
    gates: Sequence[str] = ()  # each with the figure that was measured, such as `auc 0.981 (at least 0.95)`


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """What a pass knows about one version of a model."""

    model: str
    rollouts: tuple[RolloutId, ...]  # that give it to devices
    packs: tuple[BuiltPack, ...]  # by type
    missing: tuple[TypeId, ...] = ()  # types of devices that should have it and have no pack
    failures: Mapping[TypeId, str] = field(default_factory=dict)  # of builds, with their reason
    devices: int = 0  # that should run it
    running: int = 0  # that run it, and not on trial
    configured: int = 0  # of these, with the parameters that Git wants
    parameters: Parameters = field(default_factory=dict)  # that Git wants
    reporting: int = 0  # of which counters are known
    alarms: int = 0
    device_seconds: float = 0.0  # over which the alarms were counted, added up over devices


@dataclass(frozen=True, slots=True)
class ModelStatus:
    """One version of a model as its status file shows it."""

    model: str
    conditions: Conditions

    @property
    def ready(self) -> Condition:
        """The summary condition."""
        return self.conditions[0]


def model_status(facts: ModelFacts, stamp: PassStamp, previous: ModelStatus | None) -> ModelStatus:
    """Build the conditions of a model; return the previous status if only figures differ."""

    def condition(kind: str, status: Status, reason: str, message: str) -> Condition:
        return Condition(kind, status, reason, message, stamp.now, stamp.commit)

    parts = tuple(condition(kind, *PARTS[kind](facts)) for kind in PRIORITY)
    before = previous.conditions if previous is not None else ()
    kept = carry_over(parts, before)
    summary = carry_over((ready(kept, PRIORITY, when_true="It runs on all devices that should run it."),), before)
    status = ModelStatus(facts.model, (*summary, *kept))
    return previous if previous is not None and _outline(previous) == _outline(status) else status


def model_path(model: str) -> str:
    """Return the path of a model's status file."""
    name, _, version = model.rpartition("@")
    return f"models/{name}/{version}.yaml"


def model_file(status: ModelStatus) -> bytes:
    """Render the status of one model."""
    name, _, version = status.model.rpartition("@")
    fields = {"version": version, "conditions": [each.as_dict() for each in status.conditions]}
    document = {"apiVersion": "tinyfleet/v1alpha1", "kind": KIND, "metadata": {"name": name}, "status": fields}
    text: bytes = yaml.dump(
        document, Dumper=yaml.CSafeDumper, sort_keys=False, allow_unicode=True, width=120, encoding="utf-8"
    )
    return text


def read_model_file(data: bytes) -> ModelStatus:
    """Read a status file, or raise `InvalidModelStatus`."""
    try:
        document: Mapping[str, Any] = yaml.load(data, Loader=yaml.CSafeLoader)
        if document["kind"] != KIND:
            raise InvalidModelStatus(f"a document of kind {document['kind']!r}")
        fields = document["status"]
        conditions = tuple(Condition.from_dict(each) for each in fields["conditions"])
        return ModelStatus(f"{document['metadata']['name']}@{fields['version']}", conditions)
    except (yaml.YAMLError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise InvalidModelStatus(f"not a model status: {error!r}"[:500]) from error


def _outline(status: ModelStatus) -> object:
    return status.model, [(each.type, each.status, each.reason) for each in status.conditions]


Part = tuple[Status, str, str]


def _unbuilt(facts: ModelFacts) -> Part | None:
    if facts.failures:
        kind, why = min(facts.failures.items())
        return Status.FALSE, "BuildFailed", f"for {kind}: {why}"
    if not facts.packs or facts.missing:
        return Status.UNKNOWN, "NotBuilt", f"not built for {', '.join(facts.missing) or 'any type'}"
    return None


def _adapted(facts: ModelFacts) -> Part:
    if (unbuilt := _unbuilt(facts)) is not None:
        return unbuilt
    schemes = ", ".join(f"{pack.scheme or 'as in its source'} for {pack.type}" for pack in facts.packs)
    return Status.TRUE, "Adapted", f"Numbers: {schemes}."


def _verified(facts: ModelFacts) -> Part:
    if (unbuilt := _unbuilt(facts)) is not None:
        return unbuilt
    gates = sorted({gate for pack in facts.packs for gate in pack.gates})
    return Status.TRUE, "Verified", f"Golden vectors match; {'; '.join(gates) if gates else 'it has no build gates'}."


def _packaged(facts: ModelFacts) -> Part:
    if (unbuilt := _unbuilt(facts)) is not None:
        return unbuilt
    sizes = "; ".join(f"{pack.bytes:,} bytes and {pack.arena_bytes:,} of RAM for {pack.type}" for pack in facts.packs)
    return Status.TRUE, "Packaged", f"{sizes}."


def _released(facts: ModelFacts) -> Part:
    if not facts.rollouts:
        return Status.UNKNOWN, "NotReleased", "no rollout gives it to a device of this gateway"
    message = f"{facts.running} of {facts.devices} devices run it"
    if facts.running < facts.devices:
        return Status.FALSE, "NotReleased", message
    return Status.TRUE, "Released", f"{message}."


def _configured(facts: ModelFacts) -> Part:
    values = ", ".join(f"{name} {value:g}" for name, value in sorted(facts.parameters.items())) or "no parameters"
    message = f"{values} on {facts.configured} of {facts.running} devices"
    if not facts.running:
        return Status.UNKNOWN, "NotConfigured", "no device runs it"
    if facts.configured < facts.running:
        return Status.FALSE, "NotConfigured", message
    return Status.TRUE, "Configured", f"{message}."


def _monitored(facts: ModelFacts) -> Part:
    if not facts.reporting or not facts.device_seconds:
        return Status.UNKNOWN, "NotMonitored", "no device has reported counters of it"
    per_day = facts.alarms * DAY_S / facts.device_seconds
    return Status.TRUE, "Monitored", f"{per_day:.2f} alarms a day on each of {facts.reporting} devices."


PARTS = {
    "Adapted": _adapted,
    "Verified": _verified,
    "Packaged": _packaged,
    "Released": _released,
    "Configured": _configured,
    "Monitored": _monitored,
}
