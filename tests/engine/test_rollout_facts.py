# SPDX-License-Identifier: Apache-2.0
"""The facts of each rollout with our devices, computed again only when its evaluation changed."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from reconciler.engine.status.rollout_facts import RolloutFactsBuilder
from reconciler.model import Desired, Observed
from reconciler.plan import Planner
from reconciler.report.rollout_status import RolloutFacts
from tests.plan.example_fleet import BUILT, ESP32, EVERYWHERE, NOW, V1, V2, device, digest_of, fleet, observe, seen

PAIR = fleet([device(1), device(2)])
OLD = seen(digest_of(V1, ESP32.name))
NEW = seen(digest_of(V2, ESP32.name), parameters={"threshold": 0.5}, confirmed_since=NOW - timedelta(hours=1))


class Facts:
    """A planner, and the builder that takes its evaluations."""

    def __init__(self, desired: Desired = PAIR) -> None:
        self.desired = desired
        self.planner = Planner()
        self.builder = RolloutFactsBuilder()

    def of(self, observed: Observed) -> tuple[RolloutFacts, ...]:
        self.planner.plan(PAIR, observed, NOW)
        return self.builder.facts(self.desired, self.planner, {}, NOW)


def test_the_facts_name_the_waves_and_our_devices() -> None:
    (facts,) = Facts().of(observe({"d001": OLD, "d002": NEW}, *BUILT))
    assert (facts.rollout, facts.model, facts.complete) == (EVERYWHERE.name, str(V2), False)
    assert [(wave.devices, wave.done, wave.due) for wave in facts.waves] == [(2, 1, 1)]


def test_without_a_change_the_same_facts_are_returned() -> None:
    facts, observed = Facts(), observe({"d001": OLD, "d002": NEW}, *BUILT)
    (before,) = facts.of(observed)
    (after,) = facts.of(observed)
    assert after is before
    (complete,) = facts.of(observe({"d001": NEW, "d002": NEW}, *BUILT))
    assert complete.complete


def test_a_rollout_without_devices_of_ours_has_no_facts() -> None:
    """The plan considers the devices of other gateways; those gateways report them."""
    facts = Facts(replace(PAIR, devices={}))
    assert facts.of(observe({"d001": OLD, "d002": NEW}, *BUILT)) == ()
