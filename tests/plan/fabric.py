# SPDX-License-Identifier: Apache-2.0
"""Many gateways that share nothing but what they commit, each with a planner of its own, and devices that fail.

What a gateway knows of another is some past of it: fetches are random, gateways are cut off for a while, one may lie,
one may disappear. Truth is kept beside, so that promises are judged by what happened and not by what anybody believed.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import Enum

from reconciler.model import (
    Action,
    ActivatePrebaked,
    Before,
    Configure,
    Counts,
    Desired,
    Device,
    DeviceHealth,
    DeviceId,
    Digest,
    FailureBudget,
    Gateway,
    GatewayId,
    HealthGate,
    HealthMetric,
    Install,
    MqttAddress,
    Observed,
    ObservedDevice,
    OnFailure,
    PeerReport,
    Phase,
    Rollout,
    RolloutId,
    RolloutMemory,
    RolloutReport,
    Selector,
    Wave,
)
from reconciler.plan import Planner, remember
from reconciler.plan.rollout.memory import report_to_peers
from reconciler.plan.rollout.progress import allowed_failures
from tests.plan.fleets import BUILT, ESP32, EVERYWHERE, NOW, V1, V2, digest_of, fleet, told

TICK = timedelta(minutes=1)
WANTED, OLD = digest_of(V2, ESP32.name), digest_of(V1, ESP32.name)
ARTIFACTS = {(each.model, each.type): each for each in BUILT}
NAME = EVERYWHERE.name
FAULTY = HealthGate(HealthMetric.FAULTS, at_most=0, over_inferences=100)
WAVES = (
    (),
    (Wave("canary", count=2, soak_s=300),),
    (Wave("canary", percent=5, soak_s=300), Wave("third", percent=33, soak_s=120), Wave("most", percent=90)),
    (Wave("few", percent=10), Wave("half", percent=50, soak_s=60)),
)
BUDGETS = (FailureBudget(0), FailureBudget(2), FailureBudget(percent=10), FailureBudget(5, 30))
REPORT_TICKS = 5
LIES_TICKS = 150  # of a fabric's time; then a liar keeps to its last word
QUIET_TICKS = 45  # more than a silence, the longest soak and the longest cut take


class Fate(Enum):
    """What becomes of a device that is given the new model."""

    GOOD = "good"
    BAD_TRIAL = "bad trial"
    BAD_GATE = "bad gate"
    DIES = "dies"  # on the way, on trial, or before its gate can be judged
    DEAD = "dead"  # before anything began


@dataclass
class Setting:
    """How large a fabric is, and how much goes wrong in it."""

    gateways: int = 3
    devices: int = 6  # of each gateway
    faults: float = 0.2
    rollout: Rollout | None = None  # None: drawn
    liars: int = 0
    lost: int = 0  # gateways that disappear in the middle
    fetches: float = 0.5  # a minute


@dataclass
class Site:
    """One gateway: what it knows, and what it has committed."""

    name: GatewayId
    devices: frozenset[DeviceId]
    planner: Planner = field(default_factory=Planner)
    memory: Mapping[RolloutId, RolloutMemory] = field(default_factory=dict)
    quarantined: frozenset[tuple[DeviceId, Digest]] = frozenset()
    peers: dict[GatewayId, PeerReport] = field(default_factory=dict)
    word: RolloutReport | None = None
    actions: tuple[Action, ...] = ()
    seen: dict[DeviceId, ObservedDevice] = field(default_factory=dict)
    observed: Observed | None = None
    cut_until: datetime = NOW
    gone: bool = False
    lies: bool = False
    news: bool = True  # something is known that was not planned with yet


class Fabric:
    """A fleet with its gateways, and what really happens to its devices."""

    def __init__(self, seed: int, setting: Setting) -> None:
        self.dice = random.Random(seed)
        self.now = NOW
        self.setting = setting
        self._tick = 0
        self.desired = _desired(self.dice, setting)
        self.rollout = self.desired.rollouts[NAME]
        self.allowed = allowed_failures(self.rollout.budget, len(self.desired.devices))
        names = list(self.desired.gateways)
        self.sites = [
            Site(name, frozenset(each for each in self.desired.devices if each.startswith(f"{name}-")))
            for name in names
        ]
        for site in self.dice.sample(self.sites, setting.liars):
            site.lies = True
        self._to_lose = self.dice.sample([site for site in self.sites if not site.lies], setting.lost)
        self.fates = {name: self._fate(setting.faults) for name in self.desired.devices}
        self.honest = frozenset(name for site in self.sites if not site.lies for name in site.devices)
        self.failed: set[DeviceId] = set()
        self.dead = {name for name, fate in self.fates.items() if fate is Fate.DEAD}
        self.took: set[DeviceId] = set()  # who was ever given the new model
        for site in self.sites:
            site.seen = dict.fromkeys(
                site.devices, ObservedDevice(NOW, Phase.CONFIRMED, OLD, capabilities=told(ESP32), confirmed_since=NOW)
            )

    @property
    def failed_beyond(self) -> int:
        """Count the failures above the one that stops the rollout, where gateways are honest."""
        return max(0, len(self.failed & self.honest) - self.allowed - 1)

    def run(self, ticks: int = 5000) -> bool:
        """Let it go until nothing happens any more; False: it goes on for ever."""
        quiet = 0
        for tick in range(ticks):
            if tick == 10:
                for site in self._to_lose:
                    site.gone = True
            quiet = 0 if self.tick() else quiet + 1
            if quiet == QUIET_TICKS:
                return True
        return False

    def tick(self) -> bool:
        """Let a minute pass; tell whether anything happened."""
        self.now += TICK
        self._tick += 1
        happened = False
        for site in self.dice.sample(self.sites, len(self.sites)):
            happened |= self._live(site)
            if not site.gone:
                happened |= self._fetch(site)
                happened |= self._pass(site)
        return happened

    def done(self, name: DeviceId) -> bool:
        """Tell whether a device runs the new model, confirmed."""
        seen = self.site_of(name).seen[name]
        return seen.running == WANTED and seen.phase is Phase.CONFIRMED

    def site_of(self, name: DeviceId) -> Site:
        """Find the gateway of a device."""
        return next(site for site in self.sites if name in site.devices)

    # ------------------------------------------------------------ gateways

    def _fetch(self, site: Site) -> bool:
        if self.now < site.cut_until:
            return False
        if self.dice.random() < 0.01:
            site.cut_until = self.now + self.dice.randint(2, 30) * TICK
        if self.dice.random() >= self.setting.fetches:  # fetches are no clockwork
            return False
        before = dict(site.peers)
        for peer in self.sites:
            known = site.peers.get(peer.name)
            if peer is not site and peer.word is not None and (known is None or known.rollouts[NAME] is not peer.word):
                site.peers[peer.name] = PeerReport({NAME: peer.word})
        site.news |= site.peers != before
        return site.peers != before

    def _pass(self, site: Site) -> bool:
        if not site.news and (site.planner.until is None or self.now < site.planner.until):
            return self._act(site, site.actions)
        site.news = False
        observed = Observed(dict(site.seen), ARTIFACTS, site.quarantined, site.memory, site.name, dict(site.peers))
        actions = site.planner.plan(self.desired, observed, self.now)
        site.observed = observed
        changed = actions != site.actions
        site.actions = actions
        courses, verdicts = site.planner.courses, site.planner.verdicts(NAME)
        site.memory = remember(observed, courses, self.now)
        site.news = site.memory != observed.rollouts
        bad = {(name, WANTED) for name in site.devices if verdicts[name].gate_failed}
        site.news |= not bad <= site.quarantined
        site.quarantined |= bad
        if not site.lies:
            site.word = report_to_peers(courses[NAME], verdicts, site.devices, site.word, self.now)
        elif site.word is None or (self._tick < LIES_TICKS and self.dice.random() < 0.2):
            site.word = self._lie(courses[NAME].revision, site)
            site.news = True
        return self._act(site, actions) or changed

    def _lie(self, revision: str, site: Site) -> RolloutReport:
        """Say that all is done, or say of anybody's devices whatever comes to mind; only a stop would end it all."""
        if self.dice.random() < 0.5:
            return RolloutReport(revision, done=site.devices)
        everybody = sorted(self.desired.devices)
        done, begun, soaking, due, missing, out = (
            frozenset(self.dice.sample(everybody, self.dice.randint(0, len(everybody)))) for _ in range(6)
        )
        return RolloutReport(revision, done, begun, soaking, due, missing=missing, out=out)

    def _act(self, site: Site, actions: Iterable[Action]) -> bool:
        acted = False
        for action in actions:
            if action.device not in site.devices or action.device in self.dead:
                continue
            if isinstance(action, Install | Configure | ActivatePrebaked) and self.dice.random() < 0.7:
                acted |= self._order(site, action)
        return acted

    def _order(self, site: Site, action: Install | Configure | ActivatePrebaked) -> bool:
        name, seen = action.device, site.seen[action.device]
        site.news = True
        if isinstance(action, Configure):
            site.seen[name] = replace(seen, parameters=action.parameters, confirmed_since=self.now)
        elif action.model == V1:
            site.seen[name] = replace(
                seen,
                running=OLD,
                other_slot=WANTED,
                parameters=action.parameters,
                confirmed_since=self.now,
                health=None,
            )
        elif seen.phase is Phase.CONFIRMED:
            self.took.add(name)
            before = Before("", OLD, seen.parameters)
            site.seen[name] = replace(seen, phase=Phase.RECEIVING, incoming=WANTED, before=before)
        else:
            site.seen[name] = replace(seen, phase=Phase.TRIAL, running=WANTED, other_slot=OLD, incoming=None)
        return True

    # ------------------------------------------------------------ devices

    def _live(self, site: Site) -> bool:
        happened = False
        for name in sorted(site.devices - self.dead):
            before = site.seen[name]
            after = self._step(name, before)
            if name in self.dead:
                happened = True
                continue
            happened |= after is not before
            if after is not before or self._tick % REPORT_TICKS == 0:
                site.seen[name] = replace(after, last_seen=self.now)
                site.news = True
        return happened

    def _step(self, name: DeviceId, seen: ObservedDevice) -> ObservedDevice:
        fate = self.fates[name]
        begins = seen.health is not None and seen.health.now.inferences < FAULTY.over_inferences
        gated = bool(self.rollout.gates) and seen.running == WANTED and begins
        under_test = seen.phase is not Phase.CONFIRMED or gated
        if fate is Fate.DIES and under_test and self.dice.random() < 0.3:
            self.dead.add(name)
            self.failed.add(name)
            return seen
        if seen.phase is Phase.TRIAL and self.dice.random() < 0.5:
            return self._end_trial(name, seen)
        if seen.phase is Phase.CONFIRMED and seen.running == WANTED and not self._watched(seen):
            return self._count(name, seen)
        return seen

    def _end_trial(self, name: DeviceId, seen: ObservedDevice) -> ObservedDevice:
        if self.fates[name] is Fate.BAD_TRIAL:
            self.failed.add(name)
            site = self.site_of(name)
            site.quarantined |= {(name, WANTED)}
            return replace(seen, phase=Phase.CONFIRMED, running=OLD, other_slot=None, previous_failed=WANTED)
        parameters = {"threshold": 0.5}
        health = DeviceHealth(Counts(0, 0, 0, 0))
        return replace(seen, phase=Phase.CONFIRMED, parameters=parameters, confirmed_since=self.now, health=health)

    def _count(self, name: DeviceId, seen: ObservedDevice) -> ObservedDevice:
        now = seen.health.now if seen.health else Counts(0, 0, 0, 0)
        faults = 1 if self.fates[name] is Fate.BAD_GATE and now.inferences else 0
        if faults and self.rollout.gates:
            self.failed.add(name)
        return replace(seen, health=DeviceHealth(replace(now, inferences=now.inferences + 40, faults=faults)))

    @staticmethod
    def _watched(seen: ObservedDevice) -> bool:
        """Tell whether a device has counted all that the gate could ask for."""
        return seen.health is not None and seen.health.now.inferences > FAULTY.over_inferences

    def _fate(self, faults: float) -> Fate:
        if self.dice.random() >= faults:
            return Fate.GOOD
        return self.dice.choice((Fate.BAD_TRIAL, Fate.BAD_TRIAL, Fate.BAD_GATE, Fate.DIES, Fate.DEAD))


def _desired(dice: random.Random, setting: Setting) -> Desired:
    gateways = [
        Gateway(GatewayId(f"g{number:02}"), Selector(match_labels={"at": f"g{number:02}"}))
        for number in range(setting.gateways)
    ]
    devices = [
        Device(DeviceId(f"{gateway.name}-{number:03}"), ESP32.name, MqttAddress(), {"at": gateway.name})
        for gateway in gateways
        for number in range(setting.devices)
    ]
    rollout = setting.rollout or replace(
        EVERYWHERE,
        waves=dice.choice(WAVES),
        budget=dice.choice(BUDGETS),
        gates=dice.choice(((), (FAULTY,))),
        on_failure=dice.choice(tuple(OnFailure)),
    )
    return fleet(devices, [rollout], gateways=gateways)
