# SPDX-License-Identifier: Apache-2.0
"""The smallest model as a file that people write: a weighted sum against a threshold, in JSON.

{"kind": "threshold", "element": "int16", "weights": [1, -2, 1], "bias": 0, "shift": 0,
 "threshold": 120, "golden": [[0, 0, 0], [5, -5, 5]]}
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

import jsonschema

from reconciler.compiler.errors import ModelUnreadable
from reconciler.compiler.pack.pack_format import ElementType
from reconciler.compiler.pack.threshold import build_threshold_pack

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
    """Tell whether a JSON file means to be a threshold model."""
    try:
        told = json.loads(data)
    except (ValueError, RecursionError):
        return False
    return isinstance(told, dict) and told.get("kind") == "threshold"


def threshold_pack_from_json(data: bytes, parameters: Mapping[str, float] | None = None) -> bytes:
    """Make a pack of a threshold model's JSON; the fleet repository's parameters go before the file's own."""
    try:
        told = json.loads(data)
        jsonschema.Draft202012Validator(_SCHEMA).validate(told)
    except (ValueError, RecursionError) as error:
        raise ModelUnreadable(f"not JSON: {error}") from error
    except jsonschema.ValidationError as error:
        raise ModelUnreadable(f"{error.json_path}: {error.message}") from error
    golden = told.get("golden", [])
    if any(len(x) != len(told["weights"]) for x in golden):
        raise ModelUnreadable("$.golden: each vector has as many numbers as there are weights")
    return build_threshold_pack(
        told["weights"],
        threshold=int((parameters or {}).get("threshold", told["threshold"])),
        bias=told.get("bias", 0),
        shift=told.get("shift", 0),
        element=ElementType.INT8 if told.get("element") == "int8" else ElementType.INT16,
        inputs=golden,
    )
