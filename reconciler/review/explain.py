# SPDX-License-Identifier: Apache-2.0
"""Why a device is in its state: the desired state with its source lines, the comparison, the history, what is next."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from reconciler.model import (
    Action,
    Desired,
    Device,
    DeviceId,
    DeviceType,
    GatewayId,
    Model,
    MqttAddress,
    NoChange,
    Rollout,
    RolloutId,
    SerialAddress,
)
from reconciler.plan import detailed_plan
from reconciler.plan.claims import Claims
from reconciler.plan.rollout.evaluation import RolloutEvaluation
from reconciler.report.conditions import Status
from reconciler.report.device_status import DeviceStatus
from reconciler.report.remedies import REMEDIES
from reconciler.review.formatting import short
from reconciler.review.reported_state import GatewayReport, MissingStatus, ReportedState, observed, running
from reconciler.selection import matcher

Locate = Callable[..., str]  # (kind, key, path of a field) → file and line


@dataclass(frozen=True, slots=True)
class Statement:
    """What one document states about the device."""

    document: str
    name: str
    location: str  # file and line; empty: none
    text: str


@dataclass(frozen=True, slots=True)
class Comparison:
    """One desired value next to the observed one."""

    subject: str
    desired: str
    observed: str
    matches: bool | None  # None: unknown, or not applicable


@dataclass(frozen=True, slots=True)
class HistoryEntry:
    """Something that happened or was observed."""

    at: datetime | None
    text: str


@dataclass(frozen=True, slots=True)
class DaemonState:
    """What the daemon of the device's gateway knows in addition to the committed status."""

    running: bool = False
    seen_at: datetime | None = None
    in_progress: str = ""
    waiting: str = ""  # why an update waits for a retry
    last_order: str = ""
    failures: Mapping[str, str] = field(default_factory=dict)  # digest: reason


@dataclass(frozen=True, slots=True)
class Explanation:
    """Everything that explains one device."""

    device: DeviceId
    desired: tuple[Statement, ...]
    comparison: tuple[Comparison, ...]
    history: tuple[HistoryEntry, ...]
    next: tuple[str, ...]
    status: DeviceStatus | None


@dataclass(frozen=True, slots=True)
class ExplanationInputs:
    """The inputs of an explanation."""

    desired: Desired
    reported: ReportedState
    status: DeviceStatus | None
    daemon: DaemonState | None
    locate: Locate


def explain(name: DeviceId, inputs: ExplanationInputs, now: datetime) -> Explanation:
    """Explain a device of the desired state."""
    desired = inputs.desired
    device = desired.devices[name]
    claim = Claims(desired).of(device)
    rollout = desired.rollouts[claim.rollout] if claim.rollout is not None else None
    report = inputs.reported.gateways.get(claim.gateway) if claim.gateway is not None else None
    seen = observed(
        inputs.reported,
        desired,
        running(inputs.reported, desired),
        now,
        before=desired,
        missing_status=MissingStatus.ASSUME_SILENT,
    )
    reasoned = detailed_plan(desired, seen, now)
    action = next(each for each in reasoned.actions if each.device == name)
    evaluation = reasoned.evaluations.get(rollout.name) if rollout is not None else None
    return Explanation(
        name,
        tuple(_desired(inputs, device, rollout, claim.gateway)),
        tuple(_comparison(inputs, device, rollout, evaluation)),
        tuple(_history(inputs)),
        tuple(_next(inputs, action, report)),
        inputs.status,
    )


def _desired(
    inputs: ExplanationInputs, device: Device, rollout: Rollout | None, gateway: GatewayId | None
) -> list[Statement]:
    desired, locate = inputs.desired, inputs.locate
    link = _link(device)
    found = [
        Statement("Device", device.name, locate("Device", device.name), f"has type {device.type}, reached over {link}"),
        Statement("DeviceType", device.type, locate("DeviceType", device.type), _type_text(desired.types[device.type])),
    ]
    if gateway is None:
        found.append(Statement("Gateway", "-", "", "no gateway serves the device"))
    else:
        found.append(Statement("Gateway", gateway, locate("Gateway", gateway, "spec", "selector"), "serves the device"))
    if rollout is None:
        return [*found, Statement("Rollout", "-", "", "no rollout selects the device")]
    others = [
        each.name for each in desired.rollouts.values() if each.name != rollout.name and matcher(each.selector)(device)
    ]
    over = f"; its priority {rollout.priority} takes precedence over {', '.join(sorted(others))}" if others else ""
    model = desired.models[rollout.model]
    found += [
        Statement(
            "Rollout", rollout.name, locate("Rollout", rollout.name, "spec", "selector"), f"selects the device{over}"
        ),
        Statement(
            "Rollout", rollout.name, locate("Rollout", rollout.name, "spec", "model"), f"sets the model {rollout.model}"
        ),
    ]
    if rollout.suspend:
        found.append(
            Statement("Rollout", rollout.name, locate("Rollout", rollout.name, "spec", "suspend"), "is suspended")
        )
    source = locate("Model", model.ref, "spec", "source")
    found.append(Statement("Model", str(model.ref), source, f"has the source {short(model.source.sha256)}"))
    return [*found, *_parameters(rollout, model, locate)]


