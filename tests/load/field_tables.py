# SPDX-License-Identifier: Apache-2.0
"""Generates the field tables of docs/fleet-repo.md from the schemas. `make fleet-docs` runs it.

A block `<!-- fields: Rollout model selector -->` receives the rows of those fields of a kind's `spec`,
with all fields below them. A block `<!-- fields: windows -->` receives a definition that kinds share.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from reconciler.load.schemas import KINDS, schema_text

PAGE = Path(__file__).resolve().parents[2] / "docs" / "fleet-repo.md"
# Definitions that have a section: the name of the type, and the anchor of the section.
SECTIONS = {
    "selector": ("selector", "selectors"),
    "windows": ("windows", "windows"),
    "source": ("source", "sources"),
    "modelRef": ("model reference", "model-references"),
    "parameters": ("parameters", "parameters"),
    "operators": ("operators", "operators"),
    "labels": ("labels", "labels"),
}
DEFINITIONS = {
    "name": "name",
    "version": "version",
    "duration": "duration",
    "labelKey": "label key",
    "labelValue": "label value",
}
TYPES = {"string": "string", "integer": "integer", "number": "number", "boolean": "boolean", "array": "list"}
BLOCK = re.compile(r"(<!-- fields: (\w+)((?: \w+)*) -->\n)(?:(?!<!--).)*(<!-- end -->)", re.DOTALL)
Schema = dict[str, Any]


def rows(described: Schema, definitions: Schema, prefix: str, only: Sequence[str] = ()) -> Iterator[tuple[str, ...]]:
    """Yield field, type, default and description; nested fields follow their parent."""
    for name, inner in described.get("properties", {}).items():
        if only and name not in only:
            continue
        needed = "required" if name in described.get("required", []) else default(inner)
        yield f"`{prefix}{name}`", type_of(inner, definitions), needed, inner["description"]
        if "$ref" not in inner:
            yield from rows(inner, definitions, f"{prefix}{name}.")
            if inner.get("type") == "array" and "$ref" not in inner["items"]:
                yield from rows(inner["items"], definitions, f"{prefix}{name}[].")


def default(described: Schema) -> str:
    return f"`{json.dumps(described['default']).strip(chr(34))}`" if described.get("default", "") != "" else ""


def type_of(described: Schema, definitions: Schema) -> str:
    if isinstance(described.get("type"), list):
        first, *others = described["type"]
        return f"{type_of({**described, 'type': first}, definitions)} or {', '.join(f'`{each}`' for each in others)}"
    return type_of_one(described, definitions)


def type_of_one(described: Schema, definitions: Schema) -> str:
    if "$ref" in described:
        name = described["$ref"].rsplit("/", 1)[1]
        if name in SECTIONS:
            word, anchor = SECTIONS[name]
            return f"[{word}](#{anchor})"
        return DEFINITIONS.get(name) or type_of(definitions[name], definitions)
    if "enum" in described:
        return ", ".join(f"`{word}`" for word in described["enum"])
    if described.get("type") == "object":
        return "mapping"
    kind = TYPES[described["type"]]
    if kind == "list":
        inner = type_of(described["items"], definitions)
        return "list of mappings" if inner == "mapping" else f"list: {inner}"
    return f"{kind}{bounds(described)}"


def bounds(described: Schema) -> str:
    lowest, highest = described.get("minimum"), described.get("maximum")
    if "exclusiveMinimum" in described:
        return f" above {described['exclusiveMinimum']}" + (f", up to {highest}" if highest is not None else "")
    if lowest is not None and highest is not None:
        return f", {lowest} to {highest}"
    return f", at least {lowest}" if lowest is not None else ""


def table(name: str, only: Sequence[str] = ()) -> str:
    """Render fields of a kind, or a definition that several kinds share."""
    if name in KINDS:
        schema = json.loads(schema_text(name))
        spec = schema["properties"]["spec"]
        unknown = set(only) - set(spec["properties"])
        if unknown:
            raise ValueError(f"{name} has no fields {sorted(unknown)}")
        found = rows(spec, schema.get("$defs", {}), "", only)
    else:
        schema = next(one for one in map(json.loads, map(schema_text, KINDS)) if name in one.get("$defs", {}))
        described = schema["$defs"][name]
        found = rows(described.get("items", described), schema["$defs"], "")
    lines = ["| field | type | default | description |", "|---|---|---|---|"]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in found)])


def shown(page: str, kind: str) -> list[str]:
    """Return the fields of a kind's `spec` that the blocks of the page show."""
    return [field for block in BLOCK.finditer(page) if block[2] == kind for field in block[3].split()]


def with_tables(page: str) -> str:
    """Return the page with each block replaced by its current table."""
    return BLOCK.sub(lambda block: f"{block[1]}{table(block[2], block[3].split())}\n{block[4]}", page)


def main() -> None:
    PAGE.write_text(with_tables(PAGE.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
