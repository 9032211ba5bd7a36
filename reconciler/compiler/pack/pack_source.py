# SPDX-License-Identifier: Apache-2.0
"""A pack as the source of a model: it is checked again, and its bytes stay what they are.

Exactly these bytes were evaluated when the pack was made, so nothing in them may depend on the document: its
parameters must be the pack's own.
"""

from __future__ import annotations

from collections.abc import Mapping

from reconciler.compiler.errors import BuildFailed
from reconciler.compiler.pack.checker import check_pack
from reconciler.compiler.pack.pack_format import SectionId, disassemble
from reconciler.compiler.pack.parameter_values import encode_values
from reconciler.compiler.pack.tunable_parameters_section import decode_parameters


def checked_pack(data: bytes, parameters: Mapping[str, float]) -> bytes:
    """Return the bytes of a pack that is complete and valid, and that decides by these parameters."""
    check_pack(data)
    entries = decode_parameters(disassemble(data).section(SectionId.PARAMETERS))
    for index, value in encode_values(data, parameters).items():
        if value != entries[index].default:
            stated = ", ".join(f"{name} {number:g}" for name, number in sorted(parameters.items()))
            raise BuildFailed(
                f"the document has {stated}, and the pack was made with another value: state the pack's own, "
                "and set yours in spec.parameters of the rollout"
            )
    if len(encode_values(data, parameters)) < len(entries):
        raise BuildFailed("the pack has a parameter that the document does not state: add it to spec.parameters")
    return data
