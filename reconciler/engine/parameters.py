# SPDX-License-Identifier: Apache-2.0
"""Parameters as people write them, as the integers that a pack takes (docs/specs/pack.md section 3)."""

from __future__ import annotations

from typing import ClassVar

from reconciler.build.container import SectionId, decode_parameters, disassemble, name_hash
from reconciler.build.parameters import encode_value
from reconciler.errors import Invalid
from reconciler.model import Parameters


class ParameterInvalid(Invalid):
    """A parameter that the pack does not have, or not this value."""

    reason: ClassVar[str] = "ParameterInvalid"


def parameter_values(pack: bytes, wanted: Parameters) -> dict[int, int]:
    """Return index and integer of each wanted parameter that differs from what is built into the pack."""
    sections = disassemble(pack).sections
    table = decode_parameters(sections.get(SectionId.PARAMETERS, b""))
    by_hash = {parameter.name_hash: (index, parameter) for index, parameter in enumerate(table)}
    values = {}
    for name, value in wanted.items():
        index, parameter = by_hash.get(name_hash(name), (None, None))
        if index is None or parameter is None:
            raise ParameterInvalid(f"the pack has no parameter {name!r}")
        encoded = encode_value(parameter, value)
        if not parameter.least <= encoded <= parameter.most:
            raise ParameterInvalid(f"{name} = {value} is outside what the pack takes")
        if encoded != parameter.default:
            values[index] = encoded
    return dict(sorted(values.items()))
