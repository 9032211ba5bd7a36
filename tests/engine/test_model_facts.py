# SPDX-License-Identifier: Apache-2.0
"""The facts of models: packs, devices that run them, parameters and alarms."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from reconciler.engine.status.model_facts import ModelFactsBuilder, ModelSources
from reconciler.model import (
    Artifact,
    ArtifactKey,
    CandidateRules,
    Configure,
    Contest,
    ContestId,
    Counts,
    Desired,
    DeviceHealth,
    DeviceId,
    NoChange,
    Observed,
    ObservedDevice,
    RolloutId,
)
from tests.plan.example_fleet import BUILT, ESP32, EVERYWHERE, TINY, V1, V2, device, digest_of, fleet, seen

GATES = ("auc 0.981 (at least 0.95)",)
ARTIFACTS = {(each.model, each.type): each for each in BUILT}
WANTED = EVERYWHERE.model


def sources(
    running: Mapping[str, ObservedDevice],
    *,
    artifacts: Mapping[ArtifactKey, Artifact] = ARTIFACTS,
    desired: Desired | None = None,
) -> ModelSources:
    made = desired or fleet([device(number) for number in range(3)])
    return ModelSources(
        made,
        dict.fromkeys(made.devices, EVERYWHERE.name),
        tuple(NoChange(name, "as wanted") for name in made.devices),
        Observed({DeviceId(name): each for name, each in running.items()}),
        artifacts,
        {},
    )


def builder() -> ModelFactsBuilder:
    return ModelFactsBuilder(lambda _, artifact: GATES if artifact.model == WANTED else ())


def on(seconds: float, anomalies: int) -> ObservedDevice:
    health = DeviceHealth(Counts(1000, anomalies, 0, 0, seconds))
    return seen(digest_of(WANTED, ESP32.name), health=health)


def test_a_model_is_counted_where_it_is_confirmed() -> None:
    other = digest_of(V1 if WANTED == V2 else V2, ESP32.name)
    (facts,) = builder().facts(sources({"d000": on(3600, 4), "d001": on(1800, 1), "d002": seen(other)}))
    assert facts.model == str(WANTED)
    assert (facts.devices, facts.running, facts.configured, facts.reporting) == (3, 2, 2, 2)
    assert (facts.alarms, facts.device_seconds, facts.rollouts) == (5, 5400, (EVERYWHERE.name,))
    (pack,) = facts.packs
    artifact = ARTIFACTS[WANTED, ESP32.name]
    assert (pack.type, pack.bytes, pack.gates) == (ESP32.name, artifact.pack_bytes, GATES)


def test_a_device_that_is_to_be_configured_runs_it_without_its_parameters() -> None:
    found = sources({"d000": on(60, 0)})
    configure = Configure(DeviceId("d000"), EVERYWHERE.name, {"threshold": 1}, "differs")
    (facts,) = builder().facts(replace(found, actions=(configure, *found.actions[1:])))
    assert (facts.running, facts.configured) == (1, 0)


def test_types_without_a_pack_are_missing_and_failures_are_those_of_the_model() -> None:
    found = sources({}, artifacts={}, desired=fleet([device(1), device(2, TINY.name)]))
    failures = {(WANTED, ESP32.name): "BuildGateFailed: auc", (V1 if WANTED == V2 else V2, ESP32.name): "other"}
    (facts,) = builder().facts(replace(found, failures=failures))
    assert facts.missing == tuple(sorted((ESP32.name, TINY.name)))
    assert facts.failures == {ESP32.name: "BuildGateFailed: auc"}


def test_candidates_of_a_contest_have_facts_before_any_device_runs_them() -> None:
    desired = fleet([device(1)])
    contest = Contest(ContestId("pumps"), RolloutId(EVERYWHERE.name), CandidateRules((WANTED.name,)))
    facts = builder().facts(sources({}, desired=replace(desired, contests={contest.name: contest})))
    same_name = sorted(str(ref) for ref in desired.models if ref.name == WANTED.name)
    assert [each.model for each in facts] == same_name
    assert [each.devices for each in facts if each.model != str(WANTED)] == [0] * (len(same_name) - 1)


def test_devices_are_looked_at_only_if_something_changed() -> None:
    made, found = builder(), sources({"d000": on(60, 0)})
    first = made.facts(found)
    assert made.facts(found) is first
    later = made.facts(replace(found, observed=Observed({DeviceId("d000"): on(90, 1)})))
    assert later[0].alarms == 1


def test_a_build_that_fails_changes_no_snapshot_and_is_seen() -> None:
    made, found = builder(), sources({}, artifacts={})
    assert made.facts(found)[0].failures == {}
    failed = replace(found, failures={(WANTED, ESP32.name): "auc is 0.7"})
    assert made.facts(failed)[0].failures == {ESP32.name: "auc is 0.7"}