def _parameters(rollout: Rollout, model: Model, locate: Locate) -> list[Statement]:
    found = []
    for key, value in sorted({**model.parameters, **rollout.parameters}.items()):
        of_rollout = key in rollout.parameters
        kind, name = ("Rollout", rollout.name) if of_rollout else ("Model", str(model.ref))
        at: Hashable = rollout.name if of_rollout else model.ref
        over = f", overriding the model's {model.parameters[key]}" if of_rollout and key in model.parameters else ""
        found.append(Statement(kind, name, locate(kind, at, "spec", "parameters", key), f"sets {key} to {value}{over}"))
    return found


def _type_text(kind: DeviceType) -> str:
    return (
        f"has a slot of {kind.slot_bytes:,} bytes and an arena of {kind.arena_bytes:,} bytes; updates: {kind.updates}"
    )


def _link(device: Device) -> str:
    match device.link:
        case SerialAddress(port=port, baud=baud, address=address):
            return f"{port} at {baud} baud, address {address}"
        case MqttAddress():
            return "MQTT"


def _comparison(
    inputs: ExplanationInputs, device: Device, rollout: Rollout | None, evaluation: RolloutEvaluation | None
) -> list[Comparison]:
    status = inputs.status
    if rollout is None:
        return []
    runs = (status.model or status.running or "nothing") if status is not None else "not reported"
    same = runs == str(rollout.model) if status is not None else None
    found = [Comparison("model", str(rollout.model), runs, same)]
    kind, needs = inputs.desired.types[device.type], inputs.desired.models[rollout.model].needs
    limits = (("slot", needs.slot_bytes, kind.slot_bytes), ("arena", needs.arena_bytes, kind.arena_bytes))
    for what, need, have in limits:
        if need:
            found.append(Comparison(f"{what} bytes", f"{need:,} declared by the model", f"{have:,}", need <= have))
    if needs.operators:
        missing = ", ".join(sorted(needs.operators - kind.operators))
        there = f"lacks {missing}" if missing else "all present"
        found.append(Comparison("operators", ", ".join(sorted(needs.operators)), there, not missing))
    if evaluation is not None:
        found += _wave(device, evaluation)
    return found


def _wave(device: Device, evaluation: RolloutEvaluation) -> list[Comparison]:
    for number, step in enumerate(evaluation.steps, start=1):
        if device.name in step.members:
            state = f"wave {number} of {len(evaluation.steps)} ({step.name})"
            is_open = number <= evaluation.progress.opened and not evaluation.progress.stopped
            return [Comparison("wave", state, "open" if is_open else "not open", is_open)]
    return [Comparison("wave", "none: the device can never run the model", "-", None)]


def _history(inputs: ExplanationInputs) -> list[HistoryEntry]:
    status, daemon = inputs.status, inputs.daemon
    found = []
    if status is None:
        return [HistoryEntry(None, "its gateway has not reported it yet")]
    for each in sorted(status.conditions[1:], key=lambda condition: condition.since):
        commit = f" at commit {short(each.observed_commit)}" if each.observed_commit else ""
        found.append(
            HistoryEntry(each.since, f"{each.type} became {each.status.value}{commit}: {each.reason}: {each.message}")
        )
    if daemon is not None:
        if daemon.last_order:
            found.append(HistoryEntry(None, f"the last order: {daemon.last_order}"))
        found += [
            HistoryEntry(None, f"{short(digest)} failed on the device: {why}")
            for digest, why in daemon.failures.items()
        ]
        if daemon.seen_at is not None:
            found.append(HistoryEntry(daemon.seen_at, "last report"))
    return found


def _next(inputs: ExplanationInputs, action: Action, report: GatewayReport | None) -> list[str]:
    """Return what happens next: what the gateway reports, or what it would do with this commit."""
    found = []
    daemon, status = inputs.daemon, inputs.status
    if daemon is not None and daemon.in_progress:
        found.append(f"in progress: {daemon.in_progress}")
    if daemon is not None and daemon.waiting:
        found.append(f"waiting to retry: {daemon.waiting}")
    if daemon is not None and not daemon.running:
        found.append("the daemon of this gateway is not running: nothing happens until it starts")
    commit = inputs.desired.commit
    if report is None:
        found.append(f"its gateway has committed no status; with commit {short(commit)} it would: {_describe(action)}")
    elif report.commit != commit:
        enforced = short(report.commit) if report.commit else "nothing"
        found.append(
            f"gateway {report.gateway} enforces {enforced}; with {short(commit)} it would: {_describe(action)}"
        )
    elif status is not None:
        latest = next((each for each in status.conditions if each.type == "UpToDate"), status.ready)
        done = latest.status is Status.TRUE
        found.append("no change until Git changes" if done else f"{latest.reason}: {latest.message}")
        if not done and (remedy := REMEDIES.get(latest.reason)) is not None and remedy.act:
            found.append(f"what to do: {remedy.text}")
    else:
        found.append(_describe(action))
    return found


def _describe(action: Action) -> str:
    if isinstance(action, NoChange):
        return f"no change: {action.why}"
    kind = type(action).__name__
    return f"{kind.lower()}: {action.why}"


def rollout_of(desired: Desired, name: DeviceId) -> RolloutId | None:
    """Return the rollout that selects a device."""
    return Claims(desired).of(desired.devices[name]).rollout
