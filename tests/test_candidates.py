# SPDX-License-Identifier: Apache-2.0
"""What may replace a champion."""

from __future__ import annotations

from dataclasses import replace

import pytest

from reconciler.candidates import champion, fits, resolve_candidates, serving_gateways, types_of, with_champion
from reconciler.model import (
    Candidate,
    CandidateRules,
    Contest,
    ContestId,
    Device,
    DeviceId,
    DeviceType,
    Gateway,
    GatewayId,
    Model,
    ModelRef,
    ModelSource,
    MqttAddress,
    Needs,
    Rollout,
    RolloutId,
    Selector,
    ThresholdRange,
    TypeId,
    Version,
)
from reconciler.model.digests import Digest

SMALL = DeviceType(TypeId("small"), "cortex-m4", 1000, 100, frozenset({"TREE_ENSEMBLE"}))
LARGE = DeviceType(TypeId("large"), "cortex-m4", 9000, 900, frozenset({"TREE_ENSEMBLE", "CONV_2D"}))


def ref(version: str, name: str = "forest") -> ModelRef:
    return ModelRef(name, Version(version))


def model(version: str, *, slot: int = 500, name: str = "forest", threshold: float | None = 0.6) -> Model:
    parameters = {} if threshold is None else {"threshold": threshold}
    source = ModelSource(Digest("0" * 64), path="forest.json")
    return Model(ref(version, name), source, needs=Needs(frozenset(), slot), parameters=parameters)


MODELS = {each.ref: each for each in (model("1"), model("2"), model("3", slot=5000), model("1", name="other"))}
ROLLOUT = Rollout(RolloutId("pumps"), ref("1"), Selector())
CONTEST = Contest(ContestId("pumps"), RolloutId("pumps"), CandidateRules(("forest",)))
GRID = replace(CONTEST, candidates=CandidateRules(("forest",), ThresholdRange(0.5, 0.6, 0.1)))


def test_the_champion_has_the_threshold_in_force() -> None:
    assert champion(ROLLOUT, MODELS) == Candidate(ref("1"), 0.6)
    assert champion(replace(ROLLOUT, parameters={"threshold": 0.7}), MODELS) == Candidate(ref("1"), 0.7)
    assert champion(ROLLOUT, {ref("1"): model("1", threshold=None)}) == Candidate(ref("1"))


def test_candidates_are_the_versions_that_fit_wherever_the_champion_does() -> None:
    only_large = resolve_candidates(CONTEST, ROLLOUT, MODELS, [LARGE])
    assert only_large == (Candidate(ref("1"), 0.6), Candidate(ref("2"), 0.6), Candidate(ref("3"), 0.6))
    assert resolve_candidates(CONTEST, ROLLOUT, MODELS, [SMALL, LARGE]) == only_large[:2]
    assert resolve_candidates(CONTEST, ROLLOUT, MODELS, []) == ()


def test_a_champion_that_does_not_fit_everywhere_asks_no_more_of_a_candidate() -> None:
    rollout = replace(ROLLOUT, model=ref("3"))
    assert Candidate(ref("3"), 0.6) in resolve_candidates(CONTEST, rollout, MODELS, [SMALL, LARGE])


def test_models_of_the_pool_are_no_candidates() -> None:
    models = {**MODELS, ref("2"): replace(model("2"), pool_only=True)}
    assert [each.model for each in resolve_candidates(CONTEST, ROLLOUT, models, [SMALL])] == [ref("1")]


def test_each_threshold_makes_a_candidate_of_a_model_that_has_one() -> None:
    models = {**MODELS, ref("2"): model("2", threshold=None)}
    found = resolve_candidates(GRID, ROLLOUT, models, [SMALL])
    assert found == (Candidate(ref("1"), 0.5), Candidate(ref("1"), 0.6), Candidate(ref("2")))


def test_without_thresholds_a_candidate_keeps_the_one_of_the_rollout() -> None:
    rollout = replace(ROLLOUT, parameters={"threshold": 0.7})
    assert resolve_candidates(CONTEST, rollout, MODELS, [SMALL])[1] == Candidate(ref("2"), 0.7)


@pytest.mark.parametrize("set_by_rollout", [{}, {"threshold": 0.7, "limit": 1}])
@pytest.mark.parametrize("thresholds", [CONTEST, GRID])
def test_a_rollout_with_a_new_champion_has_exactly_this_champion(
    set_by_rollout: dict[str, float], thresholds: Contest
) -> None:
    models = {**MODELS, ref("2"): model("2", threshold=None)}
    rollout = replace(ROLLOUT, parameters=set_by_rollout)
    for candidate in resolve_candidates(thresholds, rollout, models, [SMALL]):
        changed = with_champion(rollout, candidate, models)
        assert champion(changed, models) == candidate
        assert replace(changed, model=rollout.model, parameters=rollout.parameters) == rollout
        assert {**changed.parameters, "threshold": 0} == {**rollout.parameters, "threshold": 0}


def test_the_present_champion_changes_nothing() -> None:
    assert with_champion(ROLLOUT, champion(ROLLOUT, MODELS), MODELS) == ROLLOUT


def test_a_threshold_that_is_the_models_own_is_not_written() -> None:
    assert with_champion(ROLLOUT, Candidate(ref("2"), 0.6), MODELS).parameters == {}
    assert with_champion(ROLLOUT, Candidate(ref("2"), 0.5), MODELS).parameters == {"threshold": 0.5}


def test_candidates_sort_by_name_version_and_threshold() -> None:
    ordered = [Candidate(ref("1")), Candidate(ref("1"), -0.5), Candidate(ref("1"), 0.0), Candidate(ref("2"), -1.0)]
    assert sorted(ordered[2:] + ordered[:2]) == ordered
    assert [str(each) for each in ordered[:2]] == ["forest@1", "forest@1 at -0.5"]


def test_types_and_gateways_are_those_of_the_selected_devices() -> None:
    devices = [
        Device(DeviceId("a"), SMALL.name, MqttAddress(), {"machine": "pump"}),
        Device(DeviceId("b"), LARGE.name, MqttAddress(), {"machine": "mill"}),
    ]
    gateways = [Gateway(GatewayId(name), Selector(devices=(DeviceId(name),))) for name in ("a", "b")]
    types = {kind.name: kind for kind in (SMALL, LARGE)}
    pumps = replace(ROLLOUT, selector=Selector(match_labels={"machine": "pump"}))
    assert types_of(pumps, devices, types) == (SMALL,)
    assert serving_gateways(pumps, devices, gateways) == ("a",)
    assert serving_gateways(ROLLOUT, devices, gateways) == ("a", "b")
    assert types_of(ROLLOUT, devices, types) == (LARGE, SMALL)


def test_operators_slot_and_arena_decide_whether_a_model_fits() -> None:
    assert fits(MODELS[ref("1")], SMALL)
    assert not fits(MODELS[ref("3")], SMALL)
    convolution = replace(model("1"), needs=Needs(frozenset({"CONV_2D"})))
    assert (fits(convolution, SMALL), fits(convolution, LARGE)) == (False, True)
    assert not fits(replace(model("1"), needs=Needs(arena_bytes=101)), SMALL)
