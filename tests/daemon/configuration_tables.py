# SPDX-License-Identifier: Apache-2.0
"""The tables of docs/configuration.md, from the schema. `python -m tests.daemon.configuration_tables` writes them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from reconciler.config import schema

PAGE = Path(__file__).resolve().parents[2] / "docs" / "configuration.md"
BLOCK = re.compile(r"(<!-- settings -->\n).*(<!-- end -->)", re.DOTALL)
WORDS = {"string": "text", "integer": "whole number", "boolean": "true or false"}
REFERENCES = {"#/$defs/duration": "duration", "#/$defs/path": "path"}


def kind(node: dict[str, Any]) -> str:
    if "$ref" in node:
        return REFERENCES[node["$ref"]]
    if "enum" in node:
        return "one of " + ", ".join(f"`{word}`" for word in node["enum"])
    bounds = [f"{word} {node[key]}" for key, word in (("minimum", "from"), ("maximum", "to")) if key in node]
    return ", ".join([WORDS[node["type"]], *bounds])


def row(name: str, node: dict[str, Any], *, required: bool) -> str:
    default = json.dumps(node["default"], ensure_ascii=False) if "default" in node else ""
    needed = "required" if required else f"`{default}`" if default else ""
    return f"| `{name}` | {kind(node)} | {needed} | {node['description']} |"


def table(node: dict[str, Any]) -> Iterator[str]:
    yield "| setting | type | needed or default | meaning |"
    yield "|---|---|---|---|"
    for name, inner in node["properties"].items():
        if inner.get("type") not in {"object", "array"}:
            yield row(name, inner, required=name in node.get("required", ()))


def sections(contract: dict[str, Any]) -> Iterator[str]:
    yield "### At the top"
    yield from ("", *table(contract), "")
    for name, inner in contract["properties"].items():
        if inner.get("type") in {"object", "array"}:
            several = inner["type"] == "array"
            yield f"### `[[{name}]]`" if several else f"### `[{name}]`"
            needed = "Required. " if name in contract["required"] else ""
            yield from ("", f"{needed}{inner['description']}.", "")
            yield from (*table(inner["items"] if several else inner), "")


def with_tables(page: str) -> str:
    text = "\n".join(sections(schema()))
    return BLOCK.sub(lambda block: f"{block[1]}{text}\n{block[2]}", page)


def main() -> None:
    PAGE.write_text(with_tables(PAGE.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
