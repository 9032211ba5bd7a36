# SPDX-License-Identifier: Apache-2.0
# ruff: noqa: E501 -- a row of a table is one line
"""Trainings, and the problems between them and other documents."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import pytest

from reconciler.model import FeatureOf, ForestScheme, TrainingId, TrainingMethod, TruthSource, WindowLabel
from reconciler.validation.problems import Rule
from tests.load.repo import Repo
from tests.load.test_contests import CANDIDATES, POOL, contest, forest

METHOD = "    - {method: isolation-forest, features: {of: [{statistic: std}, {statistic: rms}], choose: [1, 2]}}\n"

NETWORK_SHA256 = hashlib.sha256(b"a network").hexdigest()
NETWORK = f"    - {{method: keras, source: {{path: ae.keras, sha256: {NETWORK_SHA256}}}, decide: reconstruction}}\n"


def training(repo: Repo, *, contest: str = "first", model: str = "forest", method: str = METHOD, more: str = "") -> str:
    spec = f"spec:\n  contest: {contest}\n  model: {model}\n  try:\n{method}{more}"
    return repo.document("Training", "nightly", spec)


@pytest.fixture
def checked(repo: Repo) -> Repo:
    repo.replace("types.yaml", "[CONV_2D]", "[CONV_2D, TREE_ENSEMBLE]")
    repo.write("forest.yaml", forest(repo)).write("contests.yaml", contest(repo)).write("ae.keras", "a network")
    return repo.write("training.yaml", training(repo))


def rewrite(**changes: str) -> Callable[[Repo], Repo]:
    return lambda repo: repo.write("training.yaml", training(repo, **changes))


# name: (how to break the repository, rule, line, JSON path, part of the message)
Case = tuple[Callable[[Repo], Repo], Rule, int, str, str]
BROKEN: dict[str, Case] = {
    "unknown contest": (rewrite(contest="frist"), Rule.UNRESOLVED_REFERENCE, 5, "$.spec.contest", "did you mean `first`?"),
    "model without a contest": (rewrite(model="tree"), Rule.NO_CANDIDATE, 6, "$.spec.model", "nobody would evaluate it"),
    "contest without windows": (lambda r: r.write("contests.yaml", contest(r, rest=CANDIDATES + POOL + "  collect: {windows: false}\n")), Rule.CONFLICTING_VALUES, 5, "$.spec.contest", "collects no windows"),
    "devices without forests": (lambda r: r.replace("types.yaml", "TREE_ENSEMBLE", "LOOKUP"), Rule.NO_CANDIDATE, 5, "$.spec.contest", "lack TREE_ENSEMBLE"),
    "classifier of one label": (rewrite(method="    - {method: extra-trees}\n"), Rule.CONFLICTING_VALUES, 8, "$.spec.try[0].method", "`data.labels: [normal, anomalous]`"),
    "no normal windows": (rewrite(more="  data: {labels: [anomalous]}\n"), Rule.CONFLICTING_VALUES, 9, "$.spec.data.labels", "has to know normal windows"),
    "more features than there are": (rewrite(method=METHOD.replace("[1, 2]", "[1, 3]")), Rule.CONFLICTING_VALUES, 8, "$.spec.try[0].features.choose[1]", "more than the 2 features"),
    "network without a file": (rewrite(method="    - {method: keras, decide: reconstruction}\n"), Rule.CONFLICTING_VALUES, 8, "$.spec.try[0].method", "keras has no `source`"),
    "network without a decision": (rewrite(method=NETWORK.replace("decide: reconstruction", "epochs: [3]")), Rule.CONFLICTING_VALUES, 8, "$.spec.try[0].method", "keras has no `decide`"),
    "network of another kind of file": (rewrite(method=NETWORK.replace("ae.keras", "ae.tflite")), Rule.CONFLICTING_VALUES, 8, "$.spec.try[0].source", "not a .keras file"),
    "network with features": (rewrite(method=NETWORK.replace("decide: reconstruction", "decide: reconstruction, features: {of: [{statistic: rms}]}")), Rule.CONFLICTING_VALUES, 8, "$.spec.try[0].features", "reads the window itself"),
    "network that tells apart, of one label": (rewrite(method=NETWORK.replace("reconstruction", "threshold")), Rule.CONFLICTING_VALUES, 8, "$.spec.try[0].method", "`decide: threshold` learns the difference"),
    "network that is not there": (rewrite(method=NETWORK.replace("ae.keras", "b.keras")), Rule.MISSING_FILE, 8, "$.spec.try[0].source.path", "no file `b.keras`"),
    "another network": (rewrite(method=NETWORK.replace(NETWORK_SHA256, "0" * 64)), Rule.CHECKSUM_MISMATCH, 8, "$.spec.try[0].source.sha256", "changed separately"),
    "forest with a file": (rewrite(method="    - {method: isolation-forest, decide: argmax}\n"), Rule.CONFLICTING_VALUES, 8, "$.spec.try[0].decide", "isolation-forest takes no `decide`"),
    "no method": (rewrite(method="    []\n"), Rule.WRONG_VALUE, 8, "$.spec.try", ""),
    "too many proposals": (rewrite(more="  keep: 6\n"), Rule.WRONG_VALUE, 9, "$.spec.keep", "5"),
}  # fmt: skip


def test_a_training_is_loaded_with_its_defaults(checked: Repo) -> None:
    desired = checked.load().desired
    assert desired is not None
    made = desired.trainings[TrainingId("nightly")]
    assert (made.contest, made.model, made.trials, made.keep, made.when.every_s) == ("first", "forest", 40, 1, 604_800)
    assert made.data.labels == (WindowLabel.NORMAL,)
    assert made.data.by == (TruthSource.PERSON, TruthSource.POOL)
    (space,) = made.try_
    assert (space.method, space.trees, space.scheme) == (
        TrainingMethod.ISOLATION_FOREST,
        (10, 20, 50),
        (ForestScheme.INT8,),
    )
    assert space.features is not None
    assert space.features.of == (FeatureOf("std"), FeatureOf("rms"))
    assert space.features.choose == (1, 2)


def test_a_network_is_trained_for_devices_without_forests(checked: Repo) -> None:
    checked.write("training.yaml", training(checked, method=NETWORK)).replace("types.yaml", "TREE_ENSEMBLE", "LOOKUP")
    assert not [problem for problem in checked.problems() if problem.path == "training.yaml"]


@pytest.mark.parametrize("name", BROKEN)
def test_a_problem_of_a_training_is_located_and_explained(name: str, checked: Repo) -> None:
    break_it, rule, line, at, words = BROKEN[name]
    break_it(checked)
    problem = next(one for one in checked.problems() if one.rule is rule)
    assert (problem.path, problem.line, problem.json_path) == ("training.yaml", line, at)
    assert words in str(problem)


def test_a_model_that_a_training_will_make_may_be_the_only_candidate(checked: Repo) -> None:
    other = "  candidates: {models: [forest, trained]}\n" + POOL
    checked.write("contests.yaml", contest(checked, rest=other))
    assert [problem.rule for problem in checked.problems()] == [Rule.UNRESOLVED_REFERENCE]
    checked.write("training.yaml", training(checked, model="trained"))
    assert not checked.problems()
