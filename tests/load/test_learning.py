# SPDX-License-Identifier: Apache-2.0
# ruff: noqa: E501 -- a row of a table is one line
"""Models from which devices grow forests of their own, and the problems between them and other documents."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from reconciler.model import LearnSpec, ModelRef, Version
from reconciler.validation.problems import Rule
from tests.load.repo import SHA256, Repo

TRAIN = "  train: {method: isolation-forest, trees: 10, samples: 64}\n"
LEARN = "  learn: {rows: 100, every: 5}\n"
PARAMETERS = "  parameters: {threshold: 0.6, learn-generation: 0}\n"


def forest(repo: Repo, *, train: str = TRAIN, learn: str = LEARN, more: str = PARAMETERS) -> str:
    source = f"  source: {{path: models/vibration.tflite, sha256: '{SHA256}'}}\n"
    return repo.document("Model", "forest", f"spec:\n  version: '1'\n{source}{train}{learn}{more}")


def rollout(repo: Repo) -> str:
    return repo.document(
        "Rollout",
        "teach",
        "spec:\n  model: {name: forest, version: '1'}\n  selector: {}\n  parameters: {learn-generation: 3}\n",
    )


@pytest.fixture
def checked(repo: Repo) -> Repo:
    repo.replace("types.yaml", "[CONV_2D]", "[CONV_2D, TREE_ENSEMBLE, LEARN]")
    return repo.write("forest.yaml", forest(repo))


def rewrite(**changes: str) -> Callable[[Repo], Repo]:
    return lambda repo: repo.write("forest.yaml", forest(repo, **changes))


# name: (how to break the repository, rule, JSON path, part of the message)
Case = tuple[Callable[[Repo], Repo], Rule, str, str]
BROKEN: dict[str, Case] = {
    "fewer rows than samples": (rewrite(learn="  learn: {rows: 63}\n"), Rule.CONFLICTING_VALUES, "$.spec.learn.rows", "less than the 64 samples"),
    "more samples than a device has room for": (rewrite(train=TRAIN.replace("64", "257")), Rule.CONFLICTING_VALUES, "$.spec.train.samples", "at most 256"),
    "a classifier": (rewrite(train=TRAIN.replace("isolation-forest", "extra-trees")), Rule.CONFLICTING_VALUES, "$.spec.learn", "this model is of `extra-trees`"),
    "a model for the pool": (rewrite(more="  poolOnly: true\n"), Rule.CONFLICTING_VALUES, "$.spec.learn", "gets to no device"),
    "a generation of nothing": (rewrite(learn=""), Rule.CONFLICTING_VALUES, "$.spec.parameters['learn-generation']", "no `learn`"),
    "more rows than a region has": (rewrite(learn="  learn: {rows: 4097}\n"), Rule.WRONG_VALUE, "$.spec.learn.rows", "4096"),
    "no seed": (rewrite(learn="  learn: {seed: 0}\n"), Rule.WRONG_VALUE, "$.spec.learn.seed", "1"),
}  # fmt: skip


def test_learning_is_loaded_with_its_defaults(checked: Repo) -> None:
    desired = checked.load().desired
    assert desired is not None
    assert desired.models[ModelRef("forest", Version("1"))].learn == LearnSpec(
        rows=100, every=5, seed=1, most_anomalous=5.0
    )


@pytest.mark.parametrize("name", BROKEN)
def test_a_mistake_is_found_where_it_is(checked: Repo, name: str) -> None:
    change, rule, path, part = BROKEN[name]
    problem = change(checked).only()
    assert (problem.rule, problem.path, problem.json_path) == (rule, "forest.yaml", path)
    assert part in str(problem)


def test_a_rollout_to_devices_that_do_not_learn_is_refused(checked: Repo) -> None:
    (checked.root / "rollouts.yaml").unlink()
    checked.write("teach.yaml", rollout(checked))
    assert not checked.problems()
    checked.replace("types.yaml", ", LEARN", "")
    found = [problem for problem in checked.problems() if "lacks the operator LEARN" in str(problem)]
    assert [(problem.path, problem.json_path) for problem in found] == [("teach.yaml", "$.spec.model")]
