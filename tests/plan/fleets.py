# SPDX-License-Identifier: Apache-2.0
"""Fleets for tests of planning: small ones by hand, any by hypothesis, and a world in which actions take effect."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from hypothesis import strategies as st

from reconciler.model import (
    Action,
    ActivatePrebaked,
    Artifact,
    Capabilities,
    Commit,
    Configure,
    Desired,
    Device,
    DeviceId,
    DeviceType,
    Digest,
    FailureBudget,
    Fallback,
    Fleet,
    Gateway,
    GatewayId,
    HealthGate,
    HealthMetric,
    Install,
    MaintenanceWindow,
    MinAvailable,
    Model,
    ModelRef,
    ModelSource,
    MqttAddress,
    Needs,
    Observed,
    ObservedDevice,
    OnFailure,
    Origin,
    Phase,
    Rollout,
    RolloutId,
    Selector,
    TypeId,
    Updates,
    Version,
    Wave,
)

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)  # a Saturday
V1, V2, OTHER = (ModelRef(name, Version(version)) for name, version in (("m", "1"), ("m", "2"), ("other", "1")))
ESP32 = DeviceType(TypeId("esp32"), "xtensa-lx6", 4096, 2048, frozenset({"CONV_2D", "SOFTMAX"}), prebaked=(V1,))
SEALED = replace(ESP32, name=TypeId("sealed"), updates=Updates.NONE)
TINY = replace(ESP32, name=TypeId("tiny"), slot_bytes=500, prebaked=())
NEEDS = Needs(frozenset({"CONV_2D"}), slot_bytes=1000, arena_bytes=1000)
HALL = Gateway(GatewayId("hall"), Selector())
PATIENT = Fleet(
    "plant", silent_after_s=365 * 86400
)  # where no device shall fall silent, its last word counts for a year
EVERYWHERE = Rollout(RolloutId("everywhere"), V2, Selector())


def digest_of(model: ModelRef, kind: TypeId) -> Digest:
    return Digest(hashlib.sha256(f"{model}/{kind}".encode()).hexdigest())


def model(ref: ModelRef, needs: Needs = NEEDS) -> Model:
    return Model(ref, ModelSource(Digest("0" * 64), path=f"models/{ref}"), needs=needs, parameters={"threshold": 0.5})


def artifact(ref: ModelRef, kind: TypeId, pack_bytes: int = 1000) -> Artifact:
    return Artifact(ref, kind, digest_of(ref, kind), pack_bytes, 1000, frozenset({"CONV_2D"}))


def device(number: int, kind: TypeId = ESP32.name, **labels: str) -> Device:
    return Device(DeviceId(f"d{number:03}"), kind, MqttAddress(), labels)


def fleet(
    devices: Iterable[Device],
    rollouts: Iterable[Rollout] = (EVERYWHERE,),
    *,
    types: Iterable[DeviceType] = (ESP32, SEALED, TINY),
    gateways: Iterable[Gateway] = (HALL,),
    defaults: Fleet | None = None,
) -> Desired:
    return Desired(
        commit=Commit("c" * 40),
        fleet=defaults or Fleet("plant"),
        gateways={gateway.name: gateway for gateway in gateways},
        types={kind.name: kind for kind in types},
        devices={each.name: each for each in devices},
        models={ref: model(ref) for ref in (V1, V2, OTHER)},
        rollouts={rollout.name: rollout for rollout in rollouts},
    )


def told(kind: DeviceType) -> Capabilities:
    prebaked = tuple(digest_of(ref, kind.name) for ref in kind.prebaked)
    updates = kind.updates is Updates.OVER_THE_AIR
    return Capabilities(
        kind.name, kind.pack_format, kind.operators, kind.slot_bytes, kind.arena_bytes, prebaked, updates
    )


def seen(running: Digest | None = None, **more: object) -> ObservedDevice:
    """Say what a device told a minute ago."""
    base = ObservedDevice(last_seen=NOW - timedelta(minutes=1), phase=Phase.CONFIRMED, running=running)
    return replace(base, **more)  # type: ignore[arg-type]  # the fields' types are checked by who uses them


def observe(devices: Mapping[str, ObservedDevice], *artifacts: Artifact) -> Observed:
    return Observed(
        devices={DeviceId(name): each for name, each in devices.items()},
        artifacts={(each.model, each.type): each for each in artifacts},
    )


BUILT = tuple(artifact(ref, kind.name) for ref in (V1, V2) for kind in (ESP32, SEALED, TINY))


@dataclass
class World:
    """Devices that do what they are told, at once; those in `broken` fail every new model."""

    desired: Desired
    now: datetime = NOW
    broken: frozenset[DeviceId] = frozenset()
    devices: dict[DeviceId, ObservedDevice] = field(default_factory=dict)
    artifacts: dict[tuple[ModelRef, TypeId], Artifact] = field(default_factory=dict)
    quarantined: set[tuple[DeviceId, Digest]] = field(default_factory=set)

    def __post_init__(self) -> None:
        for name, each in self.desired.devices.items():
            kind = self.desired.types[each.type]
            self.devices[name] = ObservedDevice(self.now, Phase.IDLE, None, capabilities=told(kind))

    def observed(self) -> Observed:
        devices = {name: replace(each, last_seen=self.now) for name, each in self.devices.items()}
        return Observed(devices, dict(self.artifacts), frozenset(self.quarantined))

    def apply(self, actions: Iterable[Action]) -> set[DeviceId]:
        """Let actions take effect; return the devices that they changed."""
        changed = set()
        for action in actions:
            if isinstance(action, Install | ActivatePrebaked | Configure):
                if isinstance(action, Install) and action.origin is Origin.BUILD:
                    self._build(action.model, action.device)
                    continue
                changed.add(action.device)
                self._change(action)
        return changed

    def _build(self, ref: ModelRef, name: DeviceId) -> Digest:
        kind = self.desired.devices[name].type
        built = artifact(ref, kind)
        self.artifacts[ref, kind] = built
        return built.digest

    def _change(self, action: Install | ActivatePrebaked | Configure) -> None:
        before = self.devices[action.device]
        running = before.running
        if not isinstance(action, Configure):
            running = self._build(action.model, action.device)
        if isinstance(action, Install) and action.device in self.broken and running is not None:
            self.quarantined.add((action.device, running))
            return
        self.devices[action.device] = replace(
            before,
            phase=Phase.CONFIRMED,
            running=running,
            parameters=dict(action.parameters),
            confirmed_since=self.now,
            sequence=before.sequence + 1,
        )


# ---------------------------------------------------------------- any fleet

labels = st.fixed_dictionaries({}, optional={"hall": st.sampled_from("ns"), "canary": st.just("yes")})
selectors = st.one_of(
    st.just(Selector()),
    st.builds(lambda hall: Selector(match_labels={"hall": hall}), st.sampled_from("ns")),
    st.just(Selector(match_labels={"canary": "yes"})),
    st.just(Selector(types=(ESP32.name,))),
)
windows = st.lists(
    st.builds(
        MaintenanceWindow,
        st.lists(st.sampled_from(("Mon", "Wed", "Sat", "Sun")), min_size=1, unique=True).map(tuple),
        st.sampled_from(("00:30", "02:30", "12:00", "22:00")),
        st.sampled_from((3600, 7200, 100000)),
        st.sampled_from(("UTC", "Europe/Berlin", "America/New_York")),
    ),
    max_size=2,
).map(tuple)
soaks = st.sampled_from((0, 0, 60, 3600))


@st.composite
def waves(draw: st.DrawFn, *, by_selector: bool = True) -> tuple[Wave, ...]:
    made = []
    kinds = ("count", "percent", "selector") if by_selector else ("count", "percent")
    for number in range(draw(st.integers(0, 3))):
        kind = draw(st.sampled_from(kinds))
        name, soak = f"w{number}", draw(soaks)
        if kind == "count":
            made.append(Wave(name, count=draw(st.integers(1, 6)), soak_s=soak))
        elif kind == "percent":
            made.append(Wave(name, percent=draw(st.sampled_from((1.5, 10.0, 33.3, 100.0))), soak_s=soak))
        else:
            made.append(Wave(name, selector=draw(selectors), soak_s=soak))
    return tuple(made)


budgets = st.one_of(
    st.builds(FailureBudget, st.integers(0, 3)),
    st.builds(lambda percent: FailureBudget(percent=percent), st.sampled_from((0.0, 10.0, 50.0))),
)


GATES = ((), (HealthGate(HealthMetric.FAULTS, at_most=0, over_inferences=100),))
AVAILABLE = ((), (MinAvailable("hall", percent=60),), (MinAvailable("hall", count=1),))


@st.composite
def rollouts(draw: st.DrawFn, *, may_suspend: bool = True, careful: bool = False) -> tuple[Rollout, ...]:
    """Draw up to three rollouts of different priorities; each may depend on those before it."""
    made: list[Rollout] = []
    for number in range(draw(st.integers(1, 3))):
        before = [each.name for each in made]
        made.append(
            Rollout(
                RolloutId(f"r{number}"),
                draw(st.sampled_from((V1, V2, OTHER))),
                draw(selectors),
                priority=number,
                critical=draw(st.booleans()),
                waves=draw(waves()),
                budget=draw(budgets),
                windows=draw(windows),
                suspend=may_suspend and draw(st.booleans()),
                depends_on=tuple(draw(st.lists(st.sampled_from(before), unique=True))) if before else (),
                fallback=draw(st.sampled_from(Fallback)),
                gates=draw(st.sampled_from(GATES)) if careful else (),
                on_failure=draw(st.sampled_from(OnFailure)) if careful else OnFailure.STOP,
                max_at_risk=draw(st.sampled_from((None, None, 2))) if careful else None,
                min_available=draw(st.sampled_from(AVAILABLE)) if careful else (),
                parameters=draw(st.sampled_from(({}, {"threshold": 0.7}))),
            )
        )
    return tuple(made)


any_devices = st.lists(
    st.tuples(st.sampled_from((ESP32.name, ESP32.name, SEALED.name, TINY.name)), labels), max_size=14
).map(lambda drawn: [Device(DeviceId(f"d{n:03}"), kind, MqttAddress(), each) for n, (kind, each) in enumerate(drawn)])


@st.composite
def fleets(draw: st.DrawFn, *, may_suspend: bool = True) -> Desired:
    """Draw a small fleet with two gateways."""
    north = Gateway(GatewayId("north"), Selector(match_labels={"hall": "n"}), windows=draw(windows))
    return fleet(
        draw(any_devices),
        draw(rollouts(may_suspend=may_suspend)),
        gateways=(north,),
        defaults=replace(PATIENT, windows=draw(windows)),
    )
