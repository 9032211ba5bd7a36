# SPDX-License-Identifier: Apache-2.0
"""Generates the tables of docs/configuration.md from the schema of gateway.toml. `make config-docs` runs it.

A block `<!-- settings: mqtt -->` receives the settings of that section, and `<!-- settings: top -->`
those outside any section.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from reconciler.config import schema

PAGE = Path(__file__).resolve().parents[2] / "docs" / "configuration.md"
BLOCK = re.compile(r"(<!-- settings: (\w+) -->\n)(?:(?!<!--).)*(<!-- end -->)", re.DOTALL)
TOP = "top"
TYPES = {"string": "string", "integer": "integer", "boolean": "boolean"}
REFERENCES = {"#/$defs/duration": "duration", "#/$defs/path": "path"}


def type_of(node: dict[str, Any]) -> str:
    if "$ref" in node:
        return REFERENCES[node["$ref"]]
    if "enum" in node:
        return ", ".join(f"`{word}`" for word in node["enum"])
    if node["type"] == "array":
        return f"list of {type_of(node['items'])}s"
    name = TYPES[node["type"]]
    if "minimum" in node and "maximum" in node:
        return f"{name}, {node['minimum']} to {node['maximum']}"
    return f"{name}, at least {node['minimum']}" if "minimum" in node else name


def row(name: str, node: dict[str, Any], *, required: bool) -> str:
    default = json.dumps(node["default"], ensure_ascii=False) if "default" in node else ""
    needed = "required" if required else f"`{default}`" if default else ""
    return f"| `{name}` | {type_of(node)} | {needed} | {node['description']} |"


def is_section(node: dict[str, Any]) -> bool:
    return "properties" in node.get("items", node)


def rows(node: dict[str, Any]) -> Iterator[str]:
    yield "| setting | type | default | description |"
    yield "|---|---|---|---|"
    for name, inner in node["properties"].items():
        if not is_section(inner):
            yield row(name, inner, required=name in node.get("required", ()))


def sections() -> dict[str, dict[str, Any]]:
    """Return the schema of each section, and of the settings outside any section."""
    whole = schema()
    found = {TOP: whole}
    for name, node in whole["properties"].items():
        if is_section(node):
            found[name] = node.get("items", node)
    return found


def with_tables(page: str) -> str:
    """Return the page with each block replaced by its current table."""
    known = sections()
    return BLOCK.sub(lambda block: f"{block[1]}{chr(10).join(rows(known[block[2]]))}\n{block[3]}", page)


def main() -> None:
    PAGE.write_text(with_tables(PAGE.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
