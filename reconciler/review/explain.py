# SPDX-License-Identifier: Apache-2.0
"""Why a device is as it is: which line wants what, what was compared, what was done and when, and what comes next."""

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
from reconciler.review.reported_state import GatewayReport, ReportedState, UnheardPolicy, observed, running
from reconciler.selection import matcher

Where = Callable[..., str]  # kind, key, path of a field: the file and line of it


@dataclass(frozen=True, slots=True)
class Wants:
    """One document that has a say."""

    document: str
    name: str
    where: str
    says: str


@dataclass(frozen=True, slots=True)
class Compared:
    """One thing as it is wanted and as it is."""

    what: str
    wanted: str
    found: str
    same: bool | None  # None: not known, or not to be judged


@dataclass(frozen=True, slots=True)
class StepDone:
    """Something that was done or found out."""

    at: datetime | None
    what: str


@dataclass(frozen=True, slots=True)
class Daemon:
    """What the daemon of the device's gateway knows beyond its status."""

    working: bool = False
    seen_at: datetime | None = None
    in_progress: str = ""
    waiting: str = ""  # an update that will be tried again, and why
    ordered: str = ""  # the last order that was sent
    failures: Mapping[str, str] = field(default_factory=dict)  # digest: why


@dataclass(frozen=True, slots=True)
class Explanation:
    """The chain of one device."""

    device: DeviceId
    wants: tuple[Wants, ...]
    compared: tuple[Compared, ...]
    done: tuple[StepDone, ...]
    next: tuple[str, ...]
    status: DeviceStatus | None


@dataclass(frozen=True, slots=True)
class Known:
    """What an explanation is made of."""

    desired: Desired
    evidence: ReportedState
    status: DeviceStatus | None
    daemon: Daemon | None
    where: Where


def explain(name: DeviceId, known: Known, now: datetime) -> Explanation:
    """Follow the chain of a device that Git knows."""
    desired = known.desired
    device = desired.devices[name]
    claim = Claims(desired).of(device)
    rollout = desired.rollouts[claim.rollout] if claim.rollout is not None else None
    told = known.evidence.gateways.get(claim.gateway) if claim.gateway is not None else None
    seen = observed(
        known.evidence, desired, running(known.evidence, desired), now, before=desired, unheard=UnheardPolicy.SILENT
    )
    reasoned = detailed_plan(desired, seen, now)
    action = next(each for each in reasoned.actions if each.device == name)
    course = reasoned.evaluations.get(rollout.name) if rollout is not None else None
    return Explanation(
        name,
        tuple(_wants(known, device, rollout, claim.gateway)),
        tuple(_compared(known, device, rollout, course)),
        tuple(_done(known)),
        tuple(_next(known, action, told)),
        known.status,
    )


def _wants(known: Known, device: Device, rollout: Rollout | None, gateway: GatewayId | None) -> list[Wants]:
    desired, where = known.desired, known.where
    link = _link(device)
    found = [
        Wants("Device", device.name, where("Device", device.name), f"is of type {device.type}, reached over {link}"),
        Wants("DeviceType", device.type, where("DeviceType", device.type), _type_says(desired.types[device.type])),
    ]
    if gateway is None:
        found.append(Wants("Gateway", "-", "", "no gateway serves it"))
    else:
        found.append(Wants("Gateway", gateway, where("Gateway", gateway, "spec", "selector"), "serves it"))
    if rollout is None:
        return [*found, Wants("Rollout", "-", "", "no rollout wants anything of it")]
    others = [
        each.name for each in desired.rollouts.values() if each.name != rollout.name and matcher(each.selector)(device)
    ]
    over = f"; its priority {rollout.priority} goes over {', '.join(sorted(others))}" if others else ""
    model = desired.models[rollout.model]
    found += [
        Wants("Rollout", rollout.name, where("Rollout", rollout.name, "spec", "selector"), f"has it{over}"),
        Wants("Rollout", rollout.name, where("Rollout", rollout.name, "spec", "model"), f"wants {rollout.model}"),
    ]
    if rollout.suspend:
        found.append(Wants("Rollout", rollout.name, where("Rollout", rollout.name, "spec", "suspend"), "is suspended"))
    source = where("Model", model.ref, "spec", "source")
    found.append(Wants("Model", str(model.ref), source, f"is {model.source.sha256[:12]}"))
    return [*found, *_parameters(rollout, model, where)]


