# SPDX-License-Identifier: Apache-2.0
"""Settings, fields and documents on pages match the schemas."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import jsonschema
import pytest
import yaml

from reconciler.config import schema
from tests.docs.markdown import ROOT, pages, spans
from tests.docs.shellblocks import blocks

PAGES = pytest.mark.parametrize("page", pages(), ids=lambda page: page.relative_to(ROOT).as_posix())
# `[mqtt] ca, certificate` or `[[serial]]`: a section of gateway.toml and settings in it.
SETTING = re.compile(r"\[{1,2}([a-z]+)\]{1,2}((?: [a-z_]+,?)*)")
FREE = {"matchLabels", "labels", "parameters", "devices"}  # mappings whose keys users choose


def settings(section: str) -> set[str] | None:
    node = schema()["properties"].get(section)
    return None if node is None else set(node.get("items", node).get("properties", ()))


def wrong_spans(page: Path) -> Iterator[str]:
    for span in spans(page):
        match = SETTING.fullmatch(span)
        if match is None or (match[1] in {"dev", "dask"} and not match[2]):  # an extra of the wheel
            continue
        known = settings(match[1])
        if known is None or not set(re.findall(r"\w+", match[2])) <= known:
            yield span


def wrong_tables(text: str) -> Iterator[str]:
    for name, value in tomllib.loads(text).items():
        sections = value if isinstance(value, list) else [value]
        for each in sections:
            known = settings(name)
            if known is None or (isinstance(each, dict) and not each.keys() <= known):
                yield f"[{name}]"


@cache
def fields() -> frozenset[str]:
    """Return the names of all fields of all kinds."""
    found: set[str] = set()

    def walk(node: object) -> None:
        if isinstance(node, dict):
            properties = node.get("properties")
            found.update(properties if isinstance(properties, dict) else ())
            for each in node.values():
                walk(each)
        elif isinstance(node, list):
            for each in node:
                walk(each)

    for path in (ROOT / "schemas").glob("*.json"):
        walk(json.loads(path.read_text(encoding="utf-8")))
    return frozenset(found)


def unknown_fields(node: object) -> Iterator[str]:
    if isinstance(node, dict):
        for key, value in node.items():
            if key not in fields():
                yield str(key)
            if key not in FREE:
                yield from unknown_fields(value)
    elif isinstance(node, list):
        for each in node:
            yield from unknown_fields(each)


@PAGES
def test_settings_in_the_text_exist(page: Path) -> None:
    assert list(wrong_spans(page)) == []


@PAGES
def test_settings_in_blocks_exist(page: Path) -> None:
    assert {block.place: list(wrong_tables(block.text)) for block in blocks(page) if block.words == ("toml",)} == {
        block.place: [] for block in blocks(page) if block.words == ("toml",)
    }


@PAGES
def test_documents_in_blocks_match_their_schema(page: Path) -> None:
    for block in blocks(page):
        if block.words != ("yaml",):
            continue
        for document in yaml.safe_load_all(re.sub(r"…", "x", block.text)):
            if isinstance(document, dict) and document.get("kind") and document.get("spec"):
                name = re.sub(r"(?<=[a-z])(?=[A-Z])", "-", document["kind"]).lower()
                contract = json.loads((ROOT / "schemas" / f"{name}.json").read_text(encoding="utf-8"))
                jsonschema.Draft202012Validator(contract).validate(document)
            assert (block.place, list(unknown_fields(document))) == (block.place, [])


def test_unknown_settings_and_fields_are_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("`[mqtt] ca, certificate` `[mqtt] colour` `[nowhere]` `[[serial]]` `[PATH]`\n")
    assert list(wrong_spans(page)) == ["[mqtt] colour", "[nowhere]"]
    assert list(wrong_tables('[mqtt]\nhost = "h"\n[[serial]]\nspeed = 1\n')) == ["[serial]"]
    assert list(unknown_fields({"spec": {"waves": [{"soak": "1d", "sock": 1}], "labels": {"x": 1}}})) == ["sock"]
