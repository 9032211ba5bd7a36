# SPDX-License-Identifier: Apache-2.0
"""The status that gateways commit, converted to the observed state that the planner takes.

A status file has no time of the last report, because it would change all the time. So a device with a true
`Reporting` condition counts as having just reported. A status without parameters (from an earlier release) stands
for the desired parameters if the device runs the model of its rollout.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import Enum

import yaml

from reconciler.model import (
    Artifact,
    ArtifactKey,
    Desired,
    Device,
    DeviceId,
    Digest,
    GatewayId,
    Model,
    ModelRef,
    Needs,
    Observed,
    ObservedDevice,
    Parameters,
    Phase,
    RolloutId,
    Updates,
    Version,
)
from reconciler.plan.claims import Claims
from reconciler.report.conditions import Status
from reconciler.report.rollout_file import InvalidRolloutStatus as NoRolloutStatus
from reconciler.report.rollout_file import read_rollout_file
from reconciler.report.rollout_status import RolloutStatus
from reconciler.report.status_files import read_gateway_file
from reconciler.report.status_scan import ScannedCondition, StatusScan, UnreadableStatus, scan_status

LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)  # confirmation time of an assumed device: its soak is over

DEVICES = "devices/"  # the layout of a status branch (reconciler.engine.status.renderer)
ROLLOUTS = "rollouts/"
GATEWAY = "gateway.yaml"


@dataclass(frozen=True, slots=True)
class GatewayReport:
    """The status that one gateway committed."""

    gateway: GatewayId
    at: datetime | None = None  # commit time, by the gateway's own clock
    commit: str = ""  # which it enforces
    ready: str = ""  # the reason of its Ready condition
    message: str = ""
    devices: tuple[StatusScan, ...] = ()
    rollouts: tuple[RolloutStatus, ...] = ()
    unreadable: int = 0  # files that are not a status
    files: Mapping[str, bytes] = field(default_factory=dict)  # as they were committed


@dataclass(frozen=True, slots=True)
class ReportedState:
    """The committed status of all gateways of a fleet."""

    gateways: Mapping[GatewayId, GatewayReport] = field(default_factory=dict)

    @property
    def devices(self) -> dict[DeviceId, StatusScan]:
        """Return the status of every device; if two gateways report one, the newest report counts."""
        ordered = sorted(self.gateways.values(), key=lambda each: (each.at is not None, each.at, each.gateway))
        return {status.device: status for each in ordered for status in each.devices}


def parse_gateway_report(gateway: GatewayId, files: Mapping[str, bytes], at: datetime | None = None) -> GatewayReport:
    """Read the status files of one gateway. Files that are not a status are counted and skipped."""
    devices: list[StatusScan] = []
    rollouts: list[RolloutStatus] = []
    unreadable = 0
    for path, data in files.items():
        try:
            if path.startswith(DEVICES):
                devices.append(scan_status(data))
            elif path.startswith(ROLLOUTS):
                rollouts.append(read_rollout_file(data))
        except (UnreadableStatus, NoRolloutStatus):
            unreadable += 1
    commit = ready = message = ""
    try:
        status = read_gateway_file(files[GATEWAY]) if GATEWAY in files else None
    except (KeyError, TypeError, ValueError, yaml.YAMLError):
        status, unreadable = None, unreadable + 1
    if status is not None:
        commit, ready, message = status.commit, status.ready.reason, status.ready.message
    return GatewayReport(gateway, at, commit, ready, message, tuple(devices), tuple(rollouts), unreadable, files)


def model_of(status: StatusScan) -> ModelRef | None:
    """Return the model that a device runs, if its gateway knew it."""
    if status.model is None:
        return None
    name, _, version = status.model.rpartition("@")
    return ModelRef(name, Version(version)) if name else None


def running(
    reported: ReportedState, desired: Desired, except_models: Iterable[ModelRef] = ()
) -> dict[ArtifactKey, Artifact]:
    """Return the packs that devices run: the digest from the status, the requirements from the model document.

    `except_models` are those whose document has changed since devices received them.
    """
    left_out = frozenset(except_models)
    found: dict[ArtifactKey, Artifact] = {}
    for name, status in reported.devices.items():
        device, ref = desired.devices.get(name), model_of(status)
        if device is None or ref is None or status.running is None or ref in left_out:
            continue
        pair = (ref, device.type)
        if pair not in found and ref in desired.models:
            # A status names a pack by its short digest, and all comparisons cut digests to that.
            found[pair] = _artifact(pair, Digest(status.running), desired.models[ref])
    return found


class MissingStatus(Enum):
    """What to assume about a device whose gateway has committed no status."""

    ASSUME_DESIRED = "desired"  # it runs what the base wants, so that the effect of a change shows
    ASSUME_NEW = "new"  # it has just reported for the first time and runs nothing
    ASSUME_SILENT = "silent"  # it has never reported


def observed(  # noqa: PLR0913 - one parameter for each dependency
    reported: ReportedState,
    desired: Desired,
    artifacts: Mapping[ArtifactKey, Artifact],
    now: datetime,
    *,
    before: Desired,
    missing_status: MissingStatus,
    sharing: Observed | None = None,
) -> Observed:
    """Reconstruct the observed state. `before` is the desired state at the time of the reports.

    `sharing` is the result for the same reports, `before` and time, with another `desired` whose fleet has the same
    `silentAfter`. A device that has reported then is the same object in both.
    """
    made = _Reconstruction(desired, before, now, dict(artifacts), missing_status)
    if sharing is not None:
        made.shared = sharing.devices
    return made.of(reported)


@dataclass(slots=True)
class _Reconstruction:
    """The observed state under construction."""

    desired: Desired
    before: Desired
    now: datetime
    artifacts: dict[ArtifactKey, Artifact]
    missing_status: MissingStatus
    devices: dict[DeviceId, ObservedDevice] = field(default_factory=dict)
    shared: Mapping[DeviceId, ObservedDevice] = field(default_factory=dict)
    desired_by_rollout: dict[RolloutId, _DesiredOfDevice] = field(default_factory=dict)  # of `before`
    quarantined: set[tuple[DeviceId, Digest]] = field(default_factory=set)

    def of(self, reported: ReportedState) -> Observed:
        claims = Claims(self.before)
        for name, status in reported.devices.items():
            device = self.before.devices.get(name)
            self._add(status, device, self._desired_before(claims, device))
        if self.missing_status is not MissingStatus.ASSUME_SILENT:
            self._assume_missing(reported, claims)
        return Observed(self.devices, self.artifacts, frozenset(self.quarantined))

    def _add(self, status: StatusScan, device: Device | None, desired: _DesiredOfDevice | None) -> None:
        reporting = status.conditions.get("Reporting")
        if reporting is None or reporting.status is Status.UNKNOWN or status.phase is None:
            return
        up_to_date = status.conditions.get("UpToDate")
        known = self.shared.get(status.device)
        self.devices[status.device] = known or self._observe(status, status.phase, reporting, desired)
        if device is not None and desired is not None and up_to_date is not None and up_to_date.reason == "Quarantined":
            failed = self._pack((desired.model, device.type))
            if failed is not None:
                self.quarantined.add((status.device, failed))

    def _observe(
        self, status: StatusScan, phase: Phase, reporting: ScannedCondition, desired: _DesiredOfDevice | None
    ) -> ObservedDevice:
        silent_after = timedelta(seconds=self.desired.fleet.silent_after_s)
        up_to_date, trusted = status.conditions.get("UpToDate"), status.conditions.get("Trusted")
        good = up_to_date is not None and up_to_date.status is Status.TRUE
        return ObservedDevice(
            last_seen=self.now if reporting.status is Status.TRUE else min(self.now, reporting.since) - silent_after,
            phase=phase,
            running=status.running,
            confirmed_since=up_to_date.since if good and up_to_date is not None else None,
            sequence=status.sequence,
            parameters=_parameters(self.before, status, desired),
            cloned=trusted is not None and trusted.reason == "IdentityCloned",
        )

    def _assume_missing(self, reported: ReportedState, claims: Claims) -> None:
        claims_now = Claims(self.desired)
        for name, device in self.desired.devices.items():
            if name not in self.devices and claims_now.of(device).gateway not in reported.gateways:
                earlier = self.before.devices.get(name)
                self._assume(name, earlier, self._desired_before(claims, earlier))

    def _desired_before(self, claims: Claims, device: Device | None) -> _DesiredOfDevice | None:
        """Return what the base wants of a device; the devices of a rollout share one object."""
        name = claims.of(device).rollout if device is not None else None
        if name is None:
            return None
        known = self.desired_by_rollout.get(name)
        if known is None:
            rollout = self.before.rollouts[name]
            parameters = {**self.before.models[rollout.model].parameters, **rollout.parameters}
            known = self.desired_by_rollout[name] = _DesiredOfDevice(rollout.model, parameters)
        return known

    def _assume(self, name: DeviceId, earlier: Device | None, desired: _DesiredOfDevice | None) -> None:
        """Assume that a device without a status runs what the base wants, and that a new device has just reported."""
        if earlier is None or desired is None or self.missing_status is MissingStatus.ASSUME_NEW:
            self.devices[name] = ObservedDevice(self.now, Phase.IDLE, None)
            return
        kind = self.before.types[earlier.type]
        ref: ModelRef | None = desired.model
        parameters = desired.parameters
        if kind.updates is Updates.NONE and desired.model not in kind.prebaked:
            ref, parameters = next(iter(kind.prebaked), None), {}
        running = None
        if ref is not None:
            running = self._pack((ref, earlier.type)) or _placeholder((ref, earlier.type))
        self.devices[name] = ObservedDevice(
            self.now, Phase.CONFIRMED, running, confirmed_since=LONG_AGO, parameters=parameters
        )

    def _pack(self, pair: ArtifactKey) -> Digest | None:
        """Return the digest of a pack that no status names; None if the model has changed since."""
        model = self.desired.models.get(pair[0])
        if model is None or _substance(model) != _substance(self.before.models.get(pair[0])):
            return None
        if pair not in self.artifacts:
            self.artifacts[pair] = _artifact(pair, _placeholder(pair), model)
        return self.artifacts[pair].digest


@dataclass(frozen=True, slots=True)
class _DesiredOfDevice:
    """The desired state of one device."""

    model: ModelRef
    parameters: Parameters


def changed_models(before: Desired, after: Desired) -> frozenset[ModelRef]:
    """Return the models that changed under the same version: what runs by that name is another model."""
    return frozenset(
        ref
        for ref, model in after.models.items()
        if ref in before.models and _substance(model) != _substance(before.models[ref])
    )


def _substance(model: Model | None) -> object:
    return model and (model.source, model.quantize, model.train, model.decide, model.inputs, model.outputs)


def _parameters(desired: Desired, status: StatusScan, wanted: _DesiredOfDevice | None) -> Parameters:
    """Return the parameters of a device; without a report, those that its gateway gave it."""
    if status.parameters is not None:
        return status.parameters
    ref = model_of(status)
    if wanted is not None and ref == wanted.model:
        return wanted.parameters
    model = desired.models.get(ref) if ref is not None else None
    return model.parameters if model is not None and status.phase is Phase.CONFIRMED else {}


def _artifact(pair: ArtifactKey, digest: Digest, model: Model) -> Artifact:
    needs: Needs = model.needs
    return Artifact(pair[0], pair[1], digest, needs.slot_bytes, needs.arena_bytes, needs.operators)


def _placeholder(pair: ArtifactKey) -> Digest:
    """Return a digest for a pack whose own is not known."""
    return Digest(hashlib.sha256(f"{pair[0]} on {pair[1]}".encode()).hexdigest())
