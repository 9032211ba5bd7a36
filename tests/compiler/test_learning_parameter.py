# SPDX-License-Identifier: Apache-2.0
"""Packs of models whose document says that devices learn."""

from __future__ import annotations

from dataclasses import replace

import pytest

from reconciler.compiler.build_pipeline import BuildPipeline
from reconciler.compiler.build_result import BuildResult
from reconciler.compiler.errors import BuildFailed, DoesNotFit
from reconciler.compiler.pack.features_section import decode_features
from reconciler.compiler.pack.forest_head import decode_forest_head
from reconciler.compiler.pack.learn_section import LearnRecipe, decode_learn
from reconciler.compiler.pack.pack_format import SectionId, disassemble
from reconciler.compiler.pack.parameter_values import encode_values
from reconciler.compiler.recipe import Recipe, recipe_from_json
from reconciler.model import LearnSpec, TrainSpec
from tests.compiler.recipes import TARGET, Files, forest_recipe

LEARNS = replace(TARGET, operators=(*TARGET.operators, "LEARN"))
LEARN = LearnSpec(rows=300, every=12, seed=5, most_anomalous=2.5)
PARAMETERS = {"threshold": 0.65, "learn-generation": 4, "sample-every": 9}


def built(files: Files, recipe: Recipe) -> BuildResult:
    return BuildPipeline(recipe, files.by_digest, lambda _step: None).build()


def test_the_document_is_what_the_device_reads() -> None:
    files = Files()
    result = built(files, forest_recipe(files, learn=LEARN, target=LEARNS, parameters=PARAMETERS))
    pack = disassemble(result.pack)
    forest = decode_forest_head(pack.section(SectionId.FOREST))
    features = len(decode_features(pack.section(SectionId.FEATURES)).features)
    found = decode_learn(pack.section(SectionId.LEARN), forest, features=features, arena_bytes=pack.arena_bytes)
    assert found == LearnRecipe(rows=300, every=12, seed=5, most_anomalous=25)
    assert encode_values(result.pack, {"learn-generation": 5, "sample-every": 7}) == {1: 5, 2: 7}
    assert result.report.operators == ("TREE_ENSEMBLE", "LEARN")


def test_the_starter_is_the_forest_that_it_was() -> None:
    files = Files()
    without = built(files, forest_recipe(files, parameters={"threshold": 0.65})).pack
    pack = built(files, forest_recipe(files, learn=LEARN, target=LEARNS)).pack
    for section in (SectionId.FOREST, SectionId.FEATURES, SectionId.GOLDEN):
        assert disassemble(pack).section(section) == disassemble(without).section(section)


def test_recipes_without_it_keep_their_digest_and_others_are_read_as_written() -> None:
    plain = forest_recipe(Files())
    assert b"learn" not in plain.to_json()
    learns = replace(plain, learn=LEARN)
    assert recipe_from_json(learns.to_json()) == learns
    assert len({plain.digest, learns.digest, replace(plain, learn=replace(LEARN, rows=301)).digest}) == 3


def test_a_type_without_the_operator_is_refused() -> None:
    files = Files()
    with pytest.raises(DoesNotFit, match="lacks the operators LEARN"):
        built(files, forest_recipe(files, learn=LEARN))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"train": TrainSpec("isolation-forest", 10, 257, 7)}, "2 to 256 samples"),
        ({"train": TrainSpec("extra-trees", 5)}, "2 to 256 samples"),
        ({"learn": replace(LEARN, rows=99)}, "out of range"),
        ({"parameters": {"learn-generation": -1}}, "whole number"),
        ({"parameters": {"learn-generation": 0.5}}, "whole number"),
    ],
)
def test_what_no_device_could_learn_is_refused(changes: dict[str, object], message: str) -> None:
    files = Files()
    parameters = {} if "train" in changes else {"threshold": 0.65}
    recipe = forest_recipe(files, **{"learn": LEARN, "target": LEARNS, "parameters": parameters, **changes})
    with pytest.raises(BuildFailed, match=message):
        built(files, recipe)
