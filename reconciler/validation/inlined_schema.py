# SPDX-License-Identifier: Apache-2.0
"""A JSON Schema without references, so that each part describes itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reconciler.validation.schema_errors import ALLOWED


def inlined(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Replace each `$ref` with its definition. No definition is recursive."""
    made: dict[str, Any] = _inlined(schema, schema.get("$defs", {}))
    return made


def _inlined(node: Any, definitions: Mapping[str, Any]) -> Any:  # noqa: ANN401 (any part of a schema)
    if isinstance(node, list):
        return [_inlined(item, definitions) for item in node]
    if not isinstance(node, Mapping):
        return node
    own = {key: _inlined(value, definitions) for key, value in node.items() if key not in {"$ref", "$defs"}}
    if "$ref" not in node:
        return own
    definition = _inlined(definitions[node["$ref"].removeprefix("#/$defs/")], definitions)
    return {**definition, **own, ALLOWED: definition.get("description", "")}
