# SPDX-License-Identifier: Apache-2.0
"""What gateways committed of their devices, as the observed state that planning takes.

A status file tells no moment of the last report, for it would change all the time. So a device that counts as
reporting has just reported. Where it tells no parameters (a release before told none), what runs a rollout's model
has those that were wanted of it.
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
    Updates,
    Version,
)
from reconciler.plan.claims import Claims
from reconciler.report.conditions import Status
from reconciler.report.rollout_file import InvalidRolloutStatus as NoRolloutStatus
from reconciler.report.rollout_file import read_rollout_file
from reconciler.report.rollout_status import RolloutStatus
from reconciler.report.status_files import read_gateway_file
from reconciler.report.status_scan import StatusScan, UnreadableStatus, scan_status

LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)  # since when an assumed device is confirmed: it has soaked

DEVICES = "devices/"  # what a status branch holds (reconciler.engine.status.renderer)
ROLLOUTS = "rollouts/"
GATEWAY = "gateway.yaml"


@dataclass(frozen=True, slots=True)
class GatewayReport:
    """The status of one gateway, as it was committed."""

    gateway: GatewayId
    at: datetime | None = None  # when it was committed, in its own words
    commit: str = ""  # that it enforces
    ready: str = ""  # the reason of its Ready condition
    message: str = ""
    devices: tuple[StatusScan, ...] = ()
    rollouts: tuple[RolloutStatus, ...] = ()
    unreadable: int = 0  # files that are no status
    files: Mapping[str, bytes] = field(default_factory=dict)  # as they were committed


@dataclass(frozen=True, slots=True)
class ReportedState:
    """All that is known of a fleet without asking anybody."""

    gateways: Mapping[GatewayId, GatewayReport] = field(default_factory=dict)

    @property
    def devices(self) -> dict[DeviceId, StatusScan]:
        """Return every device's status; of a device that two gateways tell of, the newest word counts."""
        ordered = sorted(self.gateways.values(), key=lambda told: (told.at is not None, told.at, told.gateway))
        return {each.device: each for told in ordered for each in told.devices}


def told_by(gateway: GatewayId, files: Mapping[str, bytes], at: datetime | None = None) -> GatewayReport:
    """Read the files of one gateway's status; what is no status is counted, and nothing else is lost for it."""
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


def model_of(told: StatusScan) -> ModelRef | None:
    """Name the model that a device runs, where its gateway knew it."""
    if told.model is None:
        return None
    name, _, version = told.model.rpartition("@")
    return ModelRef(name, Version(version)) if name else None


def running(evidence: ReportedState, desired: Desired, unlike: Iterable[ModelRef] = ()) -> dict[ArtifactKey, Artifact]:
    """Find the packs that devices run already: their digests tell them, the model's own words what they need.

    A model that is `unlike` what it was when they got it is left out.
    """
    left_out = frozenset(unlike)
    found: dict[ArtifactKey, Artifact] = {}
    for name, told in evidence.devices.items():
        device, ref = desired.devices.get(name), model_of(told)
        if device is None or ref is None or told.running is None or ref in left_out:
            continue
        pair = (ref, device.type)
        if pair not in found and ref in desired.models:
            found[pair] = _artifact(pair, told.running, desired.models[ref])
    return found


class UnheardPolicy(Enum):
    """What a device counts as whose gateway never told anything."""

    SETTLED = "settled"  # where the base wants it: what a change does to it shows
    NEW = "new"  # just reported for the first time, running nothing
    SILENT = "silent"  # never heard


def observed(  # noqa: PLR0913 - one parameter for each thing that this depends on
    evidence: ReportedState,
    desired: Desired,
    artifacts: Mapping[ArtifactKey, Artifact],
    now: datetime,
    *,
    before: Desired,
    unheard: UnheardPolicy,
) -> Observed:
    """Put the observed state together. `before` is what was wanted when the gateways told this."""
    return _Reconstruction(desired, before, now, dict(artifacts), unheard).of(evidence)


