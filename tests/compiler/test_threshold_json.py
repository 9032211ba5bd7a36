# SPDX-License-Identifier: Apache-2.0
"""Threshold models in JSON, and their packs."""

from __future__ import annotations

import json

import numpy as np
import pytest

from reconciler.compiler.errors import BuildFailed, DoesNotFit, ModelUnreadable
from reconciler.compiler.pack.checker import check_pack
from reconciler.compiler.recipe import GateSpec, Recipe
from reconciler.compiler.reference.interpreter import ReferenceInterpreter
from reconciler.compiler.sandbox import BuildJob, run_job
from reconciler.compiler.threshold.threshold_json import is_threshold_json, threshold_pack_from_json
from tests.compiler.recipes import TARGET, Files, readings

DOCUMENT = {"kind": "threshold", "weights": [1, -2, 1], "bias": 5, "threshold": 120, "golden": [[0, 0, 0], [5, -5, 5]]}


def threshold_model(**changes: object) -> bytes:
    return json.dumps({**DOCUMENT, **changes}).encode()


def test_the_pack_computes_the_weighted_sum() -> None:
    data = threshold_pack_from_json(threshold_model())
    check_pack(data)
    reference = ReferenceInterpreter(data)
    assert reference.first_wrong_golden() is None
    for x, score in (([100, -5, 5], 120), ([100, -5, 6], 121)):
        outcome = reference.run([np.array(x, "<i2").tobytes()])
        assert (outcome.score, outcome.decision) == (score, int(score > 120))


def test_the_parameter_of_the_document_overrides_the_file() -> None:
    assert (
        ReferenceInterpreter(threshold_pack_from_json(threshold_model(), {"threshold": 7})).parameters[0].default == 7
    )


def test_only_threshold_models_are_recognized() -> None:
    assert is_threshold_json(threshold_model())
    for other in (b"{}", b"[", b"[" * 100_000, b'{"kind": "forest"}', b'"threshold"'):
        assert not is_threshold_json(other)


@pytest.mark.parametrize(
    "changes",
    [
        {"weights": []},
        {"weights": [128]},
        {"weights": ["1"]},
        {"threshold": None},
        {"shift": 16},
        {"golden": [[1, 2]]},
        {"element": "float"},
        {"extra": 1},
    ],
)
def test_mistakes_are_named(changes: dict[str, object]) -> None:
    with pytest.raises(ModelUnreadable, match=r"\$"):
        threshold_pack_from_json(threshold_model(**changes))


@pytest.mark.parametrize(
    "changes", [{"golden": [[0, 0, 128]], "element": "int8"}, {"weights": [127] * 4096, "golden": []}]
)
def test_a_model_that_would_overflow_is_refused(changes: dict[str, object]) -> None:
    document = {**changes, **({"golden": [[0] * 4096]} if changes["golden"] == [] else {})}
    with pytest.raises(DoesNotFit):
        threshold_pack_from_json(threshold_model(**document))
    with pytest.raises(DoesNotFit):
        threshold_pack_from_json(threshold_model(), {"threshold": 2.0**40})


def test_a_threshold_model_is_built_and_takes_no_gates_on_data() -> None:
    files = Files()
    recipe = Recipe("sum@1", files.add("sum.json", threshold_model()), TARGET)
    assert run_job(BuildJob(recipe, files.by_digest)).report.operators == ("THRESHOLD",)
    gate = GateSpec("auc", at_least=0.5, data=files.add("x.csv", readings(1, 20, odd=5)))
    evaluated = Recipe("sum@1", recipe.source, TARGET, gates=(gate,))
    with pytest.raises(BuildFailed, match="no gates on data"):
        run_job(BuildJob(evaluated, files.by_digest))
