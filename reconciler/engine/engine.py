# SPDX-License-Identifier: Apache-2.0
"""One pass: look at Git, look at the devices, plan, act, report. The only place where effects are ordered.

A pass never waits for a device: it begins deliveries and builds, which end on their own and wake the next pass.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Mapping
from concurrent.futures import Executor
from dataclasses import dataclass, replace

from reconciler.devices.bodies import Report, parse_body
from reconciler.devices.codec import Signed
from reconciler.devices.conversation import Lost
from reconciler.devices.errors import Malformed
from reconciler.devices.link import Event, Heard, LinkState, Presence
from reconciler.engine.artifacts import Artifacts, Builder
from reconciler.engine.attention import Attention
from reconciler.engine.clock import Clock
from reconciler.engine.deliveries import Deliveries, Done
from reconciler.engine.dispatch import Dispatch, Tools, wish
from reconciler.engine.fleetview import FleetView
from reconciler.engine.links import Links
from reconciler.engine.publisher import Publisher
from reconciler.engine.seals import Seals
from reconciler.engine.state import State
from reconciler.engine.statuses import Picture, Statuses
from reconciler.engine.wanted import Want, Wanted
from reconciler.errors import Refused
from reconciler.model import Action, Commit, Desired, DeviceId, GatewayId, Observed, RolloutId
from reconciler.plan import Planner
from reconciler.plan.claims import Claims
from reconciler.report.conditions import Status
from reconciler.report.device import Moment
from reconciler.report.gateway import GatewayFacts, SourceState
from reconciler.selection import matcher
from signing.gatewaystore import Gateway

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Ports:
    """All that an engine touches the world with."""

    wanted: Wanted
    git_thread: Executor  # Git blocks; everything that touches the mirror runs there, one thing at a time
    builder: Builder
    links: Links
    seals: Seals
    state: State
    publisher: Publisher
    gateway: Gateway
    clock: Clock


@dataclass(frozen=True, slots=True)
class Pass:
    """What one pass found and began."""

    want: Want
    actions: tuple[Action, ...]


class Engine:
    """The gateway's engine. `run_pass` may be called at any time; it always starts from what is."""

    def __init__(self, name: GatewayId, ports: Ports) -> None:
        self.name = name
        self.wake = asyncio.Event()
        self._ports = ports
        jitter = random.Random()  # noqa: S311 - spreads load, guards nothing
        self.view = FleetView(ports.state)
        self.artifacts = Artifacts(ports.builder, ports.state, self.wake.set)
        self.deliveries = Deliveries(self._delivered, jitter)
        self.attention = Attention(self.view, ports.clock, ports.links.fleet_of, lambda _: self.wake.set(), jitter)
        tools = Tools(
            self.artifacts,
            self.view,
            ports.state,
            ports.gateway,
            ports.clock,
            ports.links.fleet_of,
        )
        self._dispatch = Dispatch(tools, self.deliveries)
        self._planner = Planner()
        self.statuses = Statuses(name, ports.state.status())
        self._want: Want | None = None
        self._scoped: tuple[Desired, Desired] | None = None
        self._owners: Mapping[DeviceId, RolloutId] = {}
        self._remote_trouble: str | None = None

    async def look(self) -> None:
        """Look at Git: fetch, verify, load."""
        loop = asyncio.get_running_loop()
        before, self._want = self._want, await loop.run_in_executor(self._ports.git_thread, self._ports.wanted.look)
        if self._want != before:
            _tell(self._want)
            self.wake.set()

    async def run_pass(self, *, act: bool = True) -> Pass | None:
        """Plan for what is wanted and what is; with `act`, begin what the plan says. None before the first look."""
        if self._want is None:
            return None
        actions: tuple[Action, ...] = ()
        scoped = self._scope(self._want.desired) if self._want.desired is not None else None
        if scoped is not None:
            if act:
                self._attend(scoped)
            actions = self._planner.plan(scoped, self._observed(scoped), self._ports.clock.now())
            if act:
                self.artifacts.provide(scoped, actions)
                self._dispatch.begin(scoped, actions, self._ports.clock.steady_s())
        self._report(scoped, actions)
        return Pass(self._want, actions)

    async def publish(self) -> None:
        """Commit the status, if it changed and the interval is over."""
        steady_s = self._ports.clock.steady_s()
        if self._ports.publisher.due_in_s(steady_s) == 0.0:
            loop = asyncio.get_running_loop()
            self._remote_trouble = await loop.run_in_executor(
                self._ports.git_thread, self._ports.publisher.flush, steady_s, self._ports.clock.now()
            )

    def next_pass_in_s(self) -> float | None:
        """Return after how long time alone may change the plan, or a status is due; None: not at all."""
        due = [self._ports.publisher.due_in_s(self._ports.clock.steady_s())]
        if self._planner.until is not None:
            due.append(max(0.0, (self._planner.until - self._ports.clock.now()).total_seconds()))
        due.append(self.deliveries.next_try_in_s(self._ports.clock.steady_s()))
        return min((each for each in due if each is not None), default=None)

    @property
    def source(self) -> SourceState | None:
        """Return how the last look at Git went."""
        return self._want.source if self._want is not None else None

    def summary(self) -> str:
        """Say in one line where things stand."""
        gateway = self.statuses.gateway
        if gateway is None:
            return "looking at Git"
        devices = self.statuses.devices
        good = sum(device.ready.status is Status.TRUE for device in devices)
        under_way = len(self.deliveries.running)
        return f"{gateway.ready.reason}: {good} of {len(devices)} devices as wanted, {under_way} updates under way"

    async def listen(self) -> None:
        """Take in what devices say by themselves, until cancelled."""
        async for event in self._ports.links.events():
            self._take(event)

    async def stop(self) -> None:
        """End what is under way; devices keep what they hold."""
        await self.attention.stop()
        await self.deliveries.stop()
        await self.artifacts.stop()

    # ------------------------------------------------------------ steps of a pass

    def _scope(self, desired: Desired) -> Desired | None:
        """Leave only the devices that this gateway serves; None: Git does not know this gateway."""
        if self._scoped is not None and self._scoped[0] is desired:
            return self._scoped[1]
        gateway = desired.gateways.get(self.name)
        if gateway is None:
            return None
        serves = matcher(gateway.selector)
        mine = {name: device for name, device in desired.devices.items() if serves(device)}
        scoped = replace(desired, devices=mine)
        self._scoped = (desired, scoped)
        claims = Claims(scoped)
        claimed = {name: claims.of(device).rollout for name, device in mine.items()}
        self._owners = {name: rollout for name, rollout in claimed.items() if rollout is not None}
        self.view.release_outdated({name: wish(rollout) for name, rollout in desired.rollouts.items()})
        return scoped

    def _attend(self, scoped: Desired) -> None:
        gateway = scoped.gateways[self.name]
        self._ports.links.serve(scoped.fleet.name, scoped.devices, gateway.limits)
        self.attention.watch(scoped.devices, scoped.fleet.report_every_s)

    def _observed(self, scoped: Desired) -> Observed:
        current = self.artifacts.current(scoped)
        return self.view.observed(current.facts, current.by_pair)

    def _report(self, scoped: Desired | None, actions: tuple[Action, ...]) -> None:
        want = self._want
        if want is None:
            return
        commit = scoped.commit if scoped is not None else Commit("")
        problems = want.problems
        if want.desired is not None and scoped is None:
            problems = (f"the fleet repository has no Gateway named {self.name}", *problems)
        links = {**self._ports.links.troubles(), "status ref": self._remote_trouble}
        current = self.artifacts.current(scoped) if scoped is not None else None
        picture = Picture(
            GatewayFacts(self.name, want.source, problems, links),
            actions,
            self._observed(scoped) if scoped is not None else Observed(),
            current.by_digest16 if current is not None else {},
            self._owners,
            Moment(self._ports.clock.now(), commit),
        )
        self._ports.publisher.put(*self.statuses.changed(picture))

    # ------------------------------------------------------------ what happens between passes

    def _delivered(self, done: Done) -> None:
        level = logging.WARNING if isinstance(done.outcome, Lost) else logging.INFO
        log.log(level, "%s: %s: %s", done.device, done.label, done.outcome)
        self.attention.heard_from(done.device)
        self.wake.set()

    def _take(self, event: Event) -> None:
        match event:
            case Heard(device, Signed(cose)):
                self._take_unasked(device, cose)
            case Presence(device, there=True):
                self.deliveries.forgive(device)
                self.attention.soon(device)
            case LinkState():
                self.wake.set()
            case _:
                pass  # an answer that came too late

    def _take_unasked(self, device: DeviceId, cose: bytes) -> None:
        try:
            body = parse_body(self._ports.seals.open_signed(device, cose, b""))
        except (Refused, Malformed) as refused:
            log.warning("%s: a report was refused: %s", device, refused)
            return
        if isinstance(body, Report) and self.view.take_report(device, body, self._ports.clock.now(), asked=False):
            self.attention.heard_from(device)
            self.wake.set()


def _tell(want: Want) -> None:
    """Log what a look at Git found."""
    if want.source.good:
        log.info("%s", want.source.message)
    else:
        log.warning("%s: %s", want.source.reason, want.source.message)
    for problem in want.problems:
        log.error("%s", problem)
