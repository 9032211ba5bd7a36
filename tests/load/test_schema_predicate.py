# SPDX-License-Identifier: Apache-2.0
"""The compiled predicates accept exactly what the schemas accept."""

from __future__ import annotations

import random
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from reconciler.load.schema_predicate import compile_schema, predicate
from reconciler.load.schema_validator import validator
from reconciler.load.schemas import KINDS, OTHER_KINDS
from tests.load.test_fuzz import FILES, YAML, corrupt_values

ODD = [None, True, False, 0, 1, -1, 1.0, 0.5, 2**70, "", "a", "a\n", "abcd", [], [1, 1], [1, True], ["a"], {}, {"a": 1}]


@pytest.mark.parametrize("kind", [*KINDS, *OTHER_KINDS])
def test_every_schema_compiles(kind: str) -> None:
    assert not predicate(kind)({"apiVersion": "tinyfleet/v1alpha1"})
    assert not predicate(kind)(None)


@pytest.mark.parametrize("seed", range(200))
def test_it_agrees_with_the_validator_on_corrupted_documents(seed: int) -> None:
    chance = random.Random(seed)
    data = corrupt_values(chance, FILES[chance.choice(YAML)])
    for document in yaml.safe_load_all(data):
        kind = document.get("kind") if isinstance(document, dict) else None
        if isinstance(kind, str) and kind in KINDS:
            assert predicate(kind)(document) == validator(kind).is_valid(document)


@pytest.mark.parametrize(
    "schema",
    [
        True,
        False,
        {},
        *({"type": name} for name in ("object", "array", "string", "boolean", "null", "number", "integer")),
        {"type": ["string", "null"]},
        {"enum": ["a", True, None]},
        {"const": False},
        {"pattern": "^a$"} | {"type": "string", "minLength": 1, "maxLength": 3},
        {"minimum": 0, "maximum": 1},
        {"exclusiveMinimum": 0},
        {"items": {"type": "integer"}, "minItems": 1, "maxItems": 1},
        {"type": "array", "uniqueItems": True},
        {"properties": {"a": {"type": "string"}}},
        {"required": ["a"], "additionalProperties": False, "properties": {"a": True}},
        {"propertyNames": {"maxLength": 0}, "minProperties": 1},
        {"maxProperties": 0},
        {"additionalProperties": {"type": "integer"}},
        {"not": {"type": "string"}},
        {"anyOf": [{"type": "string"}, {"minimum": 1}]},
        {"oneOf": [{"type": "integer"}, {"minimum": 1}, {"type": "array"}]},
        {"if": {"type": "string"}, "then": {"minLength": 2}, "else": {"type": "object"}},
        {"if": {"type": "string"}, "then": {"minLength": 2}},
    ],
    ids=str,
)
def test_each_keyword_means_what_json_schema_says(schema: Any) -> None:  # noqa: ANN401 (a schema, or true or false)
    accepts, reference = compile_schema(schema), Draft202012Validator(schema)
    # The one intended difference: `$` does not match before a final line break, as in ECMA patterns.
    values = [value for value in ODD if value != "a\n" or "pattern" not in str(schema)]
    # `[1, true]` has two different items to both; the library compares pairs, and the predicate the JSON text.
    assert [accepts(value) for value in values] == [reference.is_valid(value) for value in values]


@pytest.mark.parametrize("schema", [{"dependentRequired": {}}, {"items": {"format": "date"}}, {"enum": [1]}], ids=str)
def test_an_unsupported_keyword_is_an_error_and_not_ignored(schema: dict[str, Any]) -> None:
    with pytest.raises(NotImplementedError):
        compile_schema(schema)
