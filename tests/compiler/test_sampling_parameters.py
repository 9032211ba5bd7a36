# SPDX-License-Identifier: Apache-2.0
"""The parameters of sampling in packs of every kind, and nowhere else."""

from __future__ import annotations

import numpy as np
import pytest

from reconciler.compiler.build_pipeline import BuildPipeline
from reconciler.compiler.errors import BuildFailed
from reconciler.compiler.forest.forest_pack import assemble_forest
from reconciler.compiler.pack.checker import check_pack
from reconciler.compiler.pack.forest_head import ForestMode
from reconciler.compiler.pack.pack_format import SectionId, disassemble
from reconciler.compiler.pack.parameter_values import encode_values
from reconciler.compiler.pack.sampling_parameters import with_sampling
from reconciler.compiler.pack.tunable_parameters_section import decode_parameters, name_hash
from reconciler.compiler.recipe import Recipe
from reconciler.compiler.reference.interpreter import ReferenceInterpreter
from reconciler.compiler.threshold.threshold_json import threshold_pack_from_json
from reconciler.model import Decide
from reconciler.model.samples import SAMPLE_EVERY
from tests.compiler.random_forests import all_statistics, random_forest
from tests.compiler.recipes import TARGET, Files, forest_recipe, readings
from tests.compiler.sample_models import dense

SAMPLING = {"threshold": 0.6, "sample-every": 120}
THRESHOLD_MODEL = b'{"kind": "threshold", "weights": [1, -2, 1], "threshold": 120}'


def built(files: Files, recipe: Recipe) -> bytes:
    return BuildPipeline(recipe, files.by_digest, lambda _step: None).build().pack


def test_a_forest_gets_it_behind_its_threshold() -> None:
    files = Files()
    files.add("readings.csv", readings(1, 60))
    without = built(files, forest_recipe(files, parameters={"threshold": 0.6}))
    pack = built(files, forest_recipe(files, parameters=SAMPLING))
    check_pack(pack)
    assert encode_values(pack, {"sample-every": 7}) == {1: 7}
    assert encode_values(pack, {"threshold": 0.6}) == encode_values(without, {"threshold": 0.6})
    entries = decode_parameters(disassemble(pack).section(SectionId.PARAMETERS))
    assert [entry.default for entry in entries][1:] == [120]
    assert pack == with_sampling(without, {SAMPLE_EVERY: 120})


@pytest.mark.parametrize("decide", [Decide.RECONSTRUCTION, Decide.ARGMAX])
def test_a_network_decides_as_before(decide: Decide) -> None:
    files = Files()
    source = files.add("m.tflite", dense("INT8"))
    limit = {"threshold": 0.5} if decide is Decide.RECONSTRUCTION else {}
    plain = Recipe("echo@1", source, TARGET, decide=decide, parameters=limit)
    sampling = Recipe("echo@1", source, TARGET, decide=decide, parameters={**limit, "sample-every": 0})
    without, pack = built(files, plain), built(files, sampling)
    check_pack(pack)
    inputs = ReferenceInterpreter(without).golden_inputs(0)
    assert ReferenceInterpreter(pack).run(inputs) == ReferenceInterpreter(without).run(inputs)
    assert decode_parameters(disassemble(pack).section(SectionId.PARAMETERS))[-1].name_hash == name_hash("sample-every")


def test_a_threshold_model_gets_it_too() -> None:
    files = Files()
    recipe = Recipe("sum@1", files.add("m.json", THRESHOLD_MODEL), TARGET, parameters={"sample-every": 5})
    assert built(files, recipe) == with_sampling(threshold_pack_from_json(THRESHOLD_MODEL), {SAMPLE_EVERY: 5})


def test_both_keep_their_order_whatever_the_document_says_first() -> None:
    source = threshold_pack_from_json(THRESHOLD_MODEL)
    pack = with_sampling(source, {"sample-windows": 1, "threshold": 2, "sample-every": 3})
    check_pack(pack)
    table = decode_parameters(disassemble(pack).section(SectionId.PARAMETERS))
    assert [(each.name_hash, each.default, each.maximum) for each in table[-2:]] == [
        (name_hash("sample-every"), 3, 1 << 30),
        (name_hash("sample-windows"), 1, 1),
    ]
    assert with_sampling(source, {"threshold": 2}) == source


@pytest.mark.parametrize("value", [-1, 0.5, 2])
def test_windows_are_wanted_or_not(value: float) -> None:
    with pytest.raises(BuildFailed, match="sample-windows must be a whole number from 0 to 1"):
        with_sampling(threshold_pack_from_json(THRESHOLD_MODEL), {"sample-windows": value})


@pytest.mark.parametrize("value", [-1, 0.5, 2.0**31])
def test_a_value_that_no_device_can_count_is_refused(value: float) -> None:
    with pytest.raises(BuildFailed, match="whole number"):
        with_sampling(threshold_pack_from_json(THRESHOLD_MODEL), {SAMPLE_EVERY: value})


def test_a_regression_without_a_limit_cannot_have_it() -> None:
    """It would take the parameter for its limit; a classification has no limit at all."""
    window = all_statistics(8, 24, 2)
    packs = {}
    for mode in (ForestMode.CLASSIFICATION, ForestMode.REGRESSION):
        forest = random_forest(np.random.default_rng(1), mode, len(window.features), bits=8)
        packs[mode] = assemble_forest(forest, window, [])
    check_pack(with_sampling(packs[ForestMode.CLASSIFICATION], {SAMPLE_EVERY: 3}))
    with pytest.raises(BuildFailed, match="regression"):
        with_sampling(packs[ForestMode.REGRESSION], {SAMPLE_EVERY: 3})