def _parameters(rollout: Rollout, model: Model, where: Where) -> list[Wants]:
    found = []
    for key, value in sorted({**model.parameters, **rollout.parameters}.items()):
        of_rollout = key in rollout.parameters
        kind, name = ("Rollout", rollout.name) if of_rollout else ("Model", str(model.ref))
        at: Hashable = rollout.name if of_rollout else model.ref
        over = f", over the model's {model.parameters[key]}" if of_rollout and key in model.parameters else ""
        found.append(Wants(kind, name, where(kind, at, "spec", "parameters", key), f"wants {key} {value}{over}"))
    return found


def _type_says(kind: DeviceType) -> str:
    return f"has a slot of {kind.slot_bytes:,} and an arena of {kind.arena_bytes:,} bytes; updates: {kind.updates}"


def _link(device: Device) -> str:
    match device.link:
        case SerialAddress(port=port, baud=baud, address=address):
            return f"{port} at {baud} baud, address {address}"
        case MqttAddress():
            return "MQTT"


def _compared(
    known: Known, device: Device, rollout: Rollout | None, course: RolloutEvaluation | None
) -> list[Compared]:
    status = known.status
    if rollout is None:
        return []
    runs = (status.model or status.running or "nothing") if status is not None else "not told"
    same = runs == str(rollout.model) if status is not None else None
    found = [Compared("model", str(rollout.model), runs, same)]
    kind, needs = known.desired.types[device.type], known.desired.models[rollout.model].needs
    room = (("slot", needs.slot_bytes, kind.slot_bytes), ("arena", needs.arena_bytes, kind.arena_bytes))
    for what, need, have in room:
        if need:
            found.append(Compared(f"{what} bytes", f"{need:,} by the model's word", f"{have:,}", need <= have))
    if needs.operators:
        missing = ", ".join(sorted(needs.operators - kind.operators))
        there = f"lacks {missing}" if missing else "all there"
        found.append(Compared("operators", ", ".join(sorted(needs.operators)), there, not missing))
    if course is not None:
        found += _wave(device, course)
    return found


def _wave(device: Device, course: RolloutEvaluation) -> list[Compared]:
    for number, step in enumerate(course.steps, start=1):
        if device.name in step.members:
            state = f"wave {number} of {len(course.steps)} ({step.name})"
            is_open = number <= course.progress.opened and not course.progress.stopped
            return [Compared("wave", state, "open" if is_open else "not open", is_open)]
    return [Compared("wave", "none: it can never have the model", "-", None)]


def _done(known: Known) -> list[StepDone]:
    status, daemon = known.status, known.daemon
    found = []
    if status is None:
        return [StepDone(None, "its gateway has told nothing of it yet")]
    for each in sorted(status.conditions[1:], key=lambda condition: condition.since):
        commit = f" at commit {each.observed_commit[:12]}" if each.observed_commit else ""
        found.append(
            StepDone(each.since, f"{each.type} became {each.status.value}{commit}: {each.reason}, {each.message}")
        )
    if daemon is not None:
        if daemon.ordered:
            found.append(StepDone(None, f"the last order was {daemon.ordered}"))
        found += [StepDone(None, f"{digest[:12]} failed on it: {why}") for digest, why in daemon.failures.items()]
        if daemon.seen_at is not None:
            found.append(StepDone(daemon.seen_at, "reported last"))
    return found


def _next(known: Known, action: Action, told: GatewayReport | None) -> list[str]:
    """Say what happens next: what the gateway does by its own word, and what this commit will have it do."""
    found = []
    daemon, status = known.daemon, known.status
    if daemon is not None and daemon.in_progress:
        found.append(f"under way: {daemon.in_progress}")
    if daemon is not None and daemon.waiting:
        found.append(f"will be tried again: {daemon.waiting}")
    if daemon is not None and not daemon.working:
        found.append("no daemon works on this gateway at the moment: nothing happens until it does")
    commit = known.desired.commit
    if told is None:
        found.append(f"its gateway has committed no status; by commit {commit[:12]} it would: {_words(action)}")
    elif told.commit != commit:
        enforced = told.commit[:12] or "nothing"
        found.append(f"gateway {told.gateway} enforces {enforced}; with {commit[:12]} it would: {_words(action)}")
    elif status is not None:
        latest = next((each for each in status.conditions if each.type == "UpToDate"), status.ready)
        done = latest.status is Status.TRUE
        found.append("nothing, until Git changes" if done else f"{latest.reason}: {latest.message}")
    else:
        found.append(_words(action))
    return found


def _words(action: Action) -> str:
    if isinstance(action, NoChange):
        return f"nothing to do: {action.why}"
    kind = type(action).__name__
    return f"{kind.lower()}: {action.why}"


def rollout_of(desired: Desired, name: DeviceId) -> RolloutId | None:
    """Name the rollout that has a device."""
    return Claims(desired).of(desired.devices[name]).rollout
