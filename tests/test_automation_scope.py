# SPDX-License-Identifier: Apache-2.0
"""A gateway's commit may change the champion of its contest, and no other value of any kind."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass, replace
from enum import Enum
from functools import cache
from types import NoneType, UnionType
from typing import Any, NewType, Union, get_args, get_origin, get_type_hints

import pytest

from reconciler.automation_scope import GrantedChange, find_change, grant_of, trained_source
from reconciler.candidates import with_champion
from reconciler.model import (
    THRESHOLD,
    Candidate,
    CandidateRules,
    Commit,
    Contest,
    ContestId,
    Desired,
    Device,
    DeviceId,
    DeviceType,
    Digest,
    FollowedReference,
    Gateway,
    GatewayId,
    Model,
    ModelPool,
    ModelRef,
    ModelSource,
    Needs,
    ProposalMode,
    Rollout,
    RolloutId,
    Selector,
    SerialAddress,
    ThresholdRange,
    Training,
    TrainingId,
    TrainingProposal,
    TypeId,
    Version,
)
from reconciler.model.samples import SAMPLE_EVERY, SAMPLE_WINDOWS

NORTH, SOUTH = GatewayId("north"), GatewayId("south")
OLD, NEW, POOL, FOREIGN = (
    ModelRef(name, Version(version))
    for name, version in (("forest", "1"), ("forest", "2"), ("forest", "3"), ("net", "1"))
)
PUMPS, FANS = RolloutId("pumps"), RolloutId("fans")


@cache
def filled(annotation: Any) -> Any:  # noqa: ANN401, PLR0911 - any type of the model, a line each
    """Return a value of this type in which no field of any depth is left out."""
    if isinstance(annotation, NewType):
        return filled(annotation.__supertype__)
    if isinstance(annotation, type) and is_dataclass(annotation):
        hints = get_type_hints(annotation)
        return annotation(**{field.name: filled(hints[field.name]) for field in fields(annotation)})
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return next(iter(annotation))
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin in {Union, UnionType}:
        return filled(next(each for each in arguments if each is not NoneType))
    if origin is tuple:
        return (filled(arguments[0]),)
    if origin is frozenset:
        return frozenset({filled(arguments[0])})
    if origin is not None:
        return {filled(arguments[0]): filled(arguments[1])}
    simple: dict[type, Any] = {str: "x", int: 3, float: 0.5, bool: True}
    return simple[annotation]


def desired_state() -> Desired:
    """Return a fleet with every kind, and every field of each set."""
    parameters = {THRESHOLD: 0.6, "limit": 1}
    models = [replace(filled(Model), ref=ref, pool_only=ref == POOL, parameters=parameters) for ref in (OLD, NEW, POOL)]
    models.append(replace(filled(Model), ref=FOREIGN, pool_only=False, parameters=parameters))
    everything = Selector()
    kind = replace(
        filled(DeviceType), name=TypeId("sensor"), operators=frozenset({"x", "LEARN"}), slot_bytes=9, arena_bytes=9
    )
    devices = [
        replace(filled(Device), name=DeviceId("pump-1"), type=kind.name),
        replace(filled(Device), name=DeviceId("pump-2"), type=kind.name, link=filled(SerialAddress)),
    ]
    rollouts = [
        replace(filled(Rollout), name=name, model=OLD, selector=everything, parameters={THRESHOLD: 0.6, "limit": 2})
        for name in (PUMPS, FANS)
    ]
    gateways = [replace(filled(Gateway), name=name, selector=everything) for name in (NORTH, SOUTH)]
    contest = replace(
        filled(Contest),
        name=ContestId("pumps"),
        rollout=PUMPS,
        gateway=NORTH,
        candidates=CandidateRules(("forest",), ThresholdRange(0.55, 0.65, 0.05)),
        pool=replace(filled(ModelPool), local=False),
        propose=ProposalMode.BRANCH,
        suspend=False,
    )
    training = replace(
        filled(Training),
        name=TrainingId("nightly"),
        contest=contest.name,
        model="trained",
        propose=TrainingProposal.BRANCH,
        suspend=False,
    )
    fleet: Desired = filled(Desired)
    return replace(
        fleet,
        commit=Commit("a"),
        gateways={each.name: each for each in gateways},
        types={kind.name: kind},
        devices={each.name: each for each in devices},
        models={each.ref: each for each in models},
        rollouts={each.name: each for each in rollouts},
        contests={contest.name: contest},
        trainings={training.name: training},
    )


def proposal(
    before: Desired, model: ModelRef = NEW, threshold: float | None = 0.65, name: RolloutId = PUMPS
) -> Desired:
    rollout = with_champion(before.rollouts[name], Candidate(model, threshold), before.models)
    return replace(before, commit=Commit("b"), rollouts={**before.rollouts, name: rollout})


def changes(value: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], str, Any]]:  # noqa: ANN401 - as above
    """Yield every way to change one thing inside a value: where, of which class and field, and the result."""
    if is_dataclass(value) and not isinstance(value, type):
        for field in fields(value):
            owner = f"{type(value).__name__}.{field.name}"
            inner = getattr(value, field.name)
            for where, of, changed in changes(inner, (*path, field.name)):
                yield where, of or owner, replace(value, **{field.name: changed})
            yield (*path, field.name), owner, replace(value, **{field.name: other(inner)})
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            for where, of, changed in changes(inner, (*path, str(key))):
                yield where, of, {**value, key: changed}
            yield (*path, str(key), "removed"), "", {each: kept for each, kept in value.items() if each != key}
            another = replace(key, name="another") if isinstance(key, ModelRef) else f"{key}-2"
            yield (*path, str(key), "added"), "", {**value, another: inner}
    elif isinstance(value, tuple) and value:
        for index, inner in enumerate(value):
            for where, of, changed in changes(inner, (*path, str(index))):
                yield where, of, (*value[:index], changed, *value[index + 1 :])
        yield (*path, "removed"), "", value[1:]
        yield (*path, "twice"), "", (*value, value[0])


def other(value: Any) -> Any:  # noqa: ANN401, PLR0911 - as above
    """Return a value that differs in the least possible way."""
    match value:
        case bool():
            return int(value)  # equal to `==`, and hashed differently into a revision
        case int():
            return float(value)
        case float():
            return value + 1e-9
        case Enum():
            return next(iter(each for each in type(value) if each is not value), None)
        case dict() | tuple() | frozenset():
            return type(value)() if value else type(value)([("x", "x")])
        case str():
            return value + "\u200b"
        case _:
            return None


EVERYTHING = desired_state()


def test_each_candidate_is_in_scope() -> None:
    grant = grant_of(EVERYTHING, NORTH)
    for model in (OLD, NEW):
        for threshold in (0.55, 0.6, 0.65):
            found = find_change(EVERYTHING, proposal(EVERYTHING, model, threshold), grant)
            if (model, threshold) == (OLD, 0.6):
                assert found == "it changes no value"
            else:
                assert found == GrantedChange(frozenset({PUMPS}), frozenset(), direct=False)


def test_scope_refused() -> None:
    """Each other field of every kind is changed in turn, along with a change that is in scope: N of N are refused."""
    grant, before = grant_of(EVERYTHING, NORTH), EVERYTHING
    proposed = proposal(before)
    found = [(where, of, changed) for where, of, changed in changes(proposed) if where[0] != "commit"]
    refused = [where for where, _, changed in found if isinstance(find_change(before, changed, grant), str)]
    allowed = [where for where, _, changed in found if not isinstance(find_change(before, changed, grant), str)]
    assert allowed == []
    assert len(refused) == len(found) > 300
    assert {of for _, of, _ in found if of} == {
        f"{kind.__name__}.{field.name}" for kind in kinds_below(Desired) for field in fields(kind)
    } - {"Desired.commit"}


FOLLOWED = "mlflow://mlflow.example/pump@champion/model.tflite"
PINNED = "mlflow://mlflow.example/pump/12/model.tflite"
ADDED = ModelRef("forest", Version("mlflow-12"))


def following(gateway: GatewayId = NORTH) -> Desired:
    """Return the fleet with a model that follows a registry; both rollouts run it."""
    base = replace(EVERYTHING.models[OLD], follow=FollowedReference(FOLLOWED, gateway))
    return replace(EVERYTHING, models={**EVERYTHING.models, OLD: base})


def followed_version(before: Desired, url: str = PINNED, **fields_changed: Any) -> Desired:  # noqa: ANN401 - of a model
    """Return the fleet with another version of it, and both rollouts moved."""
    source = ModelSource(Digest("b" * 64), url=url)
    added = replace(before.models[OLD], ref=ADDED, source=source, **fields_changed)
    moved = {name: replace(rollout, model=ADDED) for name, rollout in before.rollouts.items()}
    return replace(before, models={**before.models, ADDED: added}, rollouts=moved)


def test_a_followed_version_is_a_copy_with_another_file_of_its_reference() -> None:
    before = following()
    grant = grant_of(before, NORTH)
    found = find_change(before, followed_version(before), grant)
    assert found == GrantedChange(frozenset({PUMPS, FANS}), frozenset({ADDED}), direct=False)
    refused = [
        followed_version(before, url)
        for url in (
            FOLLOWED,
            PINNED.replace("mlflow.example", "attacker.example"),
            PINNED.replace("pump", "other"),
            PINNED.replace("model.tflite", "other.tflite"),
            "https://mlflow.example/pump/12/model.tflite",
        )
    ]
    for field in fields(Model):
        if field.name not in {"ref", "source"}:
            refused += [
                followed_version(before, **{field.name: value})
                for value in [other(getattr(before.models[OLD], field.name))]
                if value is not None
            ]
    with_path = followed_version(before)
    source = ModelSource(Digest("b" * 64), path="models/x", url=PINNED)
    model = replace(with_path.models[ADDED], source=source)
    refused.append(replace(with_path, models={**with_path.models, ADDED: model}))
    assert len(refused) > 10
    assert [find_change(before, after, grant) for after in refused] == [
        f"it adds model {ADDED} with fields that no training and no registry sets"
    ] * len(refused)
    assert find_change(before, followed_version(before), grant_of(before, SOUTH)) == f"it adds model {ADDED}"


def test_only_rollouts_that_run_a_followed_model_are_moved() -> None:
    before = following()
    other_model = {**before.rollouts, FANS: replace(before.rollouts[FANS], model=NEW)}
    before = replace(before, rollouts=other_model)
    grant = grant_of(before, NORTH)
    assert "no contest of this gateway" in str(find_change(before, followed_version(before), grant))
    after = followed_version(before)
    one = replace(after, rollouts={**before.rollouts, PUMPS: after.rollouts[PUMPS]})
    assert isinstance(find_change(before, one, grant), GrantedChange)
    more = replace(after.rollouts[PUMPS], suspend=not after.rollouts[PUMPS].suspend)
    assert "it changes the suspend" in str(
        find_change(before, replace(one, rollouts={**one.rollouts, PUMPS: more}), grant)
    )


def kinds_below(annotation: Any) -> set[Any]:  # noqa: ANN401 - as above
    """Return every dataclass that a type can contain."""
    if isinstance(annotation, NewType):
        return kinds_below(annotation.__supertype__)
    if isinstance(annotation, type) and is_dataclass(annotation):
        hints = get_type_hints(annotation).values()
        return {annotation}.union(*map(kinds_below, hints))
    return set().union(*map(kinds_below, get_args(annotation)))


@pytest.mark.parametrize(
    ("model", "threshold", "because"),
    [
        (POOL, 0.6, "no such candidate"),
        (FOREIGN, 0.6, "no such candidate"),
        (NEW, 0.7, "no such candidate"),
        (NEW, 0.6000001, "no such candidate"),
        (NEW, None, "no such candidate"),
    ],
)
def test_what_is_not_a_candidate_is_refused(model: ModelRef, threshold: float | None, because: str) -> None:
    found = find_change(EVERYTHING, proposal(EVERYTHING, model, threshold), grant_of(EVERYTHING, NORTH))
    assert because in str(found)


def test_without_thresholds_a_candidate_keeps_the_one_in_force() -> None:
    contest = EVERYTHING.contests[ContestId("pumps")]
    narrow = replace(contest, candidates=CandidateRules(("forest",)))
    before = replace(EVERYTHING, contests={contest.name: narrow})
    grant = grant_of(before, NORTH)
    assert isinstance(find_change(before, proposal(before, NEW, 0.6), grant), GrantedChange)
    assert "no such candidate" in str(find_change(before, proposal(before, NEW, 0.65), grant))


def test_another_gateway_or_another_rollout_is_refused() -> None:
    assert "no contest of this gateway" in str(
        find_change(EVERYTHING, proposal(EVERYTHING), grant_of(EVERYTHING, SOUTH))
    )
    assert "no contest of this gateway" in str(
        find_change(EVERYTHING, proposal(EVERYTHING, name=FANS), grant_of(EVERYTHING, NORTH))
    )


def test_a_contest_that_names_no_gateway_belongs_to_the_only_one_that_serves_its_rollout() -> None:
    contest = replace(EVERYTHING.contests[ContestId("pumps")], gateway=None)
    both = replace(EVERYTHING, contests={contest.name: contest})
    assert grant_of(both, NORTH).rollouts == grant_of(both, SOUTH).rollouts == {}
    one = replace(both, gateways={SOUTH: both.gateways[SOUTH]})
    assert grant_of(one, SOUTH).rollouts.keys() == {PUMPS}
    assert grant_of(one, NORTH).rollouts == {}


@pytest.mark.parametrize("change", [{"suspend": True}, {"propose": ProposalMode.NEVER}])
def test_a_contest_that_does_not_propose_grants_nothing(change: dict[str, Any]) -> None:
    contest = replace(EVERYTHING.contests[ContestId("pumps")], **change)
    before = replace(EVERYTHING, contests={contest.name: contest})
    assert isinstance(find_change(before, proposal(before), grant_of(before, NORTH)), str)


def test_a_contest_added_by_the_commit_itself_grants_nothing() -> None:
    before = replace(EVERYTHING, contests={})
    after = replace(proposal(EVERYTHING), contests=EVERYTHING.contests)
    assert find_change(before, after, grant_of(before, NORTH)) == "it changes the contests"


def test_a_person_is_not_needed_only_if_every_contest_says_so() -> None:
    contest = replace(EVERYTHING.contests[ContestId("pumps")], propose=ProposalMode.DIRECT)
    second = replace(contest, name=ContestId("fans"), rollout=FANS, propose=ProposalMode.BRANCH)
    before = replace(EVERYTHING, contests={contest.name: contest, second.name: second})
    grant = grant_of(before, NORTH)
    found = find_change(before, proposal(before), grant)
    assert found == GrantedChange(frozenset({PUMPS}), frozenset(), direct=True)
    both = find_change(before, proposal(proposal(before), name=FANS), grant)
    assert both == GrantedChange(frozenset({PUMPS, FANS}), frozenset(), direct=False)


def trained(name: str = "trained") -> Model:
    """Return the document of a version as a training writes it."""
    ref = ModelRef(name, Version("4"))
    parameters = {THRESHOLD: 0.6, SAMPLE_EVERY: 0, SAMPLE_WINDOWS: 1}
    return Model(ref, trained_source(ref, "0" * 64), needs=filled(Needs), parameters=parameters)


def with_model(before: Desired, *added: Model) -> Desired:
    return replace(before, models={**before.models, **{each.ref: each for each in added}})


def test_new_versions_of_a_model_are_in_scope_only_if_a_training_of_the_gateway_makes_them() -> None:
    added, grant = trained(), grant_of(EVERYTHING, NORTH)
    after = with_model(EVERYTHING, added)
    assert find_change(EVERYTHING, after, grant) == GrantedChange(frozenset(), frozenset({added.ref}), direct=False)
    assert find_change(EVERYTHING, after, grant_of(EVERYTHING, SOUTH)) == "it adds model trained@4"
    assert find_change(EVERYTHING, with_model(EVERYTHING, trained("forest")), grant) == "it adds model forest@4"
    altered = {**after.models, OLD: replace(after.models[OLD], needs=added.needs, labels={})}
    assert find_change(EVERYTHING, replace(after, models=altered), grant) == "it changes or removes a model"


@pytest.mark.parametrize("change", [{"suspend": True}, {"propose": TrainingProposal.NEVER}, {"contest": "gone"}])
def test_a_training_that_does_not_propose_grants_nothing(change: dict[str, Any]) -> None:
    training = replace(EVERYTHING.trainings[TrainingId("nightly")], **change)
    before = replace(EVERYTHING, trainings={training.name: training})
    assert find_change(before, with_model(before, trained()), grant_of(before, NORTH)) == "it adds model trained@4"


def test_new_versions_of_candidates_are_in_scope_if_forests_of_devices_vote() -> None:
    contest = EVERYTHING.contests[ContestId("pumps")]
    local = replace(contest, pool=replace(contest.pool, local=True))
    before = replace(EVERYTHING, contests={local.name: local})
    after = with_model(before, trained("forest"))
    assert isinstance(find_change(before, after, grant_of(before, NORTH)), GrantedChange)
    assert find_change(before, after, grant_of(before, SOUTH)) == "it adds model forest@4"
    other = with_model(before, trained("net"))
    assert find_change(before, other, grant_of(before, NORTH)) == "it adds model net@4"
    odd = with_model(before, replace(trained("forest"), pool_only=True))
    assert "with fields that no training and no registry sets" in str(find_change(before, odd, grant_of(before, NORTH)))


def test_a_trained_model_has_the_fields_that_a_training_sets_and_no_other() -> None:
    """The needs, the digest and the values of two parameters are the training's to choose. All else is refused."""
    model, full, grant = trained(), filled(Model), grant_of(EVERYTHING, NORTH)

    def outcome(changed: Model) -> GrantedChange | str:
        return find_change(EVERYTHING, with_model(EVERYTHING, changed), grant)

    for name in {field.name for field in fields(Model)} - {"ref", "source", "needs", "parameters"}:
        assert "with fields that no training and no registry sets" in str(
            outcome(replace(model, **{name: getattr(full, name)}))
        ), name
    for source in (replace(model.source, path="models/f.tflite"), replace(model.source, url="http://plant/f.pack")):
        assert "with fields that no training and no registry sets" in str(outcome(replace(model, source=source)))
    assert "no registry sets" in str(outcome(replace(model, parameters={THRESHOLD: 0.6, "limit": 1})))
    other_threshold = replace(model, parameters={THRESHOLD: 0.7}, needs=Needs())
    assert isinstance(outcome(other_threshold), GrantedChange)
