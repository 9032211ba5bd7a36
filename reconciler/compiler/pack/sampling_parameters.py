# SPDX-License-Identifier: Apache-2.0
"""Adds the parameters of sampling to a pack: how many normal windows are kept, and whether samples have their window.

They are added behind all others, and only to models whose document has them, so all other packs keep their digests
(docs/adr/0047-sampled-normals.md, docs/adr/0105-samples-without-windows.md).
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
from reconciler.model import Parameters
from reconciler.model.samples import SAMPLE_EVERY, SAMPLE_WINDOWS, SAMPLING_PARAMETERS

_MOST = {SAMPLE_EVERY: 1 << 30, SAMPLE_WINDOWS: 1}


def with_sampling(data: bytes, parameters: Parameters) -> bytes:
    """Return the pack with those of the parameters that are about sampling, and with their values as defaults."""
    wanted = [name for name in SAMPLING_PARAMETERS if name in parameters]
    if not wanted:
        return data
    pack = disassemble(data)
    table = decode_parameters(pack.section(SectionId.PARAMETERS))
    if not table and _takes_first_as_limit(pack):
        raise BuildFailed(f"a regression forest makes no decision, so it has no normal windows: remove {wanted[0]}")
    table.extend(_parameter(name, parameters[name]) for name in wanted)
    return assemble(replace(pack, sections={**pack.sections, SectionId.PARAMETERS: encode_parameters(table)}))


def _parameter(name: str, value: float) -> Parameter:
    if not 0 <= value <= _MOST[name] or value != int(value):
        raise BuildFailed(f"spec.parameters.{name} must be a whole number from 0 to {_MOST[name]}, not {value}")
    return Parameter(name_hash(name), int(value), 0, _MOST[name])


def _takes_first_as_limit(pack: Pack) -> bool:
    """Return whether the pack compares its score with parameter 0, whatever that is (pack.md, section 8)."""
    if pack.kind is not PackKind.TREE_ENSEMBLE:
        return False
    features = len(decode_features(pack.section(SectionId.FEATURES)).features)
    return decode_forest(pack.section(SectionId.FOREST), features).mode is ForestMode.REGRESSION