@dataclass(slots=True)
class _Reconstruction:
    """The observed state, as it is put together."""

    desired: Desired
    before: Desired
    now: datetime
    artifacts: dict[ArtifactKey, Artifact]
    unheard: UnheardPolicy
    devices: dict[DeviceId, ObservedDevice] = field(default_factory=dict)
    quarantined: set[tuple[DeviceId, Digest]] = field(default_factory=set)

    def of(self, evidence: ReportedState) -> Observed:
        claims = Claims(self.before)
        for name, told in evidence.devices.items():
            device = self.before.devices.get(name)
            self._tell(told, device, _wanted(self.before, claims, device) if device is not None else None)
        now_claims = Claims(self.desired)
        for name, device in self.desired.devices.items() if self.unheard is not UnheardPolicy.SILENT else ():
            if name not in self.devices and now_claims.of(device).gateway not in evidence.gateways:
                earlier = self.before.devices.get(name)
                self._assume(name, earlier, _wanted(self.before, claims, earlier) if earlier is not None else None)
        return Observed(self.devices, self.artifacts, frozenset(self.quarantined))

    def _tell(self, told: StatusScan, device: Device | None, wanted: _Wanted | None) -> None:
        reporting = told.conditions.get("Reporting")
        if reporting is None or reporting.status is Status.UNKNOWN or told.phase is None:
            return
        silent_after = timedelta(seconds=self.desired.fleet.silent_after_s)
        heard = self.now if reporting.status is Status.TRUE else min(self.now, reporting.since) - silent_after
        up_to_date, trusted = told.conditions.get("UpToDate"), told.conditions.get("Trusted")
        good = up_to_date is not None and up_to_date.status is Status.TRUE
        self.devices[told.device] = ObservedDevice(
            last_seen=heard,
            phase=told.phase,
            running=told.running,
            confirmed_since=up_to_date.since if good and up_to_date is not None else None,
            sequence=told.sequence,
            parameters=_parameters(self.before, told, wanted),
            cloned=trusted is not None and trusted.reason == "IdentityCloned",
        )
        if device is not None and wanted is not None and up_to_date is not None and up_to_date.reason == "Quarantined":
            failed = self._pack((wanted.model, device.type))
            if failed is not None:
                self.quarantined.add((told.device, failed))

    def _assume(self, name: DeviceId, earlier: Device | None, wanted: _Wanted | None) -> None:
        """Nobody told of this device: it counts as being where the base wants it, and a new one as having reported."""
        if earlier is None or wanted is None or self.unheard is UnheardPolicy.NEW:
            self.devices[name] = ObservedDevice(self.now, Phase.IDLE, None)
            return
        kind = self.before.types[earlier.type]
        ref: ModelRef | None = wanted.model
        parameters = wanted.parameters
        if kind.updates is Updates.NONE and wanted.model not in kind.prebaked:
            ref, parameters = next(iter(kind.prebaked), None), {}
        running = None
        if ref is not None:
            running = self._pack((ref, earlier.type)) or _stand_in((ref, earlier.type))
        self.devices[name] = ObservedDevice(
            self.now, Phase.CONFIRMED, running, confirmed_since=LONG_AGO, parameters=parameters
        )

    def _pack(self, pair: ArtifactKey) -> Digest | None:
        """Name a pack that no status names; None where the model is another by now."""
        model = self.desired.models.get(pair[0])
        if model is None or _substance(model) != _substance(self.before.models.get(pair[0])):
            return None
        if pair not in self.artifacts:
            self.artifacts[pair] = _artifact(pair, _stand_in(pair), model)
        return self.artifacts[pair].digest


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What a revision wants of one device."""

    model: ModelRef
    parameters: Parameters


def changed_models(before: Desired, after: Desired) -> frozenset[ModelRef]:
    """Name the models whose version stayed and whose substance did not: what runs by that name is another."""
    return frozenset(
        ref
        for ref, model in after.models.items()
        if ref in before.models and _substance(model) != _substance(before.models[ref])
    )


def _substance(model: Model | None) -> object:
    return model and (model.source, model.quantize, model.train, model.decide, model.inputs, model.outputs)


def _wanted(desired: Desired, claims: Claims, device: Device) -> _Wanted | None:
    name = claims.of(device).rollout
    if name is None:
        return None
    rollout = desired.rollouts[name]
    return _Wanted(rollout.model, {**desired.models[rollout.model].parameters, **rollout.parameters})


def _parameters(desired: Desired, told: StatusScan, wanted: _Wanted | None) -> Parameters:
    """Tell what a device holds; where nobody said so, what it was given: nobody but its gateway gives it parameters."""
    if told.parameters is not None:
        return told.parameters
    ref = model_of(told)
    if wanted is not None and ref == wanted.model:
        return wanted.parameters
    model = desired.models.get(ref) if ref is not None else None
    return model.parameters if model is not None and told.phase is Phase.CONFIRMED else {}


def _artifact(pair: ArtifactKey, digest: Digest, model: Model) -> Artifact:
    needs: Needs = model.needs
    return Artifact(pair[0], pair[1], digest, needs.slot_bytes, needs.arena_bytes, needs.operators)


def _stand_in(pair: ArtifactKey) -> Digest:
    """Stand for a digest that nobody told."""
    return Digest(hashlib.sha256(f"{pair[0]} on {pair[1]}".encode()).hexdigest())
