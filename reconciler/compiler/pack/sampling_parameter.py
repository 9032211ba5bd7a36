# SPDX-License-Identifier: Apache-2.0
"""Adds the parameter `sample-every` to a pack: how many normal windows a device lets pass until it keeps one.

It is added behind all others, and only to models whose document has it, so all other packs keep their digests
(docs/adr/0047-sampled-normals.md).
"""

from __future__ import annotations

from dataclasses import replace

from reconciler.compiler.errors import BuildFailed
from reconciler.compiler.pack.features_section import decode_features
from reconciler.compiler.pack.forest_head import ForestMode
from reconciler.compiler.pack.forest_section import decode_forest
from reconciler.compiler.pack.pack_format import Pack, PackKind, SectionId, assemble, disassemble
from reconciler.compiler.pack.tunable_parameters_section import (
    Parameter,
    decode_parameters,
    encode_parameters,
    name_hash,
)
from reconciler.model.samples import SAMPLE_EVERY

EVERY_MAX = 1 << 30


def with_sample_every(data: bytes, every: float) -> bytes:
    """Return the pack with this parameter and this default; 0 keeps no normal window."""
    if not 0 <= every <= EVERY_MAX or every != int(every):
        raise BuildFailed(f"spec.parameters.{SAMPLE_EVERY} must be a whole number from 0 to {EVERY_MAX}, not {every}")
    pack = disassemble(data)
    table = decode_parameters(pack.section(SectionId.PARAMETERS))
    if not table and _takes_first_as_limit(pack):
        raise BuildFailed(f"a regression forest makes no decision, so it has no normal windows: remove {SAMPLE_EVERY}")
    table.append(Parameter(name_hash(SAMPLE_EVERY), int(every), 0, EVERY_MAX))
    return assemble(replace(pack, sections={**pack.sections, SectionId.PARAMETERS: encode_parameters(table)}))


def _takes_first_as_limit(pack: Pack) -> bool:
    """Return whether the pack compares its score with parameter 0, whatever that is (pack.md, section 8)."""
    if pack.kind is not PackKind.TREE_ENSEMBLE:
        return False
    features = len(decode_features(pack.section(SectionId.FEATURES)).features)
    return decode_forest(pack.section(SectionId.FOREST), features).mode is ForestMode.REGRESSION
