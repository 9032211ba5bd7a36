# SPDX-License-Identifier: Apache-2.0
"""A simulation of many gateways, each with its own planner, and of devices that fail.

The gateways share nothing but what they commit. What a gateway knows of a peer is some earlier state of it: fetches
come at random, gateways are offline for a while, one may be dishonest, one may disappear. The true state is kept
separately, so that the promises are checked against the true events and not against what gateways know.
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
from reconciler.plan.device.verdict import FailedDevice
from reconciler.plan.rollout.own_report import report_to_peers
from reconciler.plan.rollout.progress import allowed_failures
from tests.plan.example_fleet import BUILT, ESP32, EVERYWHERE, NOW, V1, V2, capabilities_of, digest_of, fleet

TICK = timedelta(minutes=1)
WANTED, OLD = digest_of(V2, ESP32.name), digest_of(V1, ESP32.name)
ARTIFACTS = {(each.model, each.type): each for each in BUILT}
NAME = EVERYWHERE.name
FAULTY = HealthGate(HealthMetric.FAULTS, at_most=0, min_inferences=100)
WAVES = (
    (),
    (Wave("canary", count=2, soak_s=300),),
    (Wave("canary", percent=5, soak_s=300), Wave("third", percent=33, soak_s=120), Wave("most", percent=90)),
    (Wave("few", percent=10), Wave("half", percent=50, soak_s=60)),
)
BUDGETS = (FailureBudget(0), FailureBudget(2), FailureBudget(percent=10), FailureBudget(5, 30))
REPORT_TICKS = 5
FALSE_REPORT_TICKS = 150  # after that a dishonest gateway repeats its last report
QUIET_TICKS = 45  # longer than a silence, the longest soak and the longest interruption


class Fate(Enum):
    """What happens to a device that gets the new model."""

    GOOD = "good"
    BAD_TRIAL = "bad trial"
    BAD_GATE = "bad gate"
    DIES = "dies"  # during the transfer, on trial, or before its gate can be evaluated
    DEAD = "dead"  # before the rollout began


@dataclass
class SimulationSettings:
    """How large the simulation is, and how much goes wrong in it."""

    gateways: int = 3
    devices: int = 6  # of each gateway
    faults: float = 0.2
    rollout: Rollout | None = None  # None: drawn
    dishonest: int = 0
    lost: int = 0  # gateways that disappear during the rollout
    fetches: float = 0.5  # per minute
    fates: tuple[Fate, ...] = (Fate.BAD_TRIAL, Fate.BAD_TRIAL, Fate.BAD_GATE, Fate.DIES, Fate.DEAD)  # of faulty devices


@dataclass
class SimulatedGateway:
    """One gateway: what it knows, and what it has committed."""

    name: GatewayId
    devices: frozenset[DeviceId]
    planner: Planner = field(default_factory=Planner)
    memory: Mapping[RolloutId, RolloutMemory] = field(default_factory=dict)
    quarantined: frozenset[tuple[DeviceId, Digest]] = frozenset()
    peers: dict[GatewayId, PeerReport] = field(default_factory=dict)
    report: RolloutReport | None = None
    actions: tuple[Action, ...] = ()
    seen: dict[DeviceId, ObservedDevice] = field(default_factory=dict)
    observed: Observed | None = None
    offline_until: datetime = NOW
    gone: bool = False
    dishonest: bool = False
    stale: bool = True  # the last plan did not take everything into account


class GatewaySimulation:
    """A fleet, its gateways, and the true state of its devices."""

    def __init__(self, seed: int, setting: SimulationSettings) -> None:
        self.dice = random.Random(seed)
        self.now = NOW
        self.setting = setting
        self._tick = 0
        self.desired = _desired(self.dice, setting)
        self.rollout = self.desired.rollouts[NAME]
        self.allowed = allowed_failures(self.rollout.failure_budget, len(self.desired.devices))
        names = list(self.desired.gateways)
        self.gateways = [
            SimulatedGateway(name, frozenset(each for each in self.desired.devices if each.startswith(f"{name}-")))
            for name in names
        ]
        for gateway in self.dice.sample(self.gateways, setting.dishonest):
            gateway.dishonest = True
        self._to_lose = self.dice.sample([gateway for gateway in self.gateways if not gateway.dishonest], setting.lost)
        self.fates = {name: self._fate(setting.faults) for name in self.desired.devices}
        self.honest = frozenset(name for gateway in self.gateways if not gateway.dishonest for name in gateway.devices)
        self.failed: set[DeviceId] = set()
        self.dead = {name for name, fate in self.fates.items() if fate is Fate.DEAD}
        self.took: set[DeviceId] = set()  # the devices that ever got the new model
        for gateway in self.gateways:
            gateway.seen = dict.fromkeys(
                gateway.devices,
                ObservedDevice(NOW, Phase.CONFIRMED, OLD, capabilities=capabilities_of(ESP32), confirmed_since=NOW),
            )

    @property
    def failed_beyond(self) -> int:
        """Count the failures above the one that stops the rollout, at honest gateways."""
        return max(0, len(self.failed & self.honest) - self.allowed - 1)

    def run(self, ticks: int = 5000) -> bool:
        """Run until nothing happens any more; return False if that is never the case."""
        quiet = 0
        for tick in range(ticks):
            if tick == 10:
                for gateway in self._to_lose:
                    gateway.gone = True
            quiet = 0 if self.tick() else quiet + 1
            if quiet == QUIET_TICKS:
                return True
        return False

    def tick(self) -> bool:
        """Let a minute pass; return whether anything happened."""
        self.now += TICK
        self._tick += 1
        happened = False
        for gateway in self.dice.sample(self.gateways, len(self.gateways)):
            happened |= self._live(gateway)
            if not gateway.gone:
                happened |= self._fetch(gateway)
                happened |= self._pass(gateway)
        return happened

    def done(self, name: DeviceId) -> bool:
        """Return whether a device runs the new model, confirmed."""
        seen = self.gateway_of(name).seen[name]
        return seen.running == WANTED and seen.phase is Phase.CONFIRMED

    def gateway_of(self, name: DeviceId) -> SimulatedGateway:
        """Find the gateway of a device."""
        return next(gateway for gateway in self.gateways if name in gateway.devices)

    # ------------------------------------------------------------ gateways

    def _fetch(self, gateway: SimulatedGateway) -> bool:
        if self.now < gateway.offline_until:
            return False
        if self.dice.random() < 0.01:
            gateway.offline_until = self.now + self.dice.randint(2, 30) * TICK
        if self.dice.random() >= self.setting.fetches:  # fetches come at random times
            return False
        before = dict(gateway.peers)
        self.exchange(gateway)
        gateway.stale |= gateway.peers != before
        return gateway.peers != before

    def exchange(self, gateway: SimulatedGateway) -> None:
        """Let a gateway learn what its peers have reported last."""
        for peer in self.gateways:
            known = gateway.peers.get(peer.name)
            if (
                peer is not gateway
                and peer.report is not None
                and (known is None or known.rollouts[NAME] is not peer.report)
            ):
                gateway.peers[peer.name] = PeerReport({NAME: peer.report})

    def _pass(self, gateway: SimulatedGateway) -> bool:
        if not gateway.stale and (gateway.planner.until is None or self.now < gateway.planner.until):
            return self._act(gateway, gateway.actions)
        gateway.stale = False
        observed = Observed(
            dict(gateway.seen), ARTIFACTS, gateway.quarantined, gateway.memory, gateway.name, dict(gateway.peers)
        )
        actions = gateway.planner.plan(self.desired, observed, self.now)
        gateway.observed = observed
        changed = actions != gateway.actions
        gateway.actions = actions
        evaluations, verdicts = gateway.planner.evaluations, gateway.planner.verdicts(NAME)
        gateway.memory = remember(observed, evaluations, self.now)
        gateway.stale = gateway.memory != observed.rollouts
        bad = {
            (name, WANTED)
            for name in gateway.devices
            if isinstance(verdict := verdicts[name], FailedDevice) and verdict.failed_gate
        }
        gateway.stale |= not bad <= gateway.quarantined
        gateway.quarantined |= bad
        if not gateway.dishonest:
            gateway.report = self.report(gateway)
        elif gateway.report is None or (self._tick < FALSE_REPORT_TICKS and self.dice.random() < 0.2):
            gateway.report = self._false_report(evaluations[NAME].revision, gateway)
            gateway.stale = True
        return self._act(gateway, actions) or changed

    def report(self, gateway: SimulatedGateway) -> RolloutReport:
        """Report what an honest gateway knows of its own devices."""
        evaluation, verdicts = gateway.planner.evaluations[NAME], gateway.planner.verdicts(NAME)
        return report_to_peers(evaluation, verdicts, gateway.devices, gateway.report, self.now)

    def _false_report(self, revision: str, gateway: SimulatedGateway) -> RolloutReport:
        """Report all own devices done, or random states of any devices, but never a stop, which would end it."""
        if self.dice.random() < 0.5:
            return RolloutReport(revision, done=gateway.devices)
        everyone = sorted(self.desired.devices)
        done, begun, soaking, due, missing, out = (
            frozenset(self.dice.sample(everyone, self.dice.randint(0, len(everyone)))) for _ in range(6)
        )
        return RolloutReport(revision, done, begun, soaking, due, missing=missing, out=out)

    def _act(self, gateway: SimulatedGateway, actions: Iterable[Action]) -> bool:
        acted = False
        for action in actions:
            if action.device not in gateway.devices or action.device in self.dead:
                continue
            if isinstance(action, Install | Configure | ActivatePrebaked) and self.dice.random() < 0.7:
                acted |= self._order(gateway, action)
        return acted

    def _order(self, gateway: SimulatedGateway, action: Install | Configure | ActivatePrebaked) -> bool:
        name, seen = action.device, gateway.seen[action.device]
        gateway.stale = True
        if isinstance(action, Configure):
            gateway.seen[name] = replace(seen, parameters=action.parameters, confirmed_since=self.now)
        elif action.model == V1:
            gateway.seen[name] = replace(
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
            gateway.seen[name] = replace(seen, phase=Phase.RECEIVING, incoming=WANTED, before=before)
        else:
            gateway.seen[name] = replace(seen, phase=Phase.TRIAL, running=WANTED, other_slot=OLD, incoming=None)
        return True

    # ------------------------------------------------------------ devices

    def _live(self, gateway: SimulatedGateway) -> bool:
        happened = False
        for name in sorted(gateway.devices - self.dead):
            before = gateway.seen[name]
            after = self._step(name, before)
            if name in self.dead:
                happened = True
                continue
            happened |= after is not before
            if after is not before or self._tick % REPORT_TICKS == 0:
                gateway.seen[name] = replace(after, last_seen=self.now)
                gateway.stale = True
        return happened

    def _step(self, name: DeviceId, seen: ObservedDevice) -> ObservedDevice:
        fate = self.fates[name]
        begins = seen.health is not None and seen.health.now.inferences < FAULTY.min_inferences
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
            gateway = self.gateway_of(name)
            gateway.quarantined |= {(name, WANTED)}
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
        """Return whether a device has counted as many inferences as the gate needs."""
        return seen.health is not None and seen.health.now.inferences > FAULTY.min_inferences

    def _fate(self, faults: float) -> Fate:
        if self.dice.random() >= faults:
            return Fate.GOOD
        return self.dice.choice(self.setting.fates)


def _desired(dice: random.Random, setting: SimulationSettings) -> Desired:
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
        failure_budget=dice.choice(BUDGETS),
        gates=dice.choice(((), (FAULTY,))),
        on_failure=dice.choice(tuple(OnFailure)),
    )
    return fleet(devices, [rollout], gateways=gateways)
