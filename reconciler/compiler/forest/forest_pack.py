# SPDX-License-Identifier: Apache-2.0
"""Assembles the pack of a forest and its features."""

from __future__ import annotations

from collections.abc import Sequence

from reconciler.compiler.pack.features_section import FeatureWindow, encode_features
from reconciler.compiler.pack.forest_section import Forest, encode_forest
from reconciler.compiler.pack.io_section import Descriptor, ElementType, encode_io
from reconciler.compiler.pack.pack_format import Pack, PackKind, SectionId
from reconciler.compiler.pack.tunable_parameters_section import Parameter, encode_parameters
from reconciler.compiler.reference.golden_vectors import with_golden_vectors


def assemble_forest(
    forest: Forest,
    window: FeatureWindow,
    parameters: Sequence[Parameter],
    *,
    samples: Sequence[bytes] = (),
    scale: float = 1.0,
) -> bytes:
    """Return the pack, with golden vectors."""
    inputs = [Descriptor(ElementType.INT16, (window.samples, window.channels), scale=scale)]
    outputs = [Descriptor(ElementType.INT32, (1 + forest.outputs,))]
    sections = {
        SectionId.IO: encode_io(inputs, outputs),
        SectionId.FOREST: encode_forest(forest),
        SectionId.FEATURES: encode_features(window),
    }
    if parameters:
        sections[SectionId.PARAMETERS] = encode_parameters(parameters)
    arena = 4 * (len(window.features) + forest.outputs)
    pack = Pack(PackKind.TREE_ENSEMBLE, arena, sections)
    return with_golden_vectors(pack, outputs, [(sample,) for sample in samples])
