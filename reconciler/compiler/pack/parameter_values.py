# SPDX-License-Identifier: Apache-2.0
"""Converts parameter values as documents state them into the integers that a device compares with."""

from __future__ import annotations

from collections.abc import Mapping

from reconciler.compiler.errors import BuildFailed
from reconciler.compiler.pack.forest_head import decode_forest_head
from reconciler.compiler.pack.io_section import decode_io
from reconciler.compiler.pack.isolation_score import isolation_limit
from reconciler.compiler.pack.pack_format import Pack, PackKind, SectionId, disassemble
from reconciler.compiler.pack.package_format import is_package, package_parameters
from reconciler.compiler.pack.tunable_parameters_section import (
    Parameter,
    ParameterEncoding,
    decode_parameters,
    name_hash,
)


def encode_values(data: bytes, values: Mapping[str, float]) -> dict[int, int]:
    """Return {index: integer} for the named parameters of a pack or a package, as envelopes carry them."""
    if is_package(data):
        return _encode_values_of_package(data, values)
    pack = disassemble(data)
    entries = decode_parameters(pack.section(SectionId.PARAMETERS))
    index = {entry.name_hash: number for number, entry in enumerate(entries)}
    encoded = {}
    for name, value in sorted(values.items()):
        number = index.get(name_hash(name))
        if number is None:
            raise BuildFailed(f"the model has no parameter {name}")
        encoded[number] = _integer(pack, entries[number], name, value)
    return encoded


def _encode_values_of_package(data: bytes, values: Mapping[str, float]) -> dict[int, int]:
    table = {parameter.name: (number, parameter) for number, parameter in enumerate(package_parameters(data))}
    unknown = sorted(set(values) - set(table))
    if unknown:
        raise BuildFailed(f"the model has no parameter {unknown[0]}")
    return {table[name][0]: table[name][1].encode(value) for name, value in sorted(values.items())}


def _integer(pack: Pack, entry: Parameter, name: str, value: float) -> int:
    number = encode_value(pack, entry, value)
    if not entry.minimum <= number <= entry.maximum:
        raise BuildFailed(f"parameter {name}: {value} is outside of the range that the model allows")
    return number


def encode_value(pack: Pack, entry: Parameter, value: float) -> int:
    """Return the integer of one value (docs/specs/pack.md section 3)."""
    if entry.encoding is ParameterEncoding.ISOLATION_SCORE:
        if not 0.0 < value <= 1.0 or pack.kind is not PackKind.TREE_ENSEMBLE:
            raise BuildFailed(f"an isolation score must be above 0 and at most 1, not {value}")
        forest = decode_forest_head(pack.section(SectionId.FOREST))
        return isolation_limit(forest.subsample, forest.trees, value)
    if entry.encoding is ParameterEncoding.LINEAR:
        return round(value * 2.0**entry.fraction_bits)
    output = decode_io(pack.section(SectionId.IO))[1][0]
    if entry.encoding is ParameterEncoding.RECONSTRUCTION_ERROR:
        return round(value * output.elements / output.scale**2)
    return round(value / output.scale) + output.zero_point
