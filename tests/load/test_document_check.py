# SPDX-License-Identifier: Apache-2.0
# ruff: noqa: E501 -- a row of a table is one line
"""Problems in one document: each is reported with its rule, its line and how to fix it."""

from __future__ import annotations

import pytest

from reconciler.load import Severity
from reconciler.validation.problems import Rule
from tests.load.repo import Repo

# name: (file, text, replacement, rule, line, JSON path, part of the message)
BROKEN = {
    "unknown kind": ("types.yaml", "DeviceType", "DeviceTyp", Rule.UNKNOWN_KIND, 2, "$.kind", "did you mean `DeviceType`?"),
    "kind in lower case": ("types.yaml", "DeviceType", "devicetype", Rule.UNKNOWN_KIND, 2, "$.kind", "`DeviceType`?"),
    "kind missing": ("types.yaml", "kind: DeviceType\n", "", Rule.MISSING_FIELD, 1, "$", "missing required field `kind`"),
    "unknown version": ("types.yaml", "v1alpha1", "v2", Rule.UNKNOWN_VERSION, 1, "$.apiVersion", "`tinyfleet/v1alpha1`"),
    "unknown field": ("types.yaml", "slotBytes", "slotByte", Rule.UNKNOWN_FIELD, 6, "$.spec.slotByte", "did you mean `slotBytes`?"),
    "missing field": ("types.yaml", "  arenaBytes: 8192\n", "", Rule.MISSING_FIELD, 4, "$.spec", "missing required field `arenaBytes`"),
    "text for a number": ("types.yaml", "65536", "64K", Rule.WRONG_TYPE, 6, "$.spec.slotBytes", "expected an integer, found `64K`"),
    "number for text": ("types.yaml", "cortex-m4", "4", Rule.WRONG_TYPE, 5, "$.spec.architecture", "put it in quotes"),
    "fraction for a whole number": ("types.yaml", "65536", "0.5", Rule.WRONG_TYPE, 6, "$.spec.slotBytes", "the number 0.5"),
    "nothing for a list": ("types.yaml", "[CONV_2D]", "", Rule.WRONG_TYPE, 8, "$.spec.operators", "expected a list, found null"),
    "unknown operator": ("types.yaml", "CONV_2D", "CONV2D", Rule.WRONG_VALUE, 8, "$.spec.operators[0]", "did you mean `CONV_2D`?"),
    "operator twice": ("types.yaml", "[CONV_2D]", "[ADD, ADD]", Rule.WRONG_VALUE, 8, "$.spec.operators", "the same item twice"),
    "no operator": ("types.yaml", "[CONV_2D]", "[]", Rule.WRONG_VALUE, 8, "$.spec.operators", "must not be empty"),
    "too small": ("types.yaml", "65536", "0", Rule.WRONG_VALUE, 6, "$.spec.slotBytes", "the minimum is 1"),
    "too large": ("types.yaml", "65536", "4294967296", Rule.WRONG_VALUE, 6, "$.spec.slotBytes", "the maximum is 4294967295"),
    "unsafe name": ("types.yaml", "name: sensor", "name: My_Sensor", Rule.WRONG_VALUE, 3, "$.metadata.name", "did you mean `my-sensor`?"),
    "name with a slash": ("types.yaml", "name: sensor", "name: ../../etc", Rule.WRONG_VALUE, 3, "$.metadata.name", "is not allowed; expected"),
    "label key": ("devices.yaml", "site: north", "'a b': north", Rule.WRONG_VALUE, 3, "$.metadata.labels['a b']", "is not allowed"),
    "label that is a number": ("devices.yaml", "north", "3", Rule.WRONG_TYPE, 3, "$.metadata.labels.site", "put it in quotes"),
    "label that is a truth value": ("devices.yaml", "north", "true", Rule.WRONG_TYPE, 3, "$.metadata.labels.site", "found `true`"),
    "yes as a label": ("devices.yaml", "north", "yes", Rule.AMBIGUOUS_SCALAR, 3, "$.metadata.labels.site", 'write "yes" for the string'),
    "two links": ("devices.yaml", "mqtt: {}", "mqtt: {}, serial: {port: /dev/a, baud: 300, address: 1}", Rule.FIELD_CHOICE, 6, "$.spec.link", "exactly one"),
    "no link": ("devices.yaml", "mqtt: {}", "", Rule.FIELD_CHOICE, 6, "$.spec.link", "exactly one of `mqtt`, `serial`"),
    "address": ("devices.yaml", "mqtt: {}", "serial: {port: /dev/a, baud: 300, address: 248}", Rule.WRONG_VALUE, 6, "$.spec.link.serial.address", "the maximum is 247"),
    "path and url": ("models/vibration.yaml", "{path", "{url: 'https://example.org/m', path", Rule.FIELD_CHOICE, 6, "$.spec.source", "found `path`, `url`"),
    "path out of the repository": ("models/vibration.yaml", "models/", "../models/", Rule.WRONG_VALUE, 6, "$.spec.source.path", "is not allowed; expected"),
    "a wave of two sorts": ("rollouts.yaml", "selector: {}", "selector: {}\n  waves: [{name: a, count: 1, percent: 5}]", Rule.FIELD_CHOICE, 7, "$.spec.waves[0]", "exactly one"),
    "values where none are due": ("rollouts.yaml", "selector: {}", "selector: {matchExpressions: [{key: a, operator: Exists, values: [b]}]}", Rule.FIELD_CHOICE, 6, "$.spec.selector.matchExpressions[0].values", "not allowed here"),
    "values missing": ("rollouts.yaml", "selector: {}", "selector: {matchExpressions: [{key: a, operator: In}]}", Rule.MISSING_FIELD, 6, "$.spec.selector.matchExpressions[0]", "missing required field `values`"),
    "version that lost a zero": ("rollouts.yaml", "'1.0.0'", "1.10", Rule.WRONG_TYPE, 5, "$.spec.model.version", "the number 1.1"),
    "a list as document": ("rollouts.yaml", "apiVersion: tinyfleet/v1alpha1\n", "- a\n---\napiVersion: tinyfleet/v1alpha1\n", Rule.NOT_A_MAPPING, 1, "$", "a list"),
}  # fmt: skip


