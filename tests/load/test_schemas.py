# SPDX-License-Identifier: Apache-2.0
"""The schemas are valid and described, and agree with the types."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterator
from dataclasses import MISSING, fields, is_dataclass
from enum import StrEnum
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, NewType, Union, get_args, get_origin, get_type_hints

import pytest
import yaml
from jsonschema import Draft202012Validator

from reconciler import model
from reconciler.load.model_conversion import TYPES, seconds, yaml_name
from reconciler.load.schema_validator import validator
from reconciler.load.schemas import KINDS, schema_text
from tests.load.test_fuzz import FILES, YAML, corrupt_values

Json = Any  # or a type: both are walked in the same way
ROOT = Path(__file__).resolve().parents[2]


def schema(kind: str) -> dict[str, Any]:
    parsed: dict[str, Any] = json.loads(schema_text(kind))
    return parsed


def resolved(node: Json, definitions: dict[str, Any]) -> Json:
    """Replace each `$ref` with its definition; keywords next to it take precedence."""
    if isinstance(node, list):
        return [resolved(item, definitions) for item in node]
    if not isinstance(node, dict):
        return node
    own = {key: resolved(value, definitions) for key, value in node.items() if key not in {"$ref", "$defs"}}
    if "$ref" in node:
        return {**resolved(definitions[node["$ref"].removeprefix("#/$defs/")], definitions), **own}
    return own


def whole(kind: str) -> dict[str, Any]:
    raw = schema(kind)
    made: dict[str, Any] = resolved(raw, raw.get("$defs", {}))
    return made


def properties(node: Json) -> Iterator[tuple[str, dict[str, Any]]]:
    if isinstance(node, dict):
        for name, inner in node.get("properties", {}).items():
            if isinstance(inner, dict):
                yield name, inner
        for key, inner in node.items():
            if key not in {"if", "then", "else"}:  # these add conditions to properties described elsewhere
                yield from properties(inner)
    elif isinstance(node, list):
        for item in node:
            yield from properties(item)


@pytest.mark.parametrize("kind", KINDS)
def test_each_schema_is_valid_and_has_an_id(kind: str) -> None:
    Draft202012Validator.check_schema(schema(kind))
    assert schema(kind)["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert schema(kind)["$id"] == f"urn:tinyfleet:schema:v1alpha1:{KINDS[kind]}"
    assert schema(kind)["title"] == kind


@pytest.mark.parametrize("kind", KINDS)
def test_every_property_and_definition_is_described(kind: str) -> None:
    described = [*properties(schema(kind)), *schema(kind).get("$defs", {}).items()]
    assert described
    assert [name for name, inner in described if not inner.get("description", "").endswith(".")] == []


@pytest.mark.parametrize("kind", KINDS)
def test_every_object_states_its_additional_properties(kind: str) -> None:
    def objects(node: Json) -> Iterator[dict[str, Any]]:
        if isinstance(node, dict):
            if node.get("type") == "object":
                yield node
            for inner in node.values():
                yield from objects(inner)
        elif isinstance(node, list):
            for item in node:
                yield from objects(item)

    assert all("additionalProperties" in each for each in objects(schema(kind)))


def test_shared_definitions_are_the_same_in_each_schema() -> None:
    seen: dict[str, Any] = {}
    for kind in KINDS:
        for name, definition in schema(kind).get("$defs", {}).items():
            assert seen.setdefault(name, definition) == definition, f"{name} in {kind}"


def document(kind: str, name: str, spec: dict[str, Any]) -> dict[str, Any]:
    return {"apiVersion": "tinyfleet/v1alpha1", "kind": kind, "metadata": {"name": name}, "spec": spec}


@pytest.mark.parametrize(
    "bad", ["", "A", "-a", "a-", "a/b", "a.b", "..", "a b", "a#", "a+", "ä", "a" * 64, "a\0", "a\n"]
)
def test_names_unsafe_in_files_topics_or_refs_are_refused(bad: str) -> None:
    assert validator("Fleet").is_valid(document("Fleet", "plant-1", {}))
    assert not validator("Fleet").is_valid(document("Fleet", bad, {}))


@pytest.mark.parametrize("bad", ["", ".", "a..b", ".a", "a.", "a/b", "v1 ", "1@2", "1.0\n", "ü"])
def test_versions_unsafe_in_files_or_refs_are_refused(bad: str) -> None:
    source = {"path": "m.tflite", "sha256": "0" * 64}
    assert validator("Model").is_valid(document("Model", "m", {"version": "1.0.0-rc.1", "source": source}))
    assert not validator("Model").is_valid(document("Model", "m", {"version": bad, "source": source}))


@pytest.mark.parametrize(
    "bad", ["../m", "a/../../m", "/etc/passwd", "a//b", "./m", "a/.", "a/..", "a\\b", "a\nb", "", "a/"]
)
def test_paths_out_of_the_repository_are_refused(bad: str) -> None:
    good = {"version": "1", "source": {"path": "a/..b/m.tflite", "sha256": "0" * 64}}
    assert validator("Model").is_valid(document("Model", "m", good))
    bad_source = {"version": "1", "source": {"path": bad, "sha256": "0" * 64}}
    assert not validator("Model").is_valid(document("Model", "m", bad_source))


def test_operators_equal_those_of_the_pack_format() -> None:
    page = (ROOT / "docs/specs/pack.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (\d+) \| `([A-Z0-9_]+)` \|", page, re.MULTILINE)
    listed = whole("DeviceType")["properties"]["spec"]["properties"]["operators"]["items"]["enum"]
    assert listed == [name for _, name in sorted(rows, key=lambda row: int(row[0]))]


# ------------------------------------------------------------ schema and types


@pytest.mark.parametrize("kind", KINDS)
def test_schema_and_type_have_the_same_fields(kind: str) -> None:
    described = whole(kind)["properties"]
    assert set(described) == {"apiVersion", "kind", "metadata", "spec"}
    both: dict[str, Any] = {
        "type": "object",
        "properties": {**described["metadata"]["properties"], **described["spec"]["properties"]},
        "required": [*described["metadata"]["required"], *described["spec"].get("required", [])],
    }
    if kind == "Fleet":
        del both["properties"]["labels"]  # the labels of a fleet are for people, and nothing selects by them
    if kind == "Model":  # name and version together are one value
        both["properties"]["ref"] = {"type": "object", "properties": {}}
        both["required"].append("ref")
        del both["properties"]["name"], both["properties"]["version"]
        both["required"] = [name for name in both["required"] if name not in {"name", "version"}]
    compare(kind, TYPES[kind], both)


def compare(at: str, kind: Json, described: dict[str, Any]) -> None:
    """Walk a type and its schema side by side."""
    origin: Json = get_origin(kind)
    if isinstance(kind, NewType):
        compare(at, kind.__supertype__, described)
    elif kind == model.DeviceLink:
        compare_choice(at, {"mqtt": model.MqttAddress, "serial": model.SerialAddress}, described)
    elif is_dataclass(kind):
        if kind is not model.ModelRef or described["properties"]:
            compare_fields(at, kind, described)
    elif origin in {Union, UnionType}:
        choices = [choice for choice in get_args(kind) if choice is not NoneType]
        if len(choices) == 1:
            (compare if isinstance(described.get("type", ""), str) else compare_optional)(at, choices[0], described)
        else:
            assert choices == [int, float], at
            assert described["type"] == "number", at
    elif origin in {tuple, frozenset}:
        assert described["type"] == "array", at
        compare(f"{at}[]", get_args(kind)[0], described["items"])
    elif origin is not None:
        assert described["type"] == "object", at
        compare(f"{at}.*", get_args(kind)[1], described["additionalProperties"])
    elif issubclass(kind, StrEnum):
        assert described["enum"] == list(kind), at
    else:
        words = {str: {"string"}, int: {"integer"}, float: {"number"}, bool: {"boolean"}}
        found = described.get(
            "type", "string" if all(isinstance(one, str) for one in described.get("enum", [0])) else ""
        )
        assert found in words[kind], at


def compare_optional(at: str, kind: Json, described: dict[str, Any]) -> None:
    """Compare an item that may be `null`."""
    kinds, described = described["type"], {**described, "type": described["type"][0]}
    assert kinds[1:] == ["null"], at
    compare(at, kind, described)


def compare_choice(at: str, kinds: dict[str, Any], described: dict[str, Any]) -> None:
    assert set(described["properties"]) == set(kinds), at
    for name, kind in kinds.items():
        compare(f"{at}.{name}", kind, described["properties"][name])


def compare_fields(at: str, kind: Json, described: dict[str, Any]) -> None:
    hints = get_type_hints(kind)
    known = described["properties"]
    assert set(known) == {yaml_name(field.name) for field in fields(kind)}, at
    for field in fields(kind):
        name = yaml_name(field.name)
        inner = known[name]
        needed = field.default is MISSING and field.default_factory is MISSING
        assert needed == (name in described.get("required", [])), f"{at}.{name}: required"
        if field.name.endswith("_s"):
            assert inner["type"] == "string", f"{at}.{name}"
            assert field.default == (seconds(inner["default"]) if "default" in inner else field.default)
        else:
            compare(f"{at}.{name}", hints[field.name], inner)
            if "default" in inner:
                stated = inner["default"]
                expected = tuple(stated) if isinstance(stated, list) else stated
                assert expected == field.default, f"{at}.{name}: default"
        if "default" not in inner and not needed:
            assert isinstance(field.default, (frozenset, *SMALL)) or field.default in {None, 0, ()} or no_value(field)


SMALL = (
    model.GatewayLimits,
    model.Needs,
    model.FailureBudget,
    model.SampleCollection,
    model.KnowledgeBounds,
    model.TrainingTrigger,
    model.TrainingData,
    model.Objective,
    model.ModelPool,
    model.ReplacementRules,
    model.ReplacementLimit,
    model.FunctionNeeds,
    model.FunctionLimits,
    model.FunctionPlacement,
    model.NodeSelector,
    model.Retention,
)


def no_value(field: Json) -> bool:
    return field.default_factory is dict


# ------------------------------------------------------------ definitions put in place


@pytest.mark.parametrize("kind", KINDS)
def test_keywords_next_to_a_reference_only_describe_it(kind: str) -> None:
    raw = schema(kind)

    def check(node: Json) -> None:
        if isinstance(node, list):
            for item in node:
                check(item)
        elif isinstance(node, dict):
            if "$ref" in node:
                definition = raw["$defs"][node["$ref"].removeprefix("#/$defs/")]
                assert set(node) & set(definition) <= {"description", "examples"}
            for inner in node.values():
                check(inner)

    check(raw)


@pytest.mark.parametrize("seed", range(60))
def test_inlining_definitions_does_not_change_what_is_valid(seed: int) -> None:
    chance = random.Random(seed)
    data = corrupt_values(chance, FILES[chance.choice(YAML)])
    for document in yaml.safe_load_all(data):
        kind = document.get("kind") if isinstance(document, dict) else None
        if isinstance(kind, str) and kind in KINDS:
            as_written = Draft202012Validator(schema(kind)).is_valid(document)
            assert validator(kind).is_valid(document) == as_written
