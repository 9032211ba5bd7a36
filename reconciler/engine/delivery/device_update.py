# SPDX-License-Identifier: Apache-2.0
"""One update of one device, from the first question to the recorded outcome.

The steps: wait for the link's limits, ask for a fresh report, record the baseline that gates compare with, send the
order (with a payload or without), and record how it ended. A device's failure is an outcome, never an exception.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import assert_never

from reconciler.compiler.pack.parameter_values import encode_values
from reconciler.devices.conversation import (
    Answered,
    Confirmed,
    Lost,
    Outcome,
    Rejected,
    RotationAnswered,
    SessionOutcome,
    TrialFailed,
)
from reconciler.devices.error_codes import DeviceErrorCode, describe_failed_trial, describe_refusal
from reconciler.devices.link_session import LinkSession
from reconciler.devices.reports import CapabilitiesBody
from reconciler.engine.artifacts.catalog import ArtifactCatalog
from reconciler.engine.clock import Clock
from reconciler.engine.delivery.payload_cache import PayloadCache
from reconciler.engine.delivery.still_wanted import UpdateAction
from reconciler.engine.delivery.transfer_preparation import DeliveryTarget, PackPayloads, configure_job, install_job
from reconciler.engine.observed.interpret import parameters_crc32
from reconciler.engine.observed.inventory import Inventory
from reconciler.engine.root_rotations import RootRotations
from reconciler.engine.state.records import QuarantineRecord
from reconciler.engine.state.writer import StateWriter
from reconciler.errors import FleetError
from reconciler.model import (
    ActivatePrebaked,
    Artifact,
    Configure,
    Desired,
    DeviceId,
    Digest,
    HealthMetric,
    Install,
    ModelRef,
    Origin,
    PayloadEncoding,
    Rollout,
    short_digest_from_bytes,
)
from signing.gateway_keystore import GatewayKey

log = logging.getLogger(__name__)

# An encoded payload has no room next to the pack, or does not give the pack: the pack itself may.
RAW_MAY_HELP = frozenset(
    {
        DeviceErrorCode.TOO_LARGE,
        DeviceErrorCode.ENCODING,
        DeviceErrorCode.STREAM,
        DeviceErrorCode.PATCH,
        DeviceErrorCode.IMAGE,
    }
)


@dataclass(frozen=True, slots=True)
class UpdatePorts:
    """What updates work with."""

    artifacts: ArtifactCatalog
    inventory: Inventory
    state: StateWriter
    gateway: GatewayKey
    clock: Clock


@dataclass(frozen=True, slots=True)
class DeviceUpdate:
    """An action for one device, the desired state that it is part of, and the session that leads to the device."""

    desired: Desired
    action: UpdateAction
    session: LinkSession
    revision: str  # of the rollout for which the device is updated

    @property
    def device(self) -> DeviceId:
        """The device to update."""
        return self.action.device

    @property
    def rollout(self) -> Rollout:
        """The rollout for which it is updated."""
        return self.desired.rollouts[self.action.rollout]


class DeviceUpdater:
    """Carries out updates."""

    def __init__(self, ports: UpdatePorts) -> None:
        self._ports = ports
        self._payloads = PayloadCache(ports.artifacts)
        self._roots = RootRotations.of(ports.gateway)

    def is_possible(self, update: DeviceUpdate) -> bool:
        """Return whether the pack's digest is known; else it must be built first."""
        action = update.action
        return isinstance(action, Configure) or self._artifact(update, action.model) is not None

    async def run(self, update: DeviceUpdate) -> Outcome:
        """Bring one update to its end, when the limits of its link allow it to start."""
        try:
            async with update.session.place():
                outcome = await self._carry_out(update)
        except FleetError as failure:  # the failure of one device is a value: the fleet continues
            return Lost(str(failure))
        self._record(update, outcome)
        return outcome

    async def _carry_out(self, update: DeviceUpdate) -> Outcome:
        target = await self._target(update)
        if isinstance(target, Lost):
            return target
        unknown = await self._record_baseline(update, target)
        if unknown is not None:
            return unknown
        if isinstance(update.action, Configure):
            return await self._configure(update, update.action, target)
        return await self._install(update, update.action, target)

    async def _target(self, update: DeviceUpdate) -> DeliveryTarget | Lost:
        """Ask for a fresh report: no order may be based on an unsolicited one (report.md)."""
        inventory, device = self._ports.inventory, update.device
        report = await update.session.report(device)
        if not isinstance(report, Lost):
            report = await self._roots.follow(update.session, device, report)
        if isinstance(report, Lost):
            return report
        inventory.record_report(device, report, self._ports.clock.now(), asked=True)
        if inventory.identities.cloned(device):
            return Lost("two devices answer under its name")
        capabilities = inventory.capabilities_of(device) or await self._capabilities(update)
        if isinstance(capabilities, Lost):
            return capabilities
        max_sequence = inventory.identities.max_sequence(device)
        return DeliveryTarget(update.desired.fleet.name, device, report, capabilities, max_sequence)

    async def _capabilities(self, update: DeviceUpdate) -> CapabilitiesBody | Lost:
        """Ask a device that the poller has not asked yet."""
        capabilities = await update.session.capabilities(update.device)
        if isinstance(capabilities, CapabilitiesBody):
            self._ports.inventory.record_capabilities(update.device, capabilities)
        return capabilities

    async def _record_baseline(self, update: DeviceUpdate, target: DeliveryTarget) -> Lost | None:
        """Record what the device is and counted before its rollout first changes it: afterwards it can't be asked.

        Gates compare with the baseline, and a rollback goes back to it.
        """
        evidence, gates = self._ports.inventory.evidence, update.rollout.gates
        if not evidence.needs_baseline(update.device, update.revision):
            return None
        summary = None
        if gates:
            answer = await update.session.summary(update.device)
            if isinstance(answer, Lost):
                return Lost(f"a gate compares with what it counted so far: {answer.why}")
            summary = answer
        rated = any(gate.metric is HealthMetric.INFERENCE_RATE_RATIO for gate in gates)
        running = target.report.running
        if rated and running is not None and evidence.rates.seconds_for(update.device, running, 1) is None:
            return Lost("a gate compares with its inference rate, which is not known yet")
        self._ports.inventory.record_baseline(update.device, update.revision, summary)
        return None

    async def _install(
        self, update: DeviceUpdate, action: Install | ActivatePrebaked, target: DeliveryTarget
    ) -> Outcome:
        artifact = self._artifact(update, action.model)
        if artifact is None:
            return Lost(f"{action.model} is not built yet")
        if isinstance(action, Install) and action.origin is Origin.ARTIFACT:
            payloads = await self._payloads.payloads(update.desired, artifact, target)
        else:  # the device holds it: in its other slot, or pre-baked
            payloads = PackPayloads(artifact.digest, artifact.pack_bytes)
        before = self._ports.state.order(action.device)
        block_bytes = update.session.link.block_bytes(target.capabilities.block_bytes)
        job, order = install_job(self._ports.gateway, target, payloads, block_bytes, before)
        self._ports.state.save_order(action.device, order)  # before it is sent, so that a restart can resume it
        outcome, effort = await update.session.carry_out(job)
        counts = (effort.blocks_sent, effort.blocks_resent)
        log.info("%s: %s (%d blocks sent, %d resent)", action.model, type(outcome).__name__, *counts)
        if isinstance(outcome, Rejected) and outcome.code in RAW_MAY_HELP and job.encoding is not PayloadEncoding.RAW:
            self._payloads.send_raw(action.device)
            return Lost(f"{describe_refusal(outcome.code, outcome.during)}; the next try sends the pack raw")
        if isinstance(outcome, Confirmed):
            self._payloads.send_encoded(action.device)
        if isinstance(outcome, TrialFailed):
            self._quarantine(update, order.digest, describe_failed_trial(outcome.report.error))
        return outcome

    async def _configure(self, update: DeviceUpdate, action: Configure, target: DeliveryTarget) -> Outcome:
        running = target.report.running
        artifacts = self._ports.artifacts
        artifact = artifacts.available(update.desired).by_short_digest.get(short_digest_from_bytes(running or b""))
        if artifact is None:
            return Lost("the pack that it runs is unknown")
        values = encode_values(artifacts.pack(update.desired, artifact), action.parameters)
        job, order = configure_job(self._ports.gateway, target, artifact.digest, values)
        self._ports.state.save_order(action.device, order)
        self._ports.inventory.record_parameters(action.device, action.parameters, parameters_crc32(values))
        outcome, _ = await update.session.carry_out(job)
        return outcome

    def _artifact(self, update: DeviceUpdate, model: ModelRef) -> Artifact | None:
        desired = update.desired
        return self._ports.artifacts.available(desired).by_key.get((model, desired.devices[update.device].type))

    def _record(self, update: DeviceUpdate, outcome: Outcome) -> None:
        """Record the report that decided: of all that was heard, only that is signed."""
        match outcome:
            case Confirmed(report) | TrialFailed(report):
                self._ports.inventory.record_report(update.device, report, self._ports.clock.now(), asked=True)
            case Rejected() | Lost() | Answered() | SessionOutcome() | RotationAnswered():
                pass
            case unexpected:
                assert_never(unexpected)

    def _quarantine(self, update: DeviceUpdate, ordered: Digest, why: str) -> None:
        """Keep the pack that was ordered from being sent again, whatever the catalog has by now."""
        failure = QuarantineRecord(update.device, ordered, why, update.action.rollout, update.revision)
        self._ports.inventory.quarantine(failure)