@pytest.mark.parametrize("name", BROKEN)
def test_a_problem_in_one_document_is_located_and_explained(name: str, repo: Repo) -> None:
    file, old, new, rule, line, at, words = BROKEN[name]
    repo.replace(file, old, new)
    problem = next(one for one in repo.problems() if one.rule is rule)
    assert (problem.path, problem.line, problem.json_path) == (file, line, at)
    assert words in str(problem)
    assert problem.severity is Severity.ERROR


@pytest.mark.parametrize("name", BROKEN)
def test_one_error_causes_no_further_problems(name: str, repo: Repo) -> None:
    """Names that the document would have defined are not reported as missing."""
    file, old, new, *_ = BROKEN[name]
    repo.replace(file, old, new)
    assert len(repo.problems()) <= 2


def test_all_problems_are_reported_in_order(repo: Repo) -> None:
    repo.replace("types.yaml", "65536", "x")
    repo.replace("types.yaml", "8192", "z")
    repo.replace("devices.yaml", "mqtt: {}", "")
    repo.write("a.yaml", "a: 'x\n")
    problems = repo.problems()
    assert [(one.path, one.line) for one in problems] == [
        ("a.yaml", 2),
        ("devices.yaml", 6),
        ("types.yaml", 6),
        ("types.yaml", 7),
    ]


def test_the_test_repository_is_valid(repo: Repo) -> None:
    loaded = repo.load()
    assert loaded.problems == ()
    assert loaded.desired is not None
    assert sorted(loaded.desired.devices) == ["pump-1", "pump-2"]
