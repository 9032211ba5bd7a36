# SPDX-License-Identifier: Apache-2.0
"""What a device samples follows the contest, by an envelope alone."""

from __future__ import annotations

from dataclasses import replace

from reconciler.model import (
    CandidateRules,
    Configure,
    Contest,
    ContestId,
    Desired,
    NoChange,
    Parameters,
    RolloutId,
    SampleCollection,
)
from reconciler.plan import plan
from reconciler.plan.revision import revision_of
from tests.plan.example_fleet import BUILT, ESP32, EVERYWHERE, NOW, V2, device, digest_of, fleet, observe, seen

ALONE = fleet([device(1)], types=[ESP32])
CONTEST = Contest(ContestId("c"), EVERYWHERE.name, CandidateRules(("m",)), collect=SampleCollection(normal=50))


def desired(own: Parameters, *, contest: Contest | None = CONTEST) -> Desired:
    models = {**ALONE.models, V2: replace(ALONE.models[V2], parameters=own)}
    return replace(ALONE, models=models, contests={contest.name: contest} if contest else {})


def planned(wanted: Desired, parameters: Parameters) -> object:
    running = seen(digest_of(V2, ESP32.name))
    (action,) = plan(wanted, observe({device(1).name: replace(running, parameters=parameters)}, *BUILT), NOW)
    return action


def test_a_contest_sets_it_without_a_transfer() -> None:
    own = {"threshold": 0.5, "sample-every": 0}
    action = planned(desired(own), own)
    assert isinstance(action, Configure)
    assert action.parameters == {"threshold": 0.5, "sample-every": 50}
    assert isinstance(planned(desired(own), action.parameters), NoChange)
    assert isinstance(planned(desired(own, contest=None), own), NoChange)


def test_a_contest_without_windows_asks_for_features_alone() -> None:
    own = {"threshold": 0.5, "sample-windows": 1}
    features = replace(CONTEST, collect=SampleCollection(normal=50, windows=False))
    action = planned(desired(own, contest=features), own)
    assert isinstance(action, Configure)
    assert action.parameters == {"threshold": 0.5, "sample-windows": 0}
    assert isinstance(planned(desired(own), own), NoChange)
    both = {**own, "sample-every": 0}
    action = planned(desired(both, contest=features), both)
    assert isinstance(action, Configure)
    assert action.parameters == {"threshold": 0.5, "sample-windows": 0, "sample-every": 50}


def test_a_model_without_the_parameter_is_left_alone() -> None:
    own = {"threshold": 0.5}
    assert isinstance(planned(desired(own), own), NoChange)


def test_a_contest_of_another_rollout_does_not_matter() -> None:
    own = {"threshold": 0.5, "sample-every": 0}
    other = replace(CONTEST, rollout=RolloutId("another"))
    assert isinstance(planned(desired(own, contest=other), own), NoChange)


def test_it_changes_no_revision() -> None:
    own = {"threshold": 0.5, "sample-every": 0}
    assert revision_of(desired(own), EVERYWHERE.name) == revision_of(desired(own, contest=None), EVERYWHERE.name)
