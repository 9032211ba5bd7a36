# SPDX-License-Identifier: Apache-2.0
"""From a plan's actions to deliveries under way, and from how they end to what is observed."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import assert_never

from reconciler.compiler.pack.parameter_encoding import encode_values
from reconciler.devices.conversation import Answered, Confirmed, Lost, Outcome, Rejected, TrialFailed
from reconciler.devices.error_codes import DeviceErrorCode, refused, trial_failed
from reconciler.devices.messages import ReportKind
from reconciler.devices.reports import CapabilitiesBody, DeviceReport, Summary
from reconciler.devices.session import LinkSession
from reconciler.engine.artifacts.provider import Artifacts
from reconciler.engine.clock import Clock
from reconciler.engine.delivery.deliveries import Deliveries, Purpose
from reconciler.engine.delivery.orders import DeliveryTarget, PackPayloads, configure_job, install_job
from reconciler.engine.delivery.payloads import PayloadCache
from reconciler.engine.observed.interpret import parameters_check
from reconciler.engine.observed.inventory import Inventory
from reconciler.engine.state.database import Delivery, Failure, StateDatabase
from reconciler.errors import FleetError
from reconciler.model import Action, ActivatePrebaked, Artifact, Blocked, BlockedReason, Configure, Desired, DeviceId, HealthMetric, Hold, HoldReason, Install, ModelRef, NoChange, Origin, RolloutId
from reconciler.plan.revision import revision_of
from signing.gateway_keystore import GatewayKey

log = logging.getLogger(__name__)

# Our view was old: ask the device, then decide anew.
WORTH_ANOTHER_TRY = frozenset({DeviceErrorCode.SEQUENCE, DeviceErrorCode.NO_DELEGATION, DeviceErrorCode.NO_TRANSFER, DeviceErrorCode.BUSY})


@dataclass(frozen=True, slots=True)
class DispatchPorts:
    """What dispatching works with."""

    artifacts: Artifacts
    view: Inventory
    state: StateDatabase
    gateway: GatewayKey
    clock: Clock
    fleet_of: Callable[[DeviceId], LinkSession | None]


Order = Install | ActivatePrebaked | Configure  # the actions that send something


class Dispatch:
    """Begins what the plan says, and records how it ended."""

    def __init__(self, tools: DispatchPorts, deliveries: Deliveries) -> None:
        self._tools = tools
        self._deliveries = deliveries
        self._parcels = PayloadCache(tools.artifacts)

    def cancel(self, desired: Desired, actions: tuple[Action, ...], owners: Mapping[DeviceId, RolloutId]) -> None:
        """End deliveries that are no longer wanted: a window closed, a rollout was suspended, Git wants another."""
        in_progress = self._deliveries.purposes
        if not in_progress:
            return
        planned = {action.device: action for action in actions if action.device in in_progress}
        for device, purpose in in_progress.items():
            action = planned.get(device)
            if action is None:
                self._deliveries.cancel(device, "the device is no longer served here")
            elif owners.get(device) != purpose.rollout:
                self._deliveries.cancel(device, f"rollout {purpose.rollout} no longer has the device")
            elif not still_wanted(purpose, action, desired):
                self._deliveries.cancel(device, action.why)

    def begin(self, desired: Desired, actions: tuple[Action, ...], now_s: float) -> None:
        """Start every delivery that the plan asks for and that may start."""
        for action in actions:
            match action:
                case Install(origin=Origin.BUILD):
                    pass  # Artifacts.provide builds it; the next plan says ARTIFACT
                case Install() | ActivatePrebaked() | Configure():
                    self._begin_one(desired, action, now_s)
                case NoChange() | Hold() | Blocked():
                    pass
                case unexpected:
                    assert_never(unexpected)

    def _begin_one(self, desired: Desired, action: Order, now_s: float) -> None:
        device = action.device
        fleet = self._tools.fleet_of(device)
        if fleet is None or not self._deliveries.may_start(device, now_s):
            return
        if not isinstance(action, Configure) and self._artifact(desired, device, action.model) is None:
            return  # it is being built, to learn its digest
        self._deliveries.start(device, action.why, _purpose(action), self._work(desired, action, fleet))

    def _work(self, desired: Desired, action: Order, fleet: LinkSession) -> Callable[[], Awaitable[Outcome]]:
        async def work() -> Outcome:
            try:
                async with fleet.place():
                    outcome = await self._carry_out(desired, action, fleet)
            except FleetError as failure:  # one device's failure is a value: the fleet goes on
                return Lost(str(failure))
            self._record(desired, action, outcome)
            return outcome

        return work

    async def _carry_out(self, desired: Desired, action: Order, fleet: LinkSession) -> Outcome:
        to = await self._addressee(desired, action.device, fleet)
        if isinstance(to, Lost):
            return to
        unknown = await self._note_before(desired, action, to, fleet)
        if unknown is not None:
            return unknown
        if isinstance(action, Configure):
            return await self._configure(desired, action, to, fleet)
        return await self._install(desired, action, to, fleet)

    async def _addressee(self, desired: Desired, device: DeviceId, fleet: LinkSession) -> DeliveryTarget | Lost:
        """Ask the device how it is: an order is never based on a report that nobody asked for (report.md)."""
        answer = await fleet.ask(device, ReportKind.REPORT)
        if not (isinstance(answer, Answered) and isinstance(answer.body, DeviceReport)):
            return answer if isinstance(answer, Lost) else Lost("it gave no report")
        self._tools.view.take_report(device, answer.body, self._tools.clock.now(), asked=True)
        if self._tools.view.histories.cloned(device):
            return Lost("two devices answer in its name")
        capabilities = self._tools.view.capabilities_of(device) or await self._ask_capabilities(device, fleet)
        if capabilities is None:
            return Lost("it did not tell its capabilities")
        highest = self._tools.view.histories.highest_sequence(device)
        return DeliveryTarget(desired.fleet.name, device, answer.body, capabilities, highest)

    async def _ask_capabilities(self, device: DeviceId, fleet: LinkSession) -> CapabilitiesBody | None:
        """Ask a device that has reported, before its turn to be looked after has come."""
        told = await fleet.ask(device, ReportKind.CAPABILITIES)
        if not (isinstance(told, Answered) and isinstance(told.body, CapabilitiesBody)):
            return None
        self._tools.view.take_capabilities(device, told.body)
        return told.body

    async def _note_before(
        self, desired: Desired, action: Order, to: DeliveryTarget, fleet: LinkSession
    ) -> Lost | None:
        """Keep what the device is and counted, before its rollout first changes it: gates compare, failures go back.

        What a gate will compare with must be known now: afterwards nobody can ask for it any more.
        """
        current = revision_of(desired, action.rollout)
        evidence, gates = self._tools.view.evidence, desired.rollouts[action.rollout].gates
        if not evidence.needs_before(action.device, current):
            return None
        summary = None
        if gates:
            answer = await fleet.ask(action.device, ReportKind.SUMMARY)
            if not (isinstance(answer, Answered) and isinstance(answer.body, Summary)):
                return Lost("it did not tell what it counted so far, which gates compare with")
            summary = answer.body
        rated = any(gate.metric is HealthMetric.INFERENCE_RATE_RATIO for gate in gates)
        running = to.report.running
        if rated and running is not None and evidence.paces.seconds_for(action.device, running, 1) is None:
            return Lost("how fast it infers is not known yet, and a gate compares with it")
        self._tools.view.note_before(action.device, current, summary)
        return None

    async def _install(
        self, desired: Desired, action: Install | ActivatePrebaked, to: DeliveryTarget, fleet: LinkSession
    ) -> Outcome:
        artifact = self._artifact(desired, action.device, action.model)
        if artifact is None:
            return Lost(f"{action.model} is not built yet")
        transferred = isinstance(action, Install) and action.origin is Origin.ARTIFACT
        if transferred:
            parcel = await self._parcels.make(desired, artifact, to)
        else:
            parcel = PackPayloads(artifact.digest, artifact.pack_bytes)
        before = self._tools.state.delivery(action.device)
        block_bytes = fleet.link.block_bytes(to.capabilities.block_bytes)
        job, delivery = install_job(self._tools.gateway, to, parcel, block_bytes, before)
        self._send(action.device, delivery)
        outcome, effort = await fleet.carry_out(job)
        log.info(
            "%s: %s (%d blocks sent, %d again)",
            action.model,
            type(outcome).__name__,
            effort.blocks_sent,
            effort.blocks_resent,
        )
        if isinstance(outcome, Rejected) and outcome.code == DeviceErrorCode.TOO_LARGE and self._parcels.send_raw(action.device):
            return Lost("pack and payload do not fit side by side; it travels raw next")
        return outcome

    async def _configure(self, desired: Desired, action: Configure, to: DeliveryTarget, fleet: LinkSession) -> Outcome:
        running = to.report.running
        artifact = self._tools.artifacts.current(desired).by_digest16.get(running.hex() if running else "")
        if artifact is None:
            return Lost("the pack that it runs is not known")
        values = encode_values(self._tools.artifacts.pack(desired, artifact), action.parameters)
        job, delivery = configure_job(self._tools.gateway, to, artifact.digest, values)
        self._send(action.device, delivery)
        self._tools.view.take_parameters(action.device, action.parameters, parameters_check(values))
        outcome, _ = await fleet.carry_out(job)
        return outcome

    def _artifact(self, desired: Desired, device: DeviceId, model: ModelRef) -> Artifact | None:
        return self._tools.artifacts.current(desired).by_pair.get((model, desired.devices[device].type))

    def _send(self, device: DeviceId, delivery: Delivery) -> None:
        self._tools.state.sending(device, delivery)

    def _record(self, desired: Desired, action: Order, outcome: Outcome) -> None:
        """Take in what an update's end tells of the device; what failed for good is quarantined."""
        view = self._tools.view
        match outcome:
            case Confirmed(report):
                view.take_report(action.device, report, self._tools.clock.now(), asked=True)
            case TrialFailed(report):
                view.take_report(action.device, report, self._tools.clock.now(), asked=True)
                self._quarantine(desired, action, trial_failed(report.error))
            case Rejected(code, during) if code not in WORTH_ANOTHER_TRY:
                self._quarantine(desired, action, refused(code, during))
            case Rejected() | Lost() | Answered():
                pass
            case unexpected:
                assert_never(unexpected)

    def _quarantine(self, desired: Desired, action: Order, why: str) -> None:
        if isinstance(action, Configure):
            log.warning("parameters were not taken: %s", why)
            return
        artifact = self._artifact(desired, action.device, action.model)
        if artifact is not None:
            current = revision_of(desired, action.rollout)
            self._tools.view.quarantine(Failure(action.device, artifact.digest, why, action.rollout, current))


def _purpose(action: Order) -> Purpose:
    return Purpose(action.rollout, None if isinstance(action, Configure) else action.model, action.parameters)


def still_wanted(purpose: Purpose, action: Action, desired: Desired) -> bool:
    """Tell whether a delivery is still wanted, now that the plan says this of its device."""
    match action:
        case Install() | ActivatePrebaked():
            return _purpose(action) == purpose
        case Configure() if _purpose(action) == purpose:
            return True
        case Blocked(reason=reason):
            return reason is BlockedReason.SILENT  # the delivery itself knows best when to give up
        case Hold(reason=reason) if reason is not HoldReason.IN_PROGRESS:
            return False
        case Hold() | NoChange() | Configure():
            return _leads_to(purpose, desired)  # the device has it all: the delivery waits for its end
        case unexpected:
            assert_never(unexpected)


def _leads_to(purpose: Purpose, desired: Desired) -> bool:
    """Tell whether a delivery brings what Git wants now; else Git went back while it was under way."""
    rollout = desired.rollouts[purpose.rollout]
    parameters = {**desired.models[rollout.model].parameters, **rollout.parameters}
    return purpose.model in {None, rollout.model} and purpose.parameters == parameters
