# SPDX-License-Identifier: Apache-2.0
"""One pass: look at Git, look at the devices, plan, act, report. The only place where effects are ordered.

A pass never waits for a device: it begins deliveries and builds, which end on their own and wake the next pass.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass

from reconciler.engine import trace
from reconciler.engine.artifacts.provider import Artifacts, Builder
from reconciler.engine.clock import Clock
from reconciler.engine.delivery.deliveries import Delivered, Deliveries
from reconciler.engine.delivery.dispatch import Dispatch, DispatchPorts
from reconciler.engine.desired.desired_state import DesiredState, DesiredStateSource
from reconciler.engine.desired.gateway_scope import Scope, Scoped
from reconciler.engine.links import Links
from reconciler.engine.observed.inventory import Inventory
from reconciler.engine.observed.peer_statuses import PeerStatuses
from reconciler.engine.observed.rollout_memory import RolloutMemories, take_gates
from reconciler.engine.observed.summaries import Summaries
from reconciler.engine.observed.report_verifier import ReportVerifier
from reconciler.engine.polling.events import EventHandler
from reconciler.engine.polling.poller import Observer, Poller
from reconciler.engine.state.database import StateDatabase
from reconciler.engine.status.publisher import Publisher
from reconciler.engine.status.rollout_facts import RolloutFactsBuilder
from reconciler.engine.status.renderer import PassOutcome, StatusRenderer, has_stopped
from reconciler.errors import FleetError
from reconciler.model import Action, Commit, Desired, GatewayId, Observed, PeerReport
from reconciler.plan import Planner
from reconciler.plan.revision import revision_of
from reconciler.report.conditions import Status
from reconciler.report.device_status import PassStamp
from reconciler.report.gateway_status import GatewayFacts, SourceState
from reconciler.report.rollout_status import RolloutFacts
from signing.gateway_keystore import GatewayKey

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Ports:
    """All that an engine touches the world with."""

    wanted: DesiredStateSource
    git_thread: Executor  # Git blocks; everything that touches the mirror runs there, one thing at a time
    status_thread: Executor  # the same for the mirror of the status: a slow fetch delays no status
    builder: Builder
    links: Links
    seals: ReportVerifier
    state: StateDatabase
    publisher: Publisher
    gateway: GatewayKey
    clock: Clock
    peers: PeerStatuses | None = None  # None: rollouts do not span gateways
    page: bool = False  # a page for a browser beside the status README


@dataclass(frozen=True, slots=True)
class Pass:
    """What one pass found and began."""

    number: int
    want: DesiredState
    actions: tuple[Action, ...]


class Engine:
    """The gateway's engine. `run_pass` may be called at any time; it always starts from what is."""

    def __init__(self, name: GatewayId, ports: Ports) -> None:
        self.name = name
        self.wake = asyncio.Event()
        self.on_done: list[Callable[[Delivered], None]] = []  # who else wants to know how deliveries end
        self.passes = 0
        self._ports = ports
        jitter = random.Random()  # noqa: S311 - spreads load, guards nothing
        self.view = Inventory(ports.state, ports.clock.steady_s)
        self.summaries = Summaries(ports.state)
        self.artifacts = Artifacts(ports.builder, ports.state, self.wake.set)
        self.deliveries = Deliveries(self._delivered, self.wake.set, jitter)
        ears = Observer(self.view, self.summaries, ports.clock)
        self.attention = Poller(
            ears,
            ports.links,
            lambda device: device in self.deliveries.running,
            lambda _: self.wake.set(),
            jitter,
        )
        tools = DispatchPorts(self.artifacts, self.view, ports.state, ports.gateway, ports.clock, ports.links.fleet_of)
        self._hearing = EventHandler(ears, ports.seals, self.attention, self.deliveries, self.wake.set)
        self._dispatch = Dispatch(tools, self.deliveries)
        self._planner = Planner()
        self.statuses = StatusRenderer(name, ports.state.status(), page=ports.page)
        self._want: DesiredState | None = None
        self._scope = Scope(name, together=ports.peers is not None)
        self._recall = RolloutMemories(ports.state)
        self._rollout_view = RolloutFactsBuilder()
        self._ours: tuple[tuple[Action, ...], tuple[Action, ...]] = ((), ())  # of the last plan, and of that ours
        self._peers: Mapping[GatewayId, PeerReport] = {}
        self._remote_trouble: str | None = None

    async def look(self) -> None:
        """Look at Git: fetch, verify, load."""
        loop = asyncio.get_running_loop()
        before, self._want = self._want, await loop.run_in_executor(self._ports.git_thread, self._ports.wanted.look)
        if self._ports.peers is not None:
            peers = await loop.run_in_executor(self._ports.git_thread, self._ports.peers.look)
            if peers is not self._peers:
                self._peers = peers
                self.wake.set()
        if self._want != before:
            _tell(self._want)
            self.wake.set()

    async def run_pass(self, *, act: bool = True) -> Pass | None:
        """Plan for what is wanted and what is; with `act`, begin what the plan says. None before the first look."""
        want = self._want
        if want is None:
            return None
        self.passes += 1
        trace.begin_pass(self.passes, want.desired.commit if want.desired else None)
        actions: tuple[Action, ...] = ()
        scoped = self._scope.of(want.desired) if want.desired is not None else None
        if scoped is not None:
            actions = self._plan(scoped, act=act)
        self._report(want, scoped, actions)
        return Pass(self.passes, want, actions)

    async def publish(self, *, at_once: bool = False) -> None:
        """Commit the status, if it changed and the interval is over."""
        steady_s = self._ports.clock.steady_s()
        due_in_s = self._ports.publisher.due_in_s(steady_s)
        if due_in_s is None or (due_in_s > 0.0 and not at_once):
            return
        publisher, now = self._ports.publisher, self._ports.clock.now()
        batch = publisher.batch(steady_s)
        loop = asyncio.get_running_loop()
        outcome = await loop.run_in_executor(self._ports.status_thread, publisher.commit, batch, now)
        before, self._remote_trouble = self._remote_trouble, publisher.ended(batch, outcome)
        if self._remote_trouble != before:
            self.wake.set()

    def publish_in_s(self) -> float | None:
        """Return after how long a status is due; None: nothing changed."""
        return self._ports.publisher.due_in_s(self._ports.clock.steady_s())

    def next_pass_in_s(self) -> float | None:
        """Return after how long time alone may change the plan; None: not at all."""
        due: list[float | None] = []
        if self._planner.until is not None:
            due.append(max(0.0, (self._planner.until - self._ports.clock.now()).total_seconds()))
        due.append(self.deliveries.next_try_in_s(self._ports.clock.steady_s()))
        return min((each for each in due if each is not None), default=None)

    @property
    def busy(self) -> bool:
        """Tell whether anything is under way that will wake a pass when it ends."""
        return bool(self.wake.is_set() or self.attention.pending or self.deliveries.running or self.artifacts.building)

    @property
    def source(self) -> SourceState | None:
        """Return how the last look at Git went."""
        return self._want.source if self._want is not None else None

    @property
    def enforced(self) -> Commit | None:
        """Return the commit that is enforced."""
        return self._want.desired.commit if self._want is not None and self._want.desired is not None else None

    def summary(self) -> str:
        """Say in one line where things stand."""
        gateway = self.statuses.gateway
        if gateway is None:
            return "looking at Git"
        devices = self.statuses.devices
        good = sum(device.ready.status is Status.TRUE for device in devices)
        in_progress = len(self.deliveries.running)
        return f"{gateway.ready.reason}: {good} of {len(devices)} devices as wanted, {in_progress} updates under way"

    async def listen(self) -> None:
        """Take in what devices say by themselves, until cancelled."""
        async for event in self._ports.links.events():
            try:
                self._hearing.take(event)
            except FleetError as failure:  # what it said is lost, and asked for again
                log.error("hearing a device failed: %s: %s", failure.reason, failure)  # noqa: TRY400 - expected

    async def stop(self) -> None:
        """End what is under way; devices keep what they hold."""
        await self.attention.stop()
        await self.deliveries.stop()
        await self.artifacts.stop()

    # ------------------------------------------------------------ steps of a pass

    def _plan(self, scoped: Scoped, *, act: bool) -> tuple[Action, ...]:
        desired = scoped.desired
        if scoped.news:
            self._learn(desired)
        if act:
            self._ports.links.serve(desired.fleet.name, desired.devices, desired.gateways[self.name].limits)
            self.attention.watch(desired.devices, desired.fleet.report_every_s)
        actions = self._plan_together(scoped)
        if act:
            self._dispatch.cancel(desired, actions, scoped.owners)
            self.artifacts.provide(desired, actions)
            self._dispatch.begin(desired, actions, self._ports.clock.steady_s())
        return actions

    def _plan_together(self, scoped: Scoped) -> tuple[Action, ...]:
        """Plan with the devices of other gateways in sight, for ours; keep what must not be forgotten of it."""
        desired, observed, now = scoped.desired, self._observed(scoped), self._ports.clock.now()
        actions = self._planner.plan(scoped.planned, observed, now)
        if scoped.others:
            if self._ours[0] is not actions:
                self._ours = (actions, tuple([each for each in actions if each.device not in scoped.others]))
            actions = self._ours[1]
        if self._recall.take(observed, self._planner, now):
            self.wake.set()
        take_gates(desired, self._planner, self.view, self.artifacts.current(desired).by_pair)
        return actions

    def _learn(self, desired: Desired) -> None:
        """Take in what a new commit says of devices."""
        self._ports.seals.know(desired.fleet.name, desired.devices)
        self.view.know(self._ports.seals.public_keys)
        self.view.silent_after_s = desired.fleet.silent_after_s
        self.view.release_outdated({name: revision_of(desired, name) for name in desired.rollouts})
        for device in self.view.reports.keys() - desired.devices.keys():
            self.view.forget(device)

    def _observed(self, scoped: Scoped) -> Observed:
        current = self.artifacts.current(scoped.desired)
        seen = self.view.observed(current.facts, current.by_pair)
        here = self.name if self._ports.peers is not None else None
        return self._recall.merged(seen, here, self._peers)

    def _report(self, want: DesiredState, scoped: Scoped | None, actions: tuple[Action, ...]) -> None:
        problems = want.problems
        if want.desired is not None and scoped is None:
            problems = (f"the fleet repository has no Gateway named {self.name}", *problems)
        links = {**self._ports.links.troubles(), "status ref": self._remote_trouble}
        current = self.artifacts.current(scoped.desired) if scoped is not None else None
        observed = self._observed(scoped) if scoped is not None else Observed()
        picture = PassOutcome(
            GatewayFacts(self.name, want.source, problems, links, self._ports.links.strangers()),
            actions,
            observed,
            current.by_digest16 if current is not None else {},
            scoped.owners if scoped is not None else {},
            PassStamp(self._ports.clock.now(), scoped.desired.commit if scoped is not None else Commit("")),
            self.view.doubts.about(actions, observed.devices),
            self._rollout_facts(scoped) if scoped is not None else (),
        )
        before = self.statuses.rollouts
        changed = self.statuses.changed(picture)
        self._ports.publisher.put(*changed, urgent=has_stopped(before, self.statuses.rollouts))

    def _rollout_facts(self, scoped: Scoped) -> tuple[RolloutFacts, ...]:
        words, now = self.statuses.words, self._ports.clock.now()
        return self._rollout_view.facts(scoped.desired, self._planner, scoped.desired.devices, words, now)

    def _delivered(self, done: Delivered) -> None:
        log.log(logging.INFO if done.good else logging.WARNING, "%s: %s", done.label, done.words)
        self.attention.heard_from(done.device)
        for told in self.on_done:
            told(done)
        self.wake.set()


def _tell(want: DesiredState) -> None:
    """Log what a look at Git found."""
    if want.source.good:
        log.info("%s", want.source.message)
    else:
        log.warning("%s: %s", want.source.reason, want.source.message, extra={"reason": want.source.reason})
    for problem in want.problems:
        log.error("%s", problem, extra={"reason": "Invalid"})
