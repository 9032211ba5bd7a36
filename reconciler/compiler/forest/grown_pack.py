# SPDX-License-Identifier: Apache-2.0
"""A forest that a device has grown, as a pack that other devices and the pool of a contest can run.

The gateway grows it again from the device's rows. So nothing of a device gets into a pack but numbers in rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from reconciler.compiler.errors import BuildFailed, PackMalformed
from reconciler.compiler.pack.features_section import decode_features
from reconciler.compiler.pack.forest_head import decode_forest_head
from reconciler.compiler.pack.io_section import decode_io
from reconciler.compiler.pack.learn_section import LearnRecipe, decode_learn
from reconciler.compiler.pack.pack_format import Pack, PackKind, SectionId, disassemble
from reconciler.compiler.pack.tunable_parameters_section import decode_parameters, encode_parameters, name_hash
from reconciler.compiler.reference.golden_vectors import with_golden_vectors
from reconciler.compiler.reference.growing import ForestForm, Row, grow_forest
from reconciler.model import LEARN_GENERATION
from reconciler.model.samples import SAMPLING_PARAMETERS

_OF_DEVICES = frozenset(map(name_hash, (LEARN_GENERATION, *SAMPLING_PARAMETERS)))  # not about how a forest decides


def recipe_of_starter(starter: Pack) -> tuple[LearnRecipe, ForestForm]:
    """Return how a device grows a forest while it runs this pack."""
    if starter.kind is not PackKind.TREE_ENSEMBLE or SectionId.LEARN not in starter.sections:
        raise PackMalformed("the pack does not learn")
    forest = decode_forest_head(starter.section(SectionId.FOREST))
    features = len(decode_features(starter.section(SectionId.FEATURES)).features)
    learn = decode_learn(starter.section(SectionId.LEARN), forest, features=features, arena_bytes=starter.arena_bytes)
    return learn, ForestForm(features, forest.trees, forest.subsample, forest.threshold_bits)


def features_of_starter(data: bytes) -> int:
    """Return how many features the rows of a device have that runs this pack."""
    return recipe_of_starter(disassemble(data))[1].features


def grown_pack(data: bytes, rows: Sequence[Row], section: bytes) -> bytes:
    """Return the pack of what grows from these rows; `BuildFailed` if that is not the device's section.

    Its features and its threshold are those of the starter. A build adds parameters of sampling, as the document says.
    """
    starter = disassemble(data)
    recipe, form = recipe_of_starter(starter)
    if not form.subsample <= len(rows) <= recipe.rows:
        raise BuildFailed(f"the device has {len(rows)} valid rows, and its model wants {recipe.rows}")
    if grow_forest(rows, form, recipe.seed) != section:
        raise BuildFailed("another forest grows from the device's rows than the one that it has")
    kept = [
        entry
        for entry in decode_parameters(starter.section(SectionId.PARAMETERS))
        if entry.name_hash not in _OF_DEVICES
    ]
    left_out = {SectionId.LEARN, SectionId.GOLDEN}
    sections = {number: body for number, body in starter.sections.items() if number not in left_out}
    sections |= {SectionId.FOREST: section, SectionId.PARAMETERS: encode_parameters(kept)}
    _, outputs = decode_io(starter.section(SectionId.IO))
    arena_bytes = 4 * (form.features + 1)  # as forest_pack
    return with_golden_vectors(replace(starter, arena_bytes=arena_bytes, sections=sections), outputs, [])
