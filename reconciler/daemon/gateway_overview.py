# SPDX-License-Identifier: Apache-2.0
"""What a gateway knows, read while its daemon runs or not: its state database and its runtime status."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from reconciler.daemon import runtime_status
from reconciler.daemon.instance_lock import holder
from reconciler.devices.reports import CapabilitiesBody, DeviceReport, Flag
from reconciler.engine.observed.summaries import Total, counted, labelled, totals
from reconciler.engine.state.reader import StateReader, read_state
from reconciler.engine.state.records import DeviceRecord, QuarantineRecord
from reconciler.engine.state.schema import STATE_FILE
from reconciler.engine.status.renderer import DEVICES, GATEWAY
from reconciler.engine.status.status_folder import CONTESTS, FUNCTIONS, MODELS, PIPELINES, ROLLOUTS, TRAININGS
from reconciler.foreign_text import printable_line
from reconciler.model import DeviceId, short_digest
from reconciler.report.contest_file import read_contest_file
from reconciler.report.contest_status import ContestStatus
from reconciler.report.device_status import DeviceStatus
from reconciler.report.function_status import FunctionStatus, read_function_file
from reconciler.report.gateway_status import GatewayStatus
from reconciler.report.model_status import ModelStatus, read_model_file
from reconciler.report.pipeline_status import PipelineStatus, read_pipeline_file
from reconciler.report.rollout_file import read_rollout_file
from reconciler.report.rollout_status import RolloutStatus
from reconciler.report.status_files import read_device_file, read_gateway_file
from reconciler.report.training_status import TrainingStatus, read_training_file


@dataclass(frozen=True, slots=True)
class DeviceOverview:
    """One device: its status and its last reports."""

    status: DeviceStatus
    seen_at: datetime | None
    report: DeviceReport | None
    capabilities: CapabilitiesBody | None
    quarantined: Mapping[str, str]  # why, by digest

    @property
    def flags(self) -> list[str]:
        """Return the names of the error flags that the device raises."""
        return [flag.name or "" for flag in Flag if self.report is not None and flag in self.report.flags]


@dataclass(frozen=True, slots=True)
class GatewayOverview:
    """All that a gateway knows."""

    running: bool  # a daemon runs right now
    gateway: GatewayStatus | None
    devices: tuple[DeviceOverview, ...]
    totals: Mapping[str, Total]  # by model, or by digest where the model is unknown
    live: Mapping[str, Any] | None
    rollouts: tuple[RolloutStatus, ...]
    at: datetime  # when it was read
    contests: tuple[ContestStatus, ...] = ()
    models: tuple[ModelStatus, ...] = ()
    trainings: tuple[TrainingStatus, ...] = ()
    pipelines: tuple[PipelineStatus, ...] = ()
    functions: tuple[FunctionStatus, ...] = ()


def read_overview(state_dir: Path, only: DeviceId | None = None) -> GatewayOverview:
    """Read everything; with `only`, just that one of the devices."""
    running = holder(state_dir) is not None
    with recorded_state(state_dir) as state:
        gateway = state.status_file(GATEWAY)
        names = {short_digest(artifact.digest): str(artifact.model) for artifact, _ in state.artifacts()}
        one = _one_device(state, only) if only is not None else None
        devices = _all_devices(state) if only is None else (one,) if one is not None else ()
        return GatewayOverview(
            running,
            read_gateway_file(gateway) if gateway is not None else None,
            devices,
            labelled(totals(counted(state.summaries())), names),
            runtime_status.read(state_dir) if running else None,
            tuple(read_rollout_file(body) for body in state.status_files(ROLLOUTS).values()),
            datetime.now(UTC),
            tuple(read_contest_file(body) for body in state.status_files(CONTESTS).values()),
            tuple(read_model_file(body) for body in state.status_files(MODELS).values()),
            tuple(read_training_file(body) for body in state.status_files(TRAININGS).values()),
            tuple(read_pipeline_file(body) for body in state.status_files(PIPELINES).values()),
            tuple(read_function_file(body) for body in state.status_files(FUNCTIONS).values()),
        )


def read_device(state_dir: Path, device: DeviceId) -> DeviceOverview | None:
    """Read what is known of one device; None: this gateway does not serve it."""
    with recorded_state(state_dir) as state:
        return _one_device(state, device)


def served_devices(state_dir: Path) -> list[DeviceId]:
    """Return the names of the devices that have a status."""
    with recorded_state(state_dir) as state:
        return [DeviceId(name.removeprefix(DEVICES).removesuffix(".yaml")) for name in state.status_files(DEVICES)]


def device_facts(device: DeviceOverview) -> list[tuple[str, str]]:
    """Return what a device reports about itself, as labels and texts."""
    facts: list[tuple[str, str]] = []
    if (report := device.report) is not None:
        facts += [
            ("boots", str(report.boots)),
            ("inferences", str(report.inferences)),
            ("anomalies", str(report.anomalies)),
            ("faults", str(report.faults)),
            ("flags", ", ".join(device.flags) or "-"),
            ("last error", str(report.error)),
        ]
    if (capabilities := device.capabilities) is not None:
        facts += [
            ("type", capabilities.type),
            ("firmware", printable_line(capabilities.firmware)),
            ("slot", f"{capabilities.slot_bytes} bytes"),
            ("arena", f"{capabilities.arena_bytes} bytes"),
        ]
    return facts


@contextmanager
def recorded_state(state_dir: Path) -> Iterator[StateReader]:
    """Open a gateway's state for reading, whether its daemon runs or not; leaves no trace."""
    with read_state(state_dir / STATE_FILE, daemon_runs=holder(state_dir) is not None) as state:
        yield state


def _all_devices(state: StateReader) -> tuple[DeviceOverview, ...]:
    records = {record.device: record for record in state.devices()}
    failures: dict[DeviceId, list[QuarantineRecord]] = {}
    for failure in state.quarantined():
        failures.setdefault(failure.device, []).append(failure)
    statuses = (read_device_file(body) for body in state.status_files(DEVICES).values())
    return tuple(_overview(each, records.get(each.device), failures.get(each.device, [])) for each in statuses)


def _one_device(state: StateReader, device: DeviceId) -> DeviceOverview | None:
    body = state.status_file(f"{DEVICES}{device}.yaml")
    if body is None:
        return None
    return _overview(read_device_file(body), state.device(device), state.quarantined_on(device))


def _overview(status: DeviceStatus, record: DeviceRecord | None, failures: list[QuarantineRecord]) -> DeviceOverview:
    return DeviceOverview(
        status,
        record.seen_at if record is not None else None,
        record.report if record is not None else None,
        record.capabilities if record is not None else None,
        {failure.digest: failure.why for failure in failures},
    )
