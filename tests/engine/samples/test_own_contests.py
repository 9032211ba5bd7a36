# SPDX-License-Identifier: Apache-2.0
"""A gateway evaluates the contests that name it, with the devices that it serves."""

from __future__ import annotations

from dataclasses import replace

from reconciler.engine.desired.gateway_scope import GatewayScope, ScopeResolver
from reconciler.engine.samples.own_contests import ContestResolver, OwnContests
from reconciler.model import (
    Candidate,
    CandidateRules,
    Contest,
    ContestId,
    Desired,
    Gateway,
    GatewayId,
    ModelPool,
    ModelRef,
    Selector,
    Version,
)
from tests.plan.example_fleet import ESP32, EVERYWHERE, OTHER, V1, V2, device, fleet

NORTH, SOUTH = GatewayId("north"), GatewayId("south")
GATEWAYS = (Gateway(NORTH, Selector({"hall": "n"})), Gateway(SOUTH, Selector({"hall": "s"})))
FLEET = fleet([device(1, hall="n"), device(2, hall="n"), device(3, hall="s")], types=[ESP32], gateways=GATEWAYS)
NAME = ContestId("c")


def desired(gateway: GatewayId | None, base: Desired = FLEET) -> Desired:
    pool = ModelPool(models=(OTHER,))
    contest = Contest(NAME, EVERYWHERE.name, CandidateRules(("m",)), gateway=gateway, pool=pool)
    return replace(base, contests={NAME: contest})


def resolved(name: GatewayId, wanted: Desired) -> OwnContests:
    scope = ScopeResolver(name).resolve(wanted)
    assert isinstance(scope, GatewayScope)
    return ContestResolver(name).resolve(wanted, scope)


def test_only_the_gateway_that_is_named_evaluates() -> None:
    own = resolved(NORTH, desired(NORTH))
    assert own.by_name[NAME].devices == {"d001", "d002"}
    assert set(own.collections) == {"d001", "d002"}
    assert resolved(SOUTH, desired(NORTH)).by_name == {}


def test_without_a_name_it_is_the_only_one_that_serves_the_rollout() -> None:
    alone = desired(None, fleet([device(1, hall="n")], types=[ESP32], gateways=GATEWAYS))
    assert list(resolved(NORTH, alone).by_name) == [NAME]
    assert resolved(SOUTH, alone).by_name == {}


def test_the_champion_is_evaluated_too_so_that_devices_are_checked() -> None:
    wanted = desired(NORTH)
    strict = replace(EVERYWHERE, parameters={"threshold": 0.9})
    own = resolved(NORTH, replace(wanted, rollouts={strict.name: strict})).by_name[NAME]
    assert own.champion == Candidate(V2, 0.9)
    assert own.voters >= {Candidate(OTHER, 0.5), Candidate(V1, 0.9)}
    assert own.thresholds == {V1: (0.9,), V2: (0.9,), OTHER: (0.5,)}


def test_thresholds_of_a_model_are_evaluated_together() -> None:
    own = resolved(NORTH, desired(NORTH)).by_name[NAME]
    ref = ModelRef("m", Version("3"))
    more = replace(own, candidates=(Candidate(ref), Candidate(ref, 0.7), Candidate(ref, 0.6)))
    assert more.thresholds[ref] == (None, 0.6, 0.7)


def test_an_unchanged_commit_is_resolved_once() -> None:
    wanted = desired(NORTH)
    resolver, scopes = ContestResolver(NORTH), ScopeResolver(NORTH)
    scope = scopes.resolve(wanted)
    assert scope is not None
    assert resolver.resolve(wanted, scope) is resolver.resolve(wanted, scope)
