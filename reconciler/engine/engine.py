# SPDX-License-Identifier: Apache-2.0
"""The reconciliation loop's body: one pass observes, plans, acts and reports. The only place where effects are ordered.

A pass never waits for a device: it starts deliveries and builds, which end on their own and wake the next pass.

Everything here runs on the event loop's thread, except for what is handed to the executors of `Ports`.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime

from reconciler.devices.link_session import LinkSession
from reconciler.engine import log_context
from reconciler.engine.artifacts.catalog import ArtifactCatalog
from reconciler.engine.artifacts.statements import StatementKeeper
from reconciler.engine.contest_proposals import ContestProposals, ProposingStations
from reconciler.engine.delivery.deliveries import Delivered, Deliveries
from reconciler.engine.delivery.device_update import DeviceUpdater, UpdatePorts
from reconciler.engine.delivery.dispatcher import Dispatcher
from reconciler.engine.dependencies import Ports
from reconciler.engine.desired.desired_state import DesiredState
from reconciler.engine.desired.gateway_scope import GatewayScope, ScopeResolver
from reconciler.engine.followed.station import FollowedModels
from reconciler.engine.learned.proposals import LearnedProposals
from reconciler.engine.node.devices import DevicePorts
from reconciler.engine.node.station import NodePorts, NodeStation
from reconciler.engine.observed.inventory import Inventory
from reconciler.engine.observed.learners import Learners
from reconciler.engine.observed.learning_ledger import LearningLedger
from reconciler.engine.observed.rollout_memory import RolloutMemories, record_gates
from reconciler.engine.observed.summaries import Summaries
from reconciler.engine.pass_state import Pass, PassState, Step
from reconciler.engine.pipelines.station import PipelinePorts, PipelineStation
from reconciler.engine.polling.link_events import LinkEventHandler
from reconciler.engine.polling.poller import Poller, PollerPorts
from reconciler.engine.proposals.station import ProposalStation
from reconciler.engine.proposals.wished_change import WishedChanges
from reconciler.engine.root_rotations import RootRotations
from reconciler.engine.samples.contest_station import ContestStation, StationPorts
from reconciler.engine.status.model_facts import ModelFactsBuilder, ModelSources
from reconciler.engine.status.renderer import PassOutcome, StatusRenderer, has_stopped
from reconciler.engine.status.rollout_facts import RolloutFactsBuilder, with_build_failures
from reconciler.engine.trainings.station import TrainingPorts, TrainingStation
from reconciler.errors import FleetError
from reconciler.model import Action, Commit, Desired, DeviceId, GatewayId, Observed, PeerReport
from reconciler.model.snapshot_cache import SnapshotCache
from reconciler.plan import Planner
from reconciler.plan.revision import revision_of
from reconciler.report.device_status import PassStamp
from reconciler.report.expiry import Expiry
from reconciler.report.gateway_status import GatewayFacts, SourceState
from reconciler.report.model_status import ModelFacts
from reconciler.report.rollout_status import RolloutFacts

log = logging.getLogger(__name__)


class Engine:
    """The gateway's engine. `run_pass` may be called at any time: it starts from the desired and the observed state."""

    def __init__(self, name: GatewayId, ports: Ports) -> None:
        self.name = name
        self.wake = asyncio.Event()  # set when a pass may find something new
        self.on_delivered: list[Callable[[Delivered], None]] = []  # called at the end of each delivery
        self.passes = 0
        self._ports = ports
        jitter = random.Random()  # noqa: S311 - spreads load, guards nothing
        self.inventory = Inventory(ports.state, ports.clock.steady_s)
        ports.links.answer_s_of = self.inventory.answer_s_of
        self.summaries = Summaries(ports.state)
        self.artifacts = ArtifactCatalog(ports.builder, ports.state, self.wake.set, jitter)
        before = ports.state.status_files()
        self.provenance = StatementKeeper(name, ports.builder, ports.gateway, before, self.wake.set)
        self.deliveries = Deliveries(self._delivered, self.wake.set, jitter)
        ledger = LearningLedger()
        self._learners = Learners(ledger)
        polling = PollerPorts(
            self.inventory, self.summaries, ledger, ports.clock, ports.links, RootRotations.of(ports.gateway)
        )
        self.poller = Poller(polling, self.deliveries.is_running, lambda _: self.wake.set(), jitter)
        self._events = LinkEventHandler(polling, ports.verifier, self.poller, self.deliveries, self.wake.set)
        updates = UpdatePorts(self.artifacts, self.inventory, ports.state, ports.gateway, ports.clock)
        self._dispatcher = Dispatcher(DeviceUpdater(updates), self.deliveries, ports.links.session_of)
        self._scopes = ScopeResolver(name, together=ports.peers is not None)
        self._planner = Planner()
        self._memories = RolloutMemories(ports.state)
        self._rollout_facts = RolloutFactsBuilder()
        self._model_facts = ModelFactsBuilder(ports.builder.gates)
        station = StationPorts(
            name, ports.open_knowledge, ports.builder, self.artifacts, self.inventory, ports.links, ports.clock
        )
        self.contests = ContestStation(station, self._may_visit, self.wake.set)
        training = TrainingPorts(
            name, ports.state_dir, self.contests, ports.clock, ports.limits, ports.builder, ports.cluster
        )
        self.trainings = TrainingStation(training, self.wake.set)
        pipelines = PipelinePorts(
            self.artifacts, self.inventory, ports.links, ports.gateway.signer, ports.clock, self.wake.set
        )
        self.pipelines = PipelineStation(pipelines)
        self.followed = FollowedModels(name, ports.clock, self.wake.set)
        wishes = WishedChanges(name, ports.source, ports.proposer, ports.git_thread, ports.clock)
        devices = DevicePorts(self.inventory, ports.links, ports.gateway.signer, ports.clock)
        node = NodePorts(
            name,
            ports.state_dir,
            devices,
            ports.source,
            ports.git_thread,
            wishes.propose,
            ports.uplinks,
            self.pipelines.infer,
        )
        self.node = NodeStation(node, self.wake.set)
        self._events.nodes = self.node.devices
        self.proposals = ProposalStation(ports.proposer, ports.git_thread, self.wake.set)
        self._learned = LearnedProposals(name)
        stations = ProposingStations(self.contests, self.trainings, self.followed, self._learned)
        self._proposals = ContestProposals(name, stations, self.proposals)
        self.statuses = StatusRenderer(name, before, page=ports.page)
        self._desired_state: DesiredState | None = None
        self._own_actions: SnapshotCache[tuple[Action, ...]] = SnapshotCache()
        self._peers: Mapping[GatewayId, PeerReport] = {}
        self._remote_trouble: str | None = None
        self.expiries: tuple[Expiry, ...] = ()  # as of the last pass

    async def poll_git(self) -> None:
        """Fetch, verify and load the fleet repository, and fetch what other gateways report."""
        loop, ports = asyncio.get_running_loop(), self._ports
        before = self._desired_state
        self._desired_state = await loop.run_in_executor(ports.git_thread, ports.source.poll)
        self.proposals.git_polled()
        if self.contests.decided or self.followed.active:
            self.wake.set()  # a person may have closed a proposal without a new commit
        if ports.peers is not None:
            peers = await loop.run_in_executor(ports.git_thread, ports.peers.fetch)
            if peers is not self._peers:
                self._peers = peers
                self.wake.set()
        if self._desired_state != before:
            self._desired_state.log()
            self.wake.set()

    async def run_pass(self, *, act: bool = True) -> Pass | None:
        """Plan, and with `act` carry the plan out; return None before Git was polled for the first time.

        Without a commit, or without this gateway in it, only the status is reported: links and deliveries stay.
        """
        desired_state = self._desired_state
        if desired_state is None:
            return None
        self.passes += 1
        desired = desired_state.desired
        log_context.begin_pass(self.passes, desired.commit if desired is not None else None)
        scope = self._scopes.resolve(self.pipelines.merged(desired)) if desired is not None else None
        state = PassState(scope, self._ports.clock.now()) if scope is not None else None
        for step in self._steps(act=act):
            state = step(state) if state is not None else None
        self._report_status(desired_state, state)
        if act and state is not None:
            evidence = self._proposals.keep(self._whole_fleet(state), self.statuses.contests, state.now)
            self._ports.publisher.put(evidence, set(), urgent=True)
            self._ports.publisher.put(*self._statements(state))
        return Pass(self.passes, desired_state, state.actions if state is not None else ())

    async def publish(self, *, at_once: bool = False) -> None:
        """Commit the status if it changed and the interval has passed."""
        steady_s = self._ports.clock.steady_s()
        due_in_s = self._ports.publisher.due_in_s(steady_s)
        if due_in_s is None or (due_in_s > 0.0 and not at_once):
            return
        publisher, now = self._ports.publisher, self._ports.clock.now()
        batch = publisher.batch(steady_s)
        loop = asyncio.get_running_loop()
        outcome = await loop.run_in_executor(self._ports.status_thread, publisher.commit, batch, now)
        before, self._remote_trouble = self._remote_trouble, publisher.committed(batch, outcome)
        if self._remote_trouble != before:
            self.wake.set()

    async def listen(self) -> None:
        """Take in unsolicited events of the links, until cancelled."""
        async for event in self._ports.links.events():
            try:
                self._events.handle(event)
            except FleetError as failure:  # the report is lost; the poller asks for the next one
                log.error("handling a link event failed: %s: %s", failure.reason, failure)  # noqa: TRY400 - expected

    async def stop(self) -> None:
        """Cancel everything in progress; devices keep what they hold."""
        await self.node.stop()
        await self.poller.stop()
        await self.followed.stop()
        await self.proposals.stop()
        await self.trainings.stop()
        await self.contests.stop()
        await self.deliveries.stop()
        await self.provenance.stop()
        await self.artifacts.stop()
        try:
            self.inventory.save()
        except FleetError as failure:  # the devices are asked again after the next start
            log.error("saving the last reports failed: %s: %s", failure.reason, failure)  # noqa: TRY400 - expected

    def publish_in_s(self) -> float | None:
        """Return after how long a status is due; None: nothing changed."""
        return self._ports.publisher.due_in_s(self._ports.clock.steady_s())

    def next_pass_in_s(self) -> float | None:
        """Return after how long the plan may change by the passing of time alone; None: it can't."""
        due: list[float | None] = []
        if self._planner.until is not None:
            due.append(max(0.0, (self._planner.until - self._ports.clock.now()).total_seconds()))
        due.append(self.deliveries.next_try_in_s(self._ports.clock.steady_s()))
        changes = (self.contests.next_change_at(), self.trainings.next_change_at())
        now = self._ports.clock.now()
        due += [max(0.0, (change_at - now).total_seconds()) for change_at in changes if change_at is not None]
        due.append(self.artifacts.next_try_in_s(self._ports.clock.steady_s()))
        due += [self.followed.next_check_in_s(), self.pipelines.next_change_in_s()]
        return min((each for each in due if each is not None), default=None)

    @property
    def busy(self) -> bool:
        """Return whether anything in progress will wake another pass."""
        return bool(
            self.wake.is_set()
            or self.poller.pending
            or self.deliveries.running
            or self.artifacts.building
            or self.provenance.busy
            or self.followed.busy
        )

    @property
    def source(self) -> SourceState | None:
        """Return how the last poll of Git went."""
        return self._desired_state.source if self._desired_state is not None else None

    @property
    def rejected(self) -> tuple[Commit, tuple[str, ...]] | None:
        """Return the newest commit and its problems, if it is not enforced because of them."""
        state = self._desired_state
        return (state.rejected, state.problems) if state is not None and state.rejected is not None else None

    @property
    def enforced(self) -> Commit | None:
        """Return the commit that is enforced."""
        desired = self._desired_state.desired if self._desired_state is not None else None
        return desired.commit if desired is not None else None

    def summary(self) -> str:
        """Return the fleet's state in one line."""
        gateway = self.statuses.gateway
        if gateway is None:
            return "polling Git"
        ready, devices = self.statuses.ready, self.statuses.device_count
        in_progress = len(self.deliveries.running)
        return f"{gateway.ready.reason}: {ready} of {devices} devices ready, {in_progress} updates in progress"

    # ------------------------------------------------------------ the steps of a pass, in their order

    def _steps(self, *, act: bool) -> tuple[Step, ...]:
        if not act:
            return (self._load_desired, self._save_reports, self._observe, self._plan, self._remember)
        return (
            self._load_desired,
            self._offer_operations,
            self._serve_links,
            self._poll_devices,
            self._save_reports,
            self._observe,
            self._plan,
            self._remember,
            self._collect_samples,
            self._decide_contests,
            self._decide_trainings,
            self._check_followed,
            self._route_pipelines,
            self._cancel_obsolete,
            self._build_artifacts,
            self._start_deliveries,
        )

    def _load_desired(self, state: PassState) -> PassState:
        """Take in what a new commit says about devices and rollouts."""
        if not state.scope.is_new:
            return state
        desired = state.scope.desired
        self._ports.verifier.set_devices(desired.fleet.name, desired.devices)
        self.inventory.set_public_keys(self._ports.verifier.public_keys)
        self.inventory.silent_after_s = desired.fleet.silent_after_s
        self.inventory.release_outdated({name: revision_of(desired, name) for name in desired.rollouts})
        for device in self.inventory.records.keys() - desired.devices.keys():
            self.inventory.forget(device)
        self.contests.git_changed()
        self.trainings.git_changed()
        return state

    def _offer_operations(self, state: PassState) -> PassState:
        """Take in what Git wants of this gateway as a node; requests are served between passes."""
        self.node.watch(state.scope.desired)
        return state

    def _serve_links(self, state: PassState) -> PassState:
        """Open the links that lead to this gateway's devices, and close all others."""
        desired = state.scope.desired
        self._ports.links.serve(desired.fleet.name, desired.devices, desired.gateways[self.name].limits)
        return state

    def _poll_devices(self, state: PassState) -> PassState:
        desired = state.scope.desired
        self.poller.watch(desired.devices, desired.fleet.report_every_s)
        return state

    def _save_reports(self, state: PassState) -> PassState:
        """Save what arrived since the last pass, before anything is decided from it."""
        self.inventory.save()
        return state

    def _observe(self, state: PassState) -> PassState:
        observed = self._observed(state.scope)
        available = self.artifacts.available(state.scope.desired)
        self.poller.learners = self._learners.find(state.scope.desired, observed, available.by_short_digest)
        return replace(state, observed=observed)

    def _plan(self, state: PassState) -> PassState:
        """Plan with the devices of other gateways in sight; keep the actions for our own devices."""
        actions = self._planner.plan(state.scope.planned, state.observed, state.now)
        others = state.scope.others
        if others:
            known = self._own_actions.get(actions, others)
            if known is None:
                own = tuple([each for each in actions if each.device not in others])
                known = self._own_actions.put(own, actions, others)
            actions = known
        return replace(state, actions=actions)

    def _remember(self, state: PassState) -> PassState:
        """Record what a later pass must know of this plan: rollouts that stopped or completed, and failed gates."""
        if self._memories.record(state.observed, self._planner, state.now):
            self.wake.set()
        desired = state.scope.desired
        record_gates(desired, self._planner, self.inventory, self.artifacts.available(desired).by_key)
        return state

    def _collect_samples(self, state: PassState) -> PassState:
        """Ask the devices of our contests for samples, and have what their models need built."""
        self.contests.watch(self._whole_fleet(state), state.scope, state.observed)
        return state

    def _decide_contests(self, state: PassState) -> PassState:
        """Decide on our contests, after what this pass recorded of their rollouts."""
        self._proposals.settle(state.now)
        observed = self._observed(state.scope)
        self.contests.decide(self._whole_fleet(state), state.scope, observed, state.now)
        self._learned.decide_all(self.contests, self._whole_fleet(state))
        return state

    def _decide_trainings(self, state: PassState) -> PassState:
        """Decide on the trainings of our contests, after what this pass decided of those."""
        self.trainings.decide(self._whole_fleet(state), state.now)
        return state

    def _check_followed(self, state: PassState) -> PassState:
        """Look at the references that models follow, when that is due."""
        self.followed.watch(self._whole_fleet(state))
        return state

    def _route_pipelines(self, state: PassState) -> PassState:
        """Take in what Git wants of our pipelines; inputs run between passes."""
        self.pipelines.watch(state.scope.desired)
        return state

    def _cancel_obsolete(self, state: PassState) -> PassState:
        self._dispatcher.cancel_obsolete(state.scope.desired, state.actions, state.scope.owners)
        return state

    def _build_artifacts(self, state: PassState) -> PassState:
        self.artifacts.build_missing(state.scope.desired, state.actions, self._ports.clock.steady_s())
        return state

    def _start_deliveries(self, state: PassState) -> PassState:
        self._dispatcher.start(state.scope.desired, state.actions, self._ports.clock.steady_s())
        return state

    def _report_status(self, desired_state: DesiredState, state: PassState | None) -> None:
        """Render the status, on every path. It observes again: what this pass recorded belongs to its status."""
        problems = desired_state.problems
        if desired_state.desired is not None and state is None:
            problems = (f"the fleet repository has no Gateway named {self.name}", *problems)
        links = {**self._ports.links.troubles(), "status ref": self._remote_trouble}
        gateway = GatewayFacts(
            self.name,
            desired_state.source,
            problems,
            links,
            self._ports.builds_isolated,
            self._ports.links.unknown_devices(),
            self._ports.expiries(),
            self.node.state,
            self.node.uplinks,
            self.node.pending,
            state.scope.desired.fleet.cohort_label if state is not None else None,
            self.inventory.with_another_root(self._ports.gateway.root_id),
            self.node.storage_refusals,
        )
        self.expiries = gateway.expiries
        now = self._ports.clock.now()
        if state is None:
            outcome = PassOutcome(gateway, PassStamp(now, Commit("")))
        else:
            desired, observed = state.scope.desired, self._observed(state.scope)
            outcome = PassOutcome(
                gateway,
                PassStamp(now, desired.commit),
                state.actions,
                observed,
                self.artifacts.available(desired).by_short_digest,
                state.scope.owners,
                self.inventory.trust.distrusted(state.actions, observed.devices),
                self._facts(state.scope, now),
                self._learned.reported(self.contests.reports()),
                self.trainings.reports(),
                self.pipelines.reports(),
                self._models(state, observed),
                self.node.reports,
                build_failures=self.artifacts.failures_of(desired, state.actions),
                learning=self._learners.facts(desired, observed, self.artifacts.available(desired).by_short_digest),
                pending_contests=self.contests.pending,
                pending_functions=self.node.pending,
                cohorts=state.scope.cohorts,
            )
        before = self.statuses.rollouts
        changed = self.statuses.render(outcome)
        self._ports.publisher.put(*changed, urgent=has_stopped(before, self.statuses.rollouts))

    def _statements(self, state: PassState) -> tuple[dict[str, bytes], set[str]]:
        """Return the changed files that say what artifacts were built from."""
        desired = state.scope.desired
        return self.provenance.files(desired, self.artifacts.available(desired), state.observed)

    def _observed(self, scope: GatewayScope) -> Observed:
        available = self.artifacts.available(scope.desired)
        seen = self.inventory.observed(available.defaults, available.by_key)
        here = self.name if self._ports.peers is not None else None
        return self._memories.merged(seen, here, self._peers)

    def _facts(self, scope: GatewayScope, now: datetime) -> tuple[RolloutFacts, ...]:
        facts = self._rollout_facts.facts(scope.desired, self._planner, self.statuses.reports, now)
        self.poller.soaking = frozenset().union(*(each.report.soaking for each in facts))
        return with_build_failures(facts, self.artifacts.failures.values())

    def _models(self, state: PassState, observed: Observed) -> tuple[ModelFacts, ...]:
        desired, artifacts = state.scope.desired, self.artifacts
        known = artifacts.available(desired).by_key
        messages = {key: failure.message for key, failure in artifacts.failures.items()}
        sources = ModelSources(desired, state.scope.owners, state.actions, observed, known, messages)
        return self._model_facts.facts(sources)

    def _whole_fleet(self, state: PassState) -> Desired:
        """Return the desired state with the devices of all gateways."""
        whole = self._desired_state.desired if self._desired_state is not None else None
        return whole or state.scope.desired

    def _may_visit(self, device: DeviceId, session: LinkSession) -> bool:
        """Return whether samples of a device may be fetched now: a delivery goes first, on a line to any device."""
        if self.deliveries.is_running(device):
            return False
        shared = not session.link.answers_may_repeat  # a serial line
        return not (shared and any(self._ports.links.session_of(each) is session for each in self.deliveries.running))

    # ------------------------------------------------------------ between passes

    def _delivered(self, done: Delivered) -> None:
        log.log(logging.INFO if done.good else logging.WARNING, "%s: %s", done.subject, done.message)
        (self.poller.has_confirmed if done.good else self.poller.heard_from)(done.device)
        for callback in self.on_delivered:
            callback(done)
        self.wake.set()
