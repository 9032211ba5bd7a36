# SPDX-License-Identifier: Apache-2.0
"""The files of a status ref: YAML for programs, a README.md for people."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

import yaml

from reconciler.model import DeviceId, Phase, ReportedDigest, RolloutId, reported_digest
from reconciler.report.conditions import Condition, Conditions, Status
from reconciler.report.contest_status import ContestStatus
from reconciler.report.contest_table import contest_section
from reconciler.report.device_status import DeviceStatus
from reconciler.report.function_status import FunctionStatus
from reconciler.report.function_table import function_section
from reconciler.report.gateway_status import GatewayStatus
from reconciler.report.pipeline_status import PipelineStatus
from reconciler.report.pipeline_table import pipeline_section
from reconciler.report.rollout_status import RolloutStatus
from reconciler.report.rollout_table import rollout_section
from reconciler.report.training_status import TrainingStatus
from reconciler.report.training_table import training_section

_VERSION = "tinyfleet/v1alpha1"
_MAX_LISTED = 20
_KEPT = 2048  # rendered or parsed pieces that many devices share
_DEVICE = f"apiVersion: {_VERSION}\nkind: DeviceStatus\nmetadata:\n  name: ".encode()
_PLAIN_NAME = re.compile(r"[a-z][a-z0-9-]*[0-9]")  # never quoted: neither a number nor a word like `on`
_CONDITIONS = b"\n  conditions:\n"
_ITEM = b"  - type: "


def device_file(status: DeviceStatus) -> bytes:
    """Render the status of one device.

    Most of it is the same for many devices: each different head and each different condition is rendered once.
    """
    name = status.device.encode() if _PLAIN_NAME.fullmatch(status.device) else _scalar(status.device)
    phase = status.phase.value if status.phase is not None else None
    parameters = None
    if status.parameters is not None:  # with their types: 1 and 1.0 are equal, and rendered differently
        parameters = tuple((key, type(value), value) for key, value in status.parameters.items())
    head = _device_head(status.model, status.running, phase, status.sequence, parameters, status.cohort)
    return b"".join((_DEVICE, name, head, _CONDITIONS, *map(_condition_item, status.conditions)))


def read_device_file(data: bytes) -> DeviceStatus:
    """Read what `device_file` rendered: after a restart, the old conditions provide `since`."""
    head, found, items = data.partition(_CONDITIONS)
    document = yaml.load(head, Loader=yaml.CSafeLoader)
    fields = document["status"]
    return DeviceStatus(
        device=DeviceId(document["metadata"]["name"]),
        running=reported_digest(fields["running"]) if fields["running"] else None,
        model=fields["model"],
        phase=Phase(fields["phase"]) if fields["phase"] else None,
        sequence=fields["sequence"],
        conditions=_read_items(items) if found else _conditions(fields),
        parameters=fields.get("parameters"),
        cohort=fields.get("cohort"),
    )


def read_device_conditions(data: bytes) -> Conditions:
    """Read only the conditions of what `device_file` rendered."""
    return _read_items(data.partition(_CONDITIONS)[2])


def read_gateway_file(data: bytes) -> GatewayStatus:
    """Read what `gateway_file` rendered."""
    document = yaml.load(data, Loader=yaml.CSafeLoader)
    fields = document["status"]
    return GatewayStatus(document["metadata"]["name"], fields["commit"], _conditions(fields), fields.get("cohortLabel"))


def gateway_file(status: GatewayStatus) -> bytes:
    """Render the status of the gateway."""
    conditions = [condition.as_dict() for condition in status.conditions]
    label = {} if status.cohort_label is None else {"cohortLabel": status.cohort_label}
    return _document("GatewayStatus", status.name, {"commit": status.commit, **label, "conditions": conditions})


def readme(  # noqa: PLR0913, PLR0917 - one for each kind of status
    gateway: GatewayStatus,
    devices: Iterable[DeviceStatus],
    rollouts: Mapping[DeviceId, RolloutId],
    rollout_statuses: Iterable[RolloutStatus] = (),
    contests: Iterable[ContestStatus] = (),
    trainings: Iterable[TrainingStatus] = (),
    pipelines: Iterable[PipelineStatus] = (),
    functions: Iterable[FunctionStatus] = (),
) -> bytes:
    """Render the state of the fleet for a person who reads it on a forge."""
    every = sorted(devices, key=lambda status: status.device)
    ready = sum(status.ready.status is Status.TRUE for status in every)
    enforced = f"commit `{gateway.commit[:12]}`" if gateway.commit else "nothing yet"
    lines = [
        f"# Gateway {gateway.name}",
        "",
        f"Enforces {enforced}. **{gateway.ready.reason}**: {gateway.ready.message}",
        "",
        f"{ready} of {len(every)} devices are ready.",
        "",
        *_devices_by_rollout(every, rollouts),
        *rollout_section(rollout_statuses),
        *contest_section(contests),
        *training_section(trainings),
        *pipeline_section(pipelines),
        *function_section(functions),
        *_not_ready(every),
    ]
    return "\n".join(lines).encode()


def _devices_by_rollout(devices: list[DeviceStatus], rollouts: Mapping[DeviceId, RolloutId]) -> list[str]:
    counts: dict[str, Counter[str]] = {}
    for status in devices:
        state = "ready" if status.ready.status is Status.TRUE else status.ready.reason
        counts.setdefault(rollouts.get(status.device, RolloutId("(none)")), Counter())[state] += 1
    lines = ["| rollout | ready | not ready |", "|---|---|---|"]
    for name in sorted(counts):
        rest = ", ".join(f"{number} {reason}" for reason, number in sorted(counts[name].items()) if reason != "ready")
        lines.append(f"| {name} | {counts[name]['ready']} | {rest or '-'} |")
    return [*lines, ""]


def _not_ready(devices: list[DeviceStatus]) -> list[str]:
    waiting = [status for status in devices if status.ready.status is not Status.TRUE]
    if not waiting:
        return []
    rows = [
        f"| {status.device} | {status.ready.reason} | {status.ready.message} | {status.ready.since:%Y-%m-%d %H:%M} |"
        for status in waiting[:_MAX_LISTED]
    ]
    more = [f"\n… and {len(waiting) - _MAX_LISTED} more, in `devices/`."] if len(waiting) > _MAX_LISTED else []
    return ["## Not ready", "", "| device | reason | message | since (UTC) |", "|---|---|---|---|", *rows, *more, ""]


def _conditions(fields: Mapping[str, Any]) -> Conditions:
    return tuple(Condition.from_dict(each) for each in fields["conditions"])


@lru_cache(maxsize=_KEPT)
def _device_head(  # noqa: PLR0913, PLR0917 - each field of the head; all are hashed for the cache
    model: str | None,
    running: ReportedDigest | None,
    phase: str | None,
    sequence: int,
    parameters: tuple[tuple[str, type, int | float], ...] | None,
    cohort: str | None,
) -> bytes:
    """Render what follows the name of a device, up to its conditions."""
    fields = {"model": model, "running": running, "phase": phase, "sequence": sequence}
    label = {} if cohort is None else {"cohort": cohort}
    more = {} if parameters is None else {"parameters": {key: value for key, _, value in parameters}}
    document = _document("", "", {**fields, **label, **more})
    return document[document.index(b"\nstatus:\n") :].removesuffix(b"\n")


@lru_cache(maxsize=_KEPT)
def _condition_item(condition: Condition) -> bytes:
    """Render one item of `conditions`, at the place where a status document has it."""
    document = _document("", "", {"conditions": [condition.as_dict()]})
    return document.partition(_CONDITIONS)[2]


def _read_items(items: bytes) -> Conditions:
    first, *rest = (b"\n" + items).split(b"\n" + _ITEM)
    if first or not rest:
        raise ValueError("a status file needs conditions")
    return tuple(_read_item(_ITEM + each) for each in rest)


@lru_cache(maxsize=_KEPT)
def _read_item(item: bytes) -> Condition:
    (fields,) = yaml.load(item, Loader=yaml.CSafeLoader)
    return Condition.from_dict(fields)


def _scalar(text: str) -> bytes:
    return _document("", text, {}).partition(b"  name: ")[2].partition(b"\nstatus:")[0]


def _document(kind: str, name: str, status: Mapping[str, Any]) -> bytes:
    document = {"apiVersion": _VERSION, "kind": kind, "metadata": {"name": name}, "status": dict(status)}
    text: bytes = yaml.dump(
        document, Dumper=yaml.CSafeDumper, sort_keys=False, allow_unicode=True, width=120, encoding="utf-8"
    )
    return text
