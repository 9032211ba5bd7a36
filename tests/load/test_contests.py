# SPDX-License-Identifier: Apache-2.0
# ruff: noqa: E501 -- a row of a table is one line
"""Contests, and the problems between them and other documents."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from reconciler.model import Contest, ContestId, ProposalMode, ThresholdRange
from reconciler.validation.problems import Rule
from tests.load.repo import Repo

CANDIDATES = "  candidates: {models: [forest]}\n"
POOL = "  pool: {quorum: 1}\n"
FOREST = "spec:\n  version: '{version}'\n  source: {{path: models/vibration.tflite, sha256: '{sha256}'}}\n{more}"
GRID = "  candidates: {models: [forest], thresholds: {least: 0.55, most: 0.75, step: 0.05}}\n"


def forest(repo: Repo, version: str = "1", more: str = "  parameters: {threshold: 0.6}\n") -> str:
    sha256 = repo.model("any", "1").split("sha256: '")[1][:64]
    return repo.document("Model", "forest", FOREST.format(version=version, sha256=sha256, more=more))


def contest(repo: Repo, name: str = "first", rest: str = CANDIDATES + POOL, rollout: str = "canary") -> str:
    return repo.document("Contest", name, f"spec:\n  rollout: {rollout}\n{rest}")


@pytest.fixture
def checked(repo: Repo) -> Repo:
    return repo.write("forest.yaml", forest(repo)).write("contests.yaml", contest(repo))


def rewrite(rest: str, *, rollout: str = "canary") -> Callable[[Repo], Repo]:
    return lambda repo: repo.write("contests.yaml", contest(repo, rest=rest, rollout=rollout))


def two_gateways(repo: Repo) -> Repo:
    more = repo.document("Gateway", "yard", "spec:\n  selector: {devices: [pump-2]}\n")
    return repo.replace("gateways.yaml", "{}", "{devices: [pump-1]}").append("gateways.yaml", more)


# name: (how to break the repository, rule, file, line, JSON path, part of the message)
Case = tuple[Callable[[Repo], Repo], Rule, str, int, str, str]
BROKEN: dict[str, Case] = {
    "unknown rollout": (rewrite(CANDIDATES + POOL, rollout="canry"), Rule.UNRESOLVED_REFERENCE, "contests.yaml", 5, "$.spec.rollout", "did you mean `canary`?"),
    "unknown gateway": (rewrite("  gateway: hal\n" + CANDIDATES + POOL), Rule.UNRESOLVED_REFERENCE, "contests.yaml", 6, "$.spec.gateway", "did you mean `hall`?"),
    "unknown candidate": (rewrite("  candidates: {models: [forrest]}\n" + POOL), Rule.UNRESOLVED_REFERENCE, "contests.yaml", 6, "$.spec.candidates.models[0]", "did you mean `forest`?"),
    "unknown model in the pool": (rewrite(CANDIDATES + "  pool: {quorum: 1, models: [{name: forest, version: '2'}]}\n"), Rule.UNRESOLVED_REFERENCE, "contests.yaml", 7, "$.spec.pool.models[0].version", "existing versions: `1`"),
    "two contests of a name": (lambda r: r.append("contests.yaml", contest(r)), Rule.DUPLICATE_NAME, "contests.yaml", 11, "$.metadata.name", "the first one is at contests.yaml:1"),
    "two contests of a rollout": (lambda r: r.append("contests.yaml", contest(r, "other")), Rule.SEVERAL_CONTESTS, "contests.yaml", 13, "$.spec.rollout", "`first` already evaluates the rollout `canary`"),
    "no gateway where two serve": (two_gateways, Rule.CONTEST_GATEWAY, "contests.yaml", 5, "$.spec", "several gateways serve the rollout `canary`: `hall`, `yard`"),
    "gateway without a device": (lambda r: rewrite("  gateway: yard\n" + CANDIDATES + POOL)(r.append("gateways.yaml", r.document("Gateway", "yard", "spec:\n  selector: {matchLabels: {site: south}}\n"))), Rule.CONTEST_GATEWAY, "contests.yaml", 6, "$.spec.gateway", "serves no device of the rollout `canary`"),
    "candidate that fits no device": (lambda r: r.write("forest.yaml", forest(r, more="  needs: {operators: [TREE_ENSEMBLE]}\n")), Rule.NO_CANDIDATE, "contests.yaml", 6, "$.spec.candidates.models[0]", "no version of `forest` fits the devices of the rollout `canary` (`sensor`)"),
    "candidate for the pool alone": (lambda r: r.write("forest.yaml", forest(r, more="  poolOnly: true\n")), Rule.NO_CANDIDATE, "contests.yaml", 6, "$.spec.candidates.models[0]", "not `poolOnly`"),
    "rollout of a model for the pool": (lambda r: r.replace("models/vibration.yaml", "  parameters:", "  poolOnly: true\n  parameters:"), Rule.POOL_ONLY, "rollouts.yaml", 5, "$.spec.model", "never built for a device"),
    "pre-baked model for the pool": (lambda r: r.replace("types.yaml", "[CONV_2D]", "[CONV_2D]\n  prebaked: [{name: forest, version: '1'}]").write("forest.yaml", forest(r, more="  poolOnly: true\n")), Rule.POOL_ONLY, "types.yaml", 9, "$.spec.prebaked[0]", "never built for a device"),
    "thresholds from above their end": (rewrite(GRID.replace("0.55", "0.8") + POOL), Rule.CONFLICTING_VALUES, "contests.yaml", 6, "$.spec.candidates.thresholds.least", "there is no threshold"),
    "thresholds without end": (rewrite(GRID.replace("0.05", "0.0001") + POOL), Rule.CONFLICTING_VALUES, "contests.yaml", 6, "$.spec.candidates.thresholds.step", "more than 100 thresholds"),
    "thresholds that no model has": (lambda r: rewrite(GRID + POOL)(r.write("forest.yaml", forest(r, more=""))), Rule.UNKNOWN_PARAMETER, "contests.yaml", 6, "$.spec.candidates.thresholds", "no candidate has a parameter `threshold`"),
    "quorum above the pool": (rewrite(CANDIDATES), Rule.CONFLICTING_VALUES, "contests.yaml", 5, "$.spec.pool", "`quorum` is 3, but the pool has 1 model"),
    "votes above the pool": (rewrite(CANDIDATES + "  pool: {quorum: 1, vote: at-least, atLeast: 2}\n"), Rule.CONFLICTING_VALUES, "contests.yaml", 7, "$.spec.pool.atLeast", "`atLeast` is 2"),
    "number of votes without the rule": (rewrite(CANDIDATES + "  pool: {quorum: 1, atLeast: 2}\n"), Rule.FIELD_CHOICE, "contests.yaml", 7, "$.spec.pool.atLeast", "atLeast"),
}  # fmt: skip


def test_a_contest_is_loaded_with_its_defaults(checked: Repo) -> None:
    desired = checked.load().desired
    assert desired is not None
    made = desired.contests[ContestId("first")]
    assert isinstance(made, Contest)
    assert (made.rollout, made.gateway, made.propose, made.replace.false_positives) == (
        "canary",
        None,
        ProposalMode.BRANCH,
        5,
    )


@pytest.mark.parametrize("name", BROKEN)
def test_a_problem_of_a_contest_is_located_and_explained(name: str, checked: Repo) -> None:
    break_it, rule, file, line, at, words = BROKEN[name]
    break_it(checked)
    problem = next(one for one in checked.problems() if one.rule is rule)
    assert (problem.path, problem.line, problem.json_path) == (file, line, at)
    assert words in str(problem)


def test_a_model_with_errors_causes_no_problem_of_the_contest(checked: Repo) -> None:
    checked.replace("forest.yaml", "sha256", "sha265")
    assert {problem.path for problem in checked.problems()} == {"forest.yaml"}


def test_the_thresholds_are_exact_decimals() -> None:
    assert ThresholdRange(0.55, 0.75, 0.05).values() == (0.55, 0.6, 0.65, 0.7, 0.75)
    assert ThresholdRange(0.5, 0.5, 1.0).values() == (0.5,)
    assert ThresholdRange(-1.0, 1.0, 0.7).values() == (-1.0, -0.3, 0.4)
