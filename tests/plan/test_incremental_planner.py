# SPDX-License-Identifier: Apache-2.0
"""The planner gives the same answers as the reference, and does nothing if nothing changed."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.load.observed_document import REPORTED_GROUPS
from reconciler.model import (
    Artifact,
    ArtifactKey,
    Before,
    Counts,
    Desired,
    DeviceHealth,
    DeviceId,
    GatewayId,
    ObservedDevice,
    PeerReport,
    Phase,
    RolloutId,
    RolloutReport,
)
from reconciler.plan import Planner, detailed_plan, plan, remember
from reconciler.plan.revision import revision_of
from tests.plan.example_fleet import (
    BUILT,
    ESP32,
    EVERYWHERE,
    NOW,
    SILENT_AFTER_A_YEAR,
    V1,
    V2,
    device,
    digest_of,
    fleet,
    observe,
    seen,
)
from tests.plan.instant_fleet import InstantFleet
from tests.plan.strategies import any_devices, fleets, labels, rollouts, windows

STEPS = (
    # each is the name of a method of `ChangingFleet`
    "rollouts",
    "devices",
    "relabel",
    "fleet",
    "report",
    "forget",
    "quarantine",
    "build",
    "apply",
    "later",
    "back",
    "health",
    "memory",
    "peers",
)


class ChangingFleet:
    """A fleet that changes step by step."""

    def __init__(self, desired: Desired) -> None:
        self.fleet = InstantFleet(desired)
        self.observed = replace(self.fleet.observed(), artifacts={(each.model, each.type): each for each in BUILT})

    @property
    def now(self) -> datetime:
        return self.fleet.now

    def happen(self, step: str, data: st.DataObject) -> None:
        getattr(self, f"_{step}")(data)

    def _rollouts(self, data: st.DataObject) -> None:
        drawn = data.draw(rollouts(careful=True))
        self.fleet.desired = replace(self.fleet.desired, rollouts={each.name: each for each in drawn})

    def _devices(self, data: st.DataObject) -> None:
        drawn = {each.name: each for each in data.draw(any_devices)}
        kept = {name: each for name, each in self.fleet.desired.devices.items() if data.draw(st.booleans())}
        self.fleet.desired = replace(self.fleet.desired, devices={**drawn, **kept})

    def _relabel(self, data: st.DataObject) -> None:
        devices = dict(self.fleet.desired.devices)
        if devices:
            name = data.draw(st.sampled_from(sorted(devices)))
            devices[name] = replace(devices[name], labels=data.draw(labels))
            self.fleet.desired = replace(self.fleet.desired, devices=devices)

    def _fleet(self, data: st.DataObject) -> None:
        silent_after_s = data.draw(st.sampled_from((600, 86400)))
        defaults = replace(self.fleet.desired.fleet, windows=data.draw(windows), silent_after_s=silent_after_s)
        self.fleet.desired = replace(self.fleet.desired, fleet=defaults)

    def _report(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from([*sorted(self.fleet.desired.devices), DeviceId("unknown")]))
        kind = self.fleet.desired.devices[name].type if name in self.fleet.desired.devices else ESP32.name
        packs = st.sampled_from((None, digest_of(V1, kind), digest_of(V2, kind)))
        report = ObservedDevice(
            self.now,
            data.draw(st.sampled_from(Phase)),
            data.draw(packs),
            other_slot=data.draw(packs),
            incoming=data.draw(packs),
            confirmed_since=data.draw(st.sampled_from((None, self.now))),
            parameters=data.draw(st.sampled_from(({}, {"threshold": 0.5}))),
        )
        self.observed = replace(self.observed, devices={**self.observed.devices, name: report})

    def _forget(self, data: st.DataObject) -> None:
        kept = {name: each for name, each in self.observed.devices.items() if data.draw(st.booleans())}
        self.observed = replace(self.observed, devices=kept)

    def _quarantine(self, data: st.DataObject) -> None:
        pairs = [(name, digest_of(V2, each.type)) for name, each in self.fleet.desired.devices.items()]
        self.observed = replace(
            self.observed, quarantined=frozenset(pair for pair in pairs if data.draw(st.booleans()))
        )

    def _build(self, data: st.DataObject) -> None:
        chosen = data.draw(st.lists(st.sampled_from(BUILT), unique_by=lambda each: (each.model, each.type)))
        artifacts: dict[ArtifactKey, Artifact] = {(each.model, each.type): each for each in chosen}
        self.observed = replace(self.observed, artifacts=artifacts)

    def _apply(self, _: st.DataObject) -> None:
        fleet = InstantFleet(self.fleet.desired, self.now)
        fleet.devices.update(self.observed.devices)
        fleet.artifacts.update(self.observed.artifacts)
        fleet.quarantined.update(self.observed.quarantined)
        fleet.apply(plan(fleet.desired, self.observed, self.now))
        self.observed = fleet.observed()

    def _health(self, data: st.DataObject) -> None:
        """Let devices count inferences, flap, and have a state from before the rollout."""
        devices = {}
        for name, each in self.observed.devices.items():
            counts = Counts(data.draw(st.sampled_from((0, 200))), 0, data.draw(st.integers(0, 1)), 0)
            before = data.draw(st.sampled_from((None, Before("", digest_of(V1, ESP32.name), {}))))
            flaps = data.draw(st.sampled_from((0, 3)))
            devices[name] = replace(each, health=DeviceHealth(counts), before=before, flaps=flaps, flapped_at=self.now)
        self.observed = replace(self.observed, devices=devices)

    def _memory(self, data: st.DataObject) -> None:
        """Remember the progress of the rollouts, or forget it."""
        if data.draw(st.booleans()):
            evaluations = detailed_plan(self.fleet.desired, self.observed, self.now).evaluations
            self.observed = replace(self.observed, rollouts=remember(self.observed, evaluations, self.now))
        else:
            self.observed = replace(self.observed, rollouts={})

    def _peers(self, data: st.DataObject) -> None:
        """Plan as one gateway of two, or for all; the peer reports something about each device, or nothing."""
        here = data.draw(st.sampled_from((None, GatewayId("north"), GatewayId("else"))))
        reported: dict[RolloutId, RolloutReport] = {}
        for rollout in self.fleet.desired.rollouts:
            sets: dict[str, set[DeviceId]] = {name: set() for name in (*REPORTED_GROUPS, "nothing")}
            for name in self.fleet.desired.devices:
                sets[data.draw(st.sampled_from(sorted(sets)))].add(name)
            report = RolloutReport(
                revision_of(self.fleet.desired, rollout),
                done=frozenset(sets["done"]),
                begun=frozenset(sets["begun"]),
                soaking=frozenset(sets["soaking"]),
                due=frozenset(sets["due"]),
                failed=frozenset(sets["failed"]),
                missing=frozenset(sets["missing"]),
                out=frozenset(sets["out"]),
                stopped=data.draw(st.sampled_from(("", "", "stopped: 9 failed"))),
            )
            reported[rollout] = report
        self.observed = replace(self.observed, gateway=here, peers={GatewayId("north"): PeerReport(reported)})

    def _later(self, data: st.DataObject) -> None:
        self.fleet.now += timedelta(seconds=data.draw(st.sampled_from((1, 59, 60, 601, 3600, 50000))))

    def _back(self, data: st.DataObject) -> None:
        self.fleet.now -= timedelta(seconds=data.draw(st.sampled_from((1, 700, 90000))))


@given(desired=fleets(), steps=st.lists(st.sampled_from(STEPS), max_size=12), data=st.data())
@settings(max_examples=150, deadline=None)
def test_the_planner_equals_the_reference(desired: Desired, steps: list[str], data: st.DataObject) -> None:
    changing, planner = ChangingFleet(desired), Planner()
    for step in steps:
        changing.happen(step, data)
        expected = plan(changing.fleet.desired, changing.observed, changing.now)
        assert planner.plan(changing.fleet.desired, changing.observed, changing.now) == expected


@given(desired=fleets(), steps=st.lists(st.sampled_from(STEPS), max_size=6), data=st.data())
@settings(max_examples=100, deadline=None)
def test_time_alone_changes_nothing_before_until(desired: Desired, steps: list[str], data: st.DataObject) -> None:
    changing, planner = ChangingFleet(desired), Planner()
    for step in steps:
        changing.happen(step, data)
    before = planner.plan(changing.fleet.desired, changing.observed, changing.now)
    last = changing.now + timedelta(days=30)
    if planner.until is not None:
        assert planner.until > changing.now
        last = planner.until - timedelta(microseconds=1)
    assert plan(changing.fleet.desired, changing.observed, last) == before


def test_an_unchanged_pass_is_the_same_tuple() -> None:
    desired, observed = fleet([device(1)], defaults=SILENT_AFTER_A_YEAR), observe({"d001": seen()}, *BUILT)
    planner = Planner()
    first = planner.plan(desired, observed, NOW)
    assert planner.plan(desired, observed, NOW + timedelta(hours=1)) is first


def test_only_a_device_that_changed_is_evaluated_again() -> None:
    desired = fleet([device(number) for number in range(20)], defaults=SILENT_AFTER_A_YEAR)
    reports = {f"d{number:03}": seen() for number in range(20)}
    planner = Planner()
    first = planner.plan(desired, observe(reports, *BUILT), NOW)
    reports["d007"] = seen(digest_of(V2, ESP32.name), parameters={"threshold": 0.5})
    second = planner.plan(desired, observe(reports, *BUILT), NOW)
    assert [before.device for before, after in zip(first, second, strict=True) if before is not after] == ["d007"]


def test_the_planner_recovers_from_a_pass_that_raised() -> None:
    desired, observed = fleet([device(1), device(2)]), observe({"d001": seen()}, *BUILT)
    broken = replace(desired, models={}, devices={}, rollouts={EVERYWHERE.name: replace(EVERYWHERE, priority=1)})
    broken = replace(broken, devices={device(3).name: device(3)})
    planner = Planner()
    planner.plan(desired, observed, NOW)
    with pytest.raises(KeyError):
        planner.plan(broken, observed, NOW)
    assert planner.plan(desired, observed, NOW) == plan(desired, observed, NOW)
