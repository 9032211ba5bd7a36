# SPDX-License-Identifier: Apache-2.0
"""Makes a pack learn: adds the section LEARN, and the parameter by which a device learns again.

The parameter comes behind all others, as `sample-every` does, so an envelope alone starts another lesson.
"""

from __future__ import annotations

from dataclasses import replace

from reconciler.compiler.errors import BuildFailed, PackMalformed
from reconciler.compiler.pack.features_section import decode_features
from reconciler.compiler.pack.forest_head import decode_forest_head
from reconciler.compiler.pack.learn_section import LearnRecipe, decode_learn, encode_learn, scratch_bytes
from reconciler.compiler.pack.pack_format import PackKind, SectionId, assemble, disassemble
from reconciler.compiler.pack.tunable_parameters_section import (
    Parameter,
    decode_parameters,
    encode_parameters,
    name_hash,
)
from reconciler.model import LEARN_GENERATION, LearnSpec, Parameters

GENERATION_MAX = 1 << 30


PER_PERCENT = 10  # thousandths


def learning_pack(data: bytes, learn: LearnSpec | None, parameters: Parameters) -> bytes:
    """Return the pack of a model whose document says that devices learn; without that, the pack as it is."""
    if learn is None:
        return data
    recipe = LearnRecipe(learn.rows, learn.every, learn.seed, round(learn.most_anomalous * PER_PERCENT))
    try:
        return with_learning(data, recipe, generation=parameters.get(LEARN_GENERATION, 0))
    except PackMalformed as refused:
        raise BuildFailed(f"spec.learn: {refused}") from refused


def with_learning(data: bytes, recipe: LearnRecipe, *, generation: float = 0) -> bytes:
    """Return the pack of an isolation forest, which now is the starter of what a device grows."""
    if not 0 <= generation <= GENERATION_MAX or generation != int(generation):
        raise BuildFailed(
            f"spec.parameters.{LEARN_GENERATION} must be a whole number from 0 to {GENERATION_MAX}, not {generation}"
        )
    pack = disassemble(data)
    if pack.kind is not PackKind.TREE_ENSEMBLE:
        raise BuildFailed(
            "spec.learn needs an isolation forest as the model that decides until a device has grown its own"
        )
    features = len(decode_features(pack.section(SectionId.FEATURES)).features)
    forest = decode_forest_head(pack.section(SectionId.FOREST))
    table = decode_parameters(pack.section(SectionId.PARAMETERS))
    table.append(Parameter(name_hash(LEARN_GENERATION), int(generation), 0, GENERATION_MAX))
    arena_bytes = max(pack.arena_bytes, scratch_bytes(forest.subsample, features))
    section = encode_learn(recipe)
    decode_learn(section, forest, features=features, arena_bytes=arena_bytes)
    added = {SectionId.PARAMETERS: encode_parameters(table), SectionId.LEARN: section}
    return assemble(replace(pack, arena_bytes=arena_bytes, sections={**pack.sections, **added}))
