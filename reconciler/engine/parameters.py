# SPDX-License-Identifier: Apache-2.0
"""Parameters as people write them, as the integers that a pack takes (docs/specs/pack.md section 3)."""

from __future__ import annotations

from typing import ClassVar

from reconciler.build.container import SectionId, decode_parameters, disassemble, name_hash
from reconciler.build.forestpack import parameter_value
from reconciler.errors import Invalid
from reconciler.model import Parameters


class ParameterInvalid(Invalid):
    """A parameter that the pack does not have."""

    reason: ClassVar[str] = "ParameterInvalid"


def parameter_values(pack: bytes, wanted: Parameters) -> dict[int, int]:
    """Return index and integer of each wanted parameter that differs from what is built into the pack."""
    table = decode_parameters(disassemble(pack).section(SectionId.PARAMETERS))
    index_of = {parameter.name_hash: index for index, parameter in enumerate(table)}
    values = {}
    for name, value in wanted.items():
        index = index_of.get(name_hash(name))
        if index is None:
            raise ParameterInvalid(f"the pack has no parameter {name!r}")
        encoded = parameter_value(pack, index, value)
        if encoded != table[index].default:
            values[index] = encoded
    return dict(sorted(values.items()))
