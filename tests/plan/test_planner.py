# SPDX-License-Identifier: Apache-2.0
"""The planner that remembers says what the definition says, and does nothing when nothing changed."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.load.observed_document import STANDINGS
from reconciler.model import (
    Artifact,
    Before,
    Counts,
    Desired,
    DeviceHealth,
    DeviceId,
    GatewayId,
    ModelRef,
    ObservedDevice,
    PeerReport,
    Phase,
    RolloutId,
    RolloutReport,
    TypeId,
)
from reconciler.plan import Planner, detailed_plan, plan, remember
from reconciler.plan.revision import revision_of
from tests.plan.fleets import (
    BUILT,
    ESP32,
    EVERYWHERE,
    NOW,
    PATIENT,
    V1,
    V2,
    World,
    any_devices,
    device,
    digest_of,
    fleet,
    fleets,
    labels,
    observe,
    rollouts,
    seen,
    windows,
)

STEPS = (
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


class Story:
    """A fleet to which things happen, one after the other."""

    def __init__(self, desired: Desired) -> None:
        self.world = World(desired)
        self.observed = replace(self.world.observed(), artifacts={(each.model, each.type): each for each in BUILT})

    @property
    def now(self) -> datetime:
        return self.world.now

    def happen(self, step: str, data: st.DataObject) -> None:
        getattr(self, f"_{step}")(data)

    def _rollouts(self, data: st.DataObject) -> None:
        drawn = data.draw(rollouts(careful=True))
        self.world.desired = replace(self.world.desired, rollouts={each.name: each for each in drawn})

    def _devices(self, data: st.DataObject) -> None:
        drawn = {each.name: each for each in data.draw(any_devices)}
        kept = {name: each for name, each in self.world.desired.devices.items() if data.draw(st.booleans())}
        self.world.desired = replace(self.world.desired, devices={**drawn, **kept})

    def _relabel(self, data: st.DataObject) -> None:
        devices = dict(self.world.desired.devices)
        if devices:
            name = data.draw(st.sampled_from(sorted(devices)))
            devices[name] = replace(devices[name], labels=data.draw(labels))
            self.world.desired = replace(self.world.desired, devices=devices)

    def _fleet(self, data: st.DataObject) -> None:
        silent_after_s = data.draw(st.sampled_from((600, 86400)))
        defaults = replace(self.world.desired.fleet, windows=data.draw(windows), silent_after_s=silent_after_s)
        self.world.desired = replace(self.world.desired, fleet=defaults)

    def _report(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from([*sorted(self.world.desired.devices), DeviceId("stranger")]))
        kind = self.world.desired.devices[name].type if name in self.world.desired.devices else ESP32.name
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
        pairs = [(name, digest_of(V2, each.type)) for name, each in self.world.desired.devices.items()]
        self.observed = replace(
            self.observed, quarantined=frozenset(pair for pair in pairs if data.draw(st.booleans()))
        )

    def _build(self, data: st.DataObject) -> None:
        chosen = data.draw(st.lists(st.sampled_from(BUILT), unique_by=lambda each: (each.model, each.type)))
        artifacts: dict[tuple[ModelRef, TypeId], Artifact] = {(each.model, each.type): each for each in chosen}
        self.observed = replace(self.observed, artifacts=artifacts)

    def _apply(self, _: st.DataObject) -> None:
        world = World(self.world.desired, self.now)
        world.devices.update(self.observed.devices)
        world.artifacts.update(self.observed.artifacts)
        world.quarantined.update(self.observed.quarantined)
        world.apply(plan(world.desired, self.observed, self.now))
        self.observed = world.observed()

    def _health(self, data: st.DataObject) -> None:
        """Let devices count, become restless, and be known from before."""
        devices = {}
        for name, each in self.observed.devices.items():
            counts = Counts(data.draw(st.sampled_from((0, 200))), 0, data.draw(st.integers(0, 1)), 0)
            before = data.draw(st.sampled_from((None, Before("", digest_of(V1, ESP32.name), {}))))
            flaps = data.draw(st.sampled_from((0, 3)))
            devices[name] = replace(each, health=DeviceHealth(counts), before=before, flaps=flaps, flapped_at=self.now)
        self.observed = replace(self.observed, devices=devices)

    def _memory(self, data: st.DataObject) -> None:
        """Remember what the plan says now, or forget."""
        if data.draw(st.booleans()):
            courses = detailed_plan(self.world.desired, self.observed, self.now).courses
            self.observed = replace(self.observed, rollouts=remember(self.observed, courses, self.now))
        else:
            self.observed = replace(self.observed, rollouts={})

    def _peers(self, data: st.DataObject) -> None:
        """Become one gateway of two, or all of them again; the other says something of each device, or nothing."""
        here = data.draw(st.sampled_from((None, GatewayId("north"), GatewayId("else"))))
        said: dict[RolloutId, RolloutReport] = {}
        for rollout in self.world.desired.rollouts:
            sets: dict[str, set[DeviceId]] = {name: set() for name in (*STANDINGS, "nothing")}
            for name in self.world.desired.devices:
                sets[data.draw(st.sampled_from(sorted(sets)))].add(name)
            word = RolloutReport(
                revision_of(self.world.desired, rollout),
                done=frozenset(sets["done"]),
                begun=frozenset(sets["begun"]),
                soaking=frozenset(sets["soaking"]),
                due=frozenset(sets["due"]),
                failed=frozenset(sets["failed"]),
                missing=frozenset(sets["missing"]),
                out=frozenset(sets["out"]),
                stopped=data.draw(st.sampled_from(("", "", "stopped: 9 failed"))),
            )
            said[rollout] = word
        self.observed = replace(self.observed, gateway=here, peers={GatewayId("north"): PeerReport(said)})

    def _later(self, data: st.DataObject) -> None:
        self.world.now += timedelta(seconds=data.draw(st.sampled_from((1, 59, 60, 601, 3600, 50000))))

    def _back(self, data: st.DataObject) -> None:
        self.world.now -= timedelta(seconds=data.draw(st.sampled_from((1, 700, 90000))))


@given(desired=fleets(), steps=st.lists(st.sampled_from(STEPS), max_size=12), data=st.data())
@settings(max_examples=150, deadline=None)
def test_the_planner_says_what_the_definition_says(desired: Desired, steps: list[str], data: st.DataObject) -> None:
    story, planner = Story(desired), Planner()
    for step in steps:
        story.happen(step, data)
        expected = plan(story.world.desired, story.observed, story.now)
        assert planner.plan(story.world.desired, story.observed, story.now) == expected


@given(desired=fleets(), steps=st.lists(st.sampled_from(STEPS), max_size=6), data=st.data())
@settings(max_examples=100, deadline=None)
def test_until_then_time_alone_changes_nothing(desired: Desired, steps: list[str], data: st.DataObject) -> None:
    story, planner = Story(desired), Planner()
    for step in steps:
        story.happen(step, data)
    before = planner.plan(story.world.desired, story.observed, story.now)
    last = story.now + timedelta(days=30)
    if planner.until is not None:
        assert planner.until > story.now
        last = planner.until - timedelta(microseconds=1)
    assert plan(story.world.desired, story.observed, last) == before


def test_an_unchanged_pass_is_the_same_tuple() -> None:
    desired, observed = fleet([device(1)], defaults=PATIENT), observe({"d001": seen()}, *BUILT)
    planner = Planner()
    first = planner.plan(desired, observed, NOW)
    assert planner.plan(desired, observed, NOW + timedelta(hours=1)) is first


def test_a_device_that_changed_is_all_that_is_judged_anew() -> None:
    desired = fleet([device(number) for number in range(20)], defaults=PATIENT)
    reports = {f"d{number:03}": seen() for number in range(20)}
    planner = Planner()
    first = planner.plan(desired, observe(reports, *BUILT), NOW)
    reports["d007"] = seen(digest_of(V2, ESP32.name), parameters={"threshold": 0.5})
    second = planner.plan(desired, observe(reports, *BUILT), NOW)
    assert [before.device for before, after in zip(first, second, strict=True) if before is not after] == ["d007"]


def test_a_failed_pass_leaves_nothing_half_done() -> None:
    desired, observed = fleet([device(1), device(2)]), observe({"d001": seen()}, *BUILT)
    broken = replace(desired, models={}, devices={}, rollouts={EVERYWHERE.name: replace(EVERYWHERE, priority=1)})
    broken = replace(broken, devices={device(3).name: device(3)})
    planner = Planner()
    planner.plan(desired, observed, NOW)
    with pytest.raises(KeyError):
        planner.plan(broken, observed, NOW)
    assert planner.plan(desired, observed, NOW) == plan(desired, observed, NOW)
