# SPDX-License-Identifier: Apache-2.0
"""Threshold models in JSON: a weighted sum that is compared with a threshold.

{"kind": "threshold", "element": "int16", "weights": [1, -2, 1], "bias": 0, "shift": 0,
 "threshold": 120, "golden": [[0, 0, 0], [5, -5, 5]]}
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

import jsonschema

from reconciler.compiler.errors import ModelUnreadable
from reconciler.compiler.pack.io_section import ElementType
from reconciler.compiler.threshold.threshold_pack import build_threshold_pack

_INT32: Final = {"type": "integer", "minimum": -(1 << 31), "maximum": (1 << 31) - 1}
_INT16S: Final = {"type": "array", "items": {"type": "integer", "minimum": -32768, "maximum": 32767}}
_INT8S: Final = {"type": "array", "minItems": 1, "items": {"type": "integer", "minimum": -128, "maximum": 127}}
_SCHEMA: Final[dict[str, Any]] = {
    "type": "object",
    "additionalProperties": False,
    "required": ["kind", "weights", "threshold"],
    "properties": {
        "kind": {"const": "threshold"},
        "element": {"enum": ["int8", "int16"]},
        "weights": _INT8S,
        "bias": _INT32,
        "shift": {"type": "integer", "minimum": 0, "maximum": 15},
        "threshold": _INT32,
        "golden": {"type": "array", "minItems": 1, "maxItems": 64, "items": _INT16S},
    },
}


def is_threshold_json(data: bytes) -> bool:
    """Return whether a JSON file declares itself a threshold model."""
    try:
        document = json.loads(data)
    except (ValueError, RecursionError):
        return False
    return isinstance(document, dict) and document.get("kind") == "threshold"


def threshold_pack_from_json(data: bytes, parameters: Mapping[str, float] | None = None) -> bytes:
    """Build the pack of a threshold model. Parameters of the model's document override those of the file."""
    try:
        document = json.loads(data)
        jsonschema.Draft202012Validator(_SCHEMA).validate(document)
    except (ValueError, RecursionError) as error:
        raise ModelUnreadable(f"cannot read the threshold model as JSON: {error}") from error
    except jsonschema.ValidationError as error:
        raise ModelUnreadable(f"{error.json_path}: {error.message}") from error
    golden = document.get("golden", [])
    if any(len(x) != len(document["weights"]) for x in golden):
        raise ModelUnreadable("$.golden: each vector must have as many numbers as there are weights")
    return build_threshold_pack(
        document["weights"],
        threshold=int((parameters or {}).get("threshold", document["threshold"])),
        bias=document.get("bias", 0),
        shift=document.get("shift", 0),
        element=ElementType.INT8 if document.get("element") == "int8" else ElementType.INT16,
        inputs=golden,
    )
