# SPDX-License-Identifier: Apache-2.0
"""Hypothesis strategies for fleets: devices, rollouts, waves, budgets, windows."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import strategies as st

from reconciler.model import (
    Desired,
    Device,
    DeviceId,
    FailureBudget,
    Fallback,
    Gateway,
    GatewayId,
    HealthGate,
    HealthMetric,
    MaintenanceWindow,
    MinAvailable,
    MqttAddress,
    OnFailure,
    Rollout,
    RolloutId,
    Selector,
    Wave,
)
from tests.plan.example_fleet import ESP32, OTHER, SEALED, SILENT_AFTER_A_YEAR, TINY, V1, V2, fleet

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


GATES = ((), (HealthGate(HealthMetric.FAULTS, at_most=0, min_inferences=100),))
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
                failure_budget=draw(budgets),
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
        defaults=replace(SILENT_AFTER_A_YEAR, windows=draw(windows)),
    )
