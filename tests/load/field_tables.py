# SPDX-License-Identifier: Apache-2.0
"""The tables of docs/fleet-repo.md, made from the schemas. `python -m tests.load.field_tables` writes them anew."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from reconciler.load.schemas import KINDS, schema_text

PAGE = Path(__file__).resolve().parents[2] / "docs" / "fleet-repo.md"
# Definitions that have a section of their own, and what it is called.
SECTIONS = {
    "selector": "selectors",
    "windows": "windows",
    "source": "sources",
    "modelRef": "models-by-name",
    "parameters": "parameters",
    "operators": "operators",
    "labels": "labels",
}
WORDS = {
    "name": "name",
    "version": "version",
    "duration": "duration",
    "labelKey": "label key",
    "labelValue": "label value",
}
TYPES = {"string": "text", "integer": "whole number", "number": "number", "boolean": "true or false", "array": "list"}
BLOCK = re.compile(r"(<!-- fields: (\w+) -->\n)(?:(?!<!--).)*(<!-- end -->)", re.DOTALL)
Schema = dict[str, Any]


def rows(described: Schema, definitions: Schema, prefix: str) -> Iterator[tuple[str, str, str, str]]:
    """Yield field, type, whether it is needed, and meaning, nested fields right after their parent."""
    for name, inner in described.get("properties", {}).items():
        needed = "required" if name in described.get("required", []) else default(inner)
        yield f"`{prefix}{name}`", type_of(inner, definitions), needed, inner["description"]
        if "$ref" not in inner:
            yield from rows(inner, definitions, f"{prefix}{name}.")
            if inner.get("type") == "array" and "$ref" not in inner["items"]:
                yield from rows(inner["items"], definitions, f"{prefix}{name}[].")


def default(described: Schema) -> str:
    return f"`{json.dumps(described['default']).strip(chr(34))}`" if described.get("default", "") != "" else ""


def type_of(described: Schema, definitions: Schema) -> str:
    if "$ref" in described:
        name = described["$ref"].rsplit("/", 1)[1]
        if name in SECTIONS:
            return f"[{SECTIONS[name].replace('-', ' ')}](#{SECTIONS[name]})"
        return WORDS.get(name) or type_of(definitions[name], definitions)
    if "enum" in described:
        return "one of " + ", ".join(f"`{word}`" for word in described["enum"])
    if described.get("type") == "object":
        return "mapping"
    kind = TYPES[described["type"]]
    if kind == "list":
        inner = type_of(described["items"], definitions)
        return "list of mappings" if inner == "mapping" else f"list: {inner}"
    bounds = [f"{word} {described[key]}" for key, word in LIMITS.items() if key in described]
    return ", ".join([kind, *bounds])


LIMITS = {"minimum": "from", "exclusiveMinimum": "above", "maximum": "to"}


def table(name: str) -> str:
    """Render the fields of a kind, or of a definition that several kinds share."""
    if name in KINDS:
        schema = json.loads(schema_text(name))
        found = rows(schema["properties"]["spec"], schema.get("$defs", {}), "spec.")
    else:
        schema = next(one for one in map(json.loads, map(schema_text, KINDS)) if name in one.get("$defs", {}))
        described = schema["$defs"][name]
        found = rows(described.get("items", described), schema["$defs"], "")
    lines = ["| field | type | needed or default | meaning |", "|---|---|---|---|"]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in found)])


def with_tables(page: str) -> str:
    """Put every table in its place."""
    return BLOCK.sub(lambda block: f"{block[1]}{table(block[2])}\n{block[3]}", page)


def main() -> None:
    PAGE.write_text(with_tables(PAGE.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
