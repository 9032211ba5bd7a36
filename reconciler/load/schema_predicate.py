# SPDX-License-Identifier: Apache-2.0
"""Compiles a JSON Schema to a function that returns whether a value is valid, and nothing else.

Nearly all documents of a fleet are valid, and the function costs a tenth of a full validation. Only a document that
it refuses goes through `schema_validator`, which explains the errors. The compiler supports the keywords that our
schemas use and raises an error for any other, so a new keyword cannot be ignored by mistake.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache, lru_cache
from typing import Any

from reconciler.load.schemas import inlined_schema
from reconciler.validation.schema_errors import ALLOWED, IN_WORDS

Predicate = Callable[[Any], bool]
Schema = Mapping[str, Any]

ANNOTATIONS = frozenset({"$schema", "$id", "title", "description", "default", "examples", ALLOWED, IN_WORDS})
OF_OBJECTS = frozenset(
    {"properties", "additionalProperties", "propertyNames", "required", "minProperties", "maxProperties"}
)
OF_LISTS = frozenset({"items", "minItems", "maxItems", "uniqueItems"})
OF_STRINGS = frozenset({"pattern", "minLength", "maxLength"})
OF_NUMBERS = frozenset({"minimum", "maximum", "exclusiveMinimum"})
CONDITION = frozenset({"if", "then", "else"})
OF_ANY = frozenset({"type", "enum", "const", "not", "anyOf", "oneOf"})
SUPPORTED = ANNOTATIONS | OF_OBJECTS | OF_LISTS | OF_STRINGS | OF_NUMBERS | CONDITION | OF_ANY


@cache
def predicate(kind: str) -> Predicate:
    """Return the predicate of a kind; it is compiled once per process."""
    return compile_schema(inlined_schema(kind))


def compile_schema(schema: Schema | bool) -> Predicate:  # noqa: FBT001 (in JSON Schema, true and false are schemas)
    """Compile a schema without references."""
    if isinstance(schema, bool):
        return _anything if schema else _nothing
    unknown = schema.keys() - SUPPORTED
    if unknown:
        raise NotImplementedError(f"keywords of JSON Schema that the predicate does not support: {sorted(unknown)}")
    return _all_of(list(_checks(schema)))


@lru_cache(maxsize=256)
def compiled_pattern(pattern: str) -> re.Pattern[str]:
    r"""Compile an ECMA pattern, where `$` matches only at the very end; Python's also matches before a final `\n`."""
    return re.compile(f"{pattern[:-1]}\\Z" if pattern.endswith("$") else pattern)


def all_different(items: Sequence[Any]) -> bool:
    """Compare items as JSON text, in linear time also for lists of mixed types."""
    return len({json.dumps(item, sort_keys=True) for item in items}) == len(items)


def _checks(schema: Schema) -> Iterator[Predicate]:
    """Yield a predicate for each group of keywords; the type comes first, because it is the cheapest."""
    if "type" in schema:
        yield _type(schema["type"])
    for keyword in ("enum", "const"):
        if keyword in schema:
            yield _member(schema[keyword] if keyword == "enum" else [schema[keyword]])
    for keywords, make in ((OF_OBJECTS, _object), (OF_LISTS, _list), (OF_STRINGS, _string), (OF_NUMBERS, _number)):
        if keywords & schema.keys():
            yield make(schema)
    if "if" in schema:
        yield _condition(schema)
    if "not" in schema:
        refused = compile_schema(schema["not"])
        yield lambda value: not refused(value)
    if "anyOf" in schema:
        options = [compile_schema(each) for each in schema["anyOf"]]
        yield lambda value: any(accepts(value) for accepts in options)
    if "oneOf" in schema:
        choices = [compile_schema(each) for each in schema["oneOf"]]
        yield lambda value: sum(accepts(value) for accepts in choices) == 1


def _all_of(checks: Sequence[Predicate]) -> Predicate:
    if not checks:
        return _anything
    if len(checks) == 1:
        return checks[0]
    if len(checks) == 2:  # noqa: PLR2004 - most schemas: a type and one group of keywords
        first, second = checks
        return lambda value: first(value) and second(value)

    def accepts(value: Any) -> bool:  # noqa: ANN401 (any JSON value)
        for check in checks:  # noqa: SIM110 - a generator costs more than the checks
            if not check(value):
                return False
        return True

    return accepts


def _anything(_value: object) -> bool:
    return True


def _nothing(_value: object) -> bool:
    return False


# ------------------------------------------------------------ keywords of any value


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_integer(value: object) -> bool:
    """To JSON Schema, 8.0 is an integer."""
    return (isinstance(value, int) and not isinstance(value, bool)) or (isinstance(value, float) and value.is_integer())


TYPES: Mapping[str, Predicate] = {
    "object": lambda value: isinstance(value, dict),
    "array": lambda value: isinstance(value, list),
    "string": lambda value: isinstance(value, str),
    "boolean": lambda value: isinstance(value, bool),
    "null": lambda value: value is None,
    "number": _is_number,
    "integer": _is_integer,
}


def _type(names: str | list[str]) -> Predicate:
    if isinstance(names, str):
        return TYPES[names]
    kinds = [TYPES[name] for name in names]
    return lambda value: any(is_kind(value) for is_kind in kinds)


def _member(values: Sequence[object]) -> Predicate:
    """Compare with strings, true, false and null; Python's equality takes 1 for true, so numbers are refused."""
    if any(_is_number(value) or isinstance(value, dict | list) for value in values):
        raise NotImplementedError(f"`enum` and `const` are supported for strings and booleans only: {values}")
    allowed = frozenset(values)
    return lambda value: isinstance(value, str | bool | None) and value in allowed


def _condition(schema: Schema) -> Predicate:
    condition = compile_schema(schema["if"])
    then, otherwise = compile_schema(schema.get("then", True)), compile_schema(schema.get("else", True))
    return lambda value: then(value) if condition(value) else otherwise(value)


# ------------------------------------------------------------ keywords of one type; other types pass


def _object(schema: Schema) -> Predicate:
    known = {name: compile_schema(inner) for name, inner in schema.get("properties", {}).items()}
    other = compile_schema(schema.get("additionalProperties", True))
    name_is_valid = compile_schema(schema.get("propertyNames", True))
    check_names = "propertyNames" in schema
    required = tuple(schema.get("required", ()))
    least, most = schema.get("minProperties", 0), schema.get("maxProperties", float("inf"))

    def accepts(value: Any) -> bool:  # noqa: ANN401 (any JSON value)
        if not isinstance(value, dict):
            return True
        if not least <= len(value) <= most:
            return False
        for name in required:
            if name not in value:
                return False
        for name, inner in value.items():
            if check_names and not name_is_valid(name):
                return False
            if not known.get(name, other)(inner):
                return False
        return True

    return accepts


def _list(schema: Schema) -> Predicate:
    item_is_valid = compile_schema(schema.get("items", True))
    least, most = schema.get("minItems", 0), schema.get("maxItems", float("inf"))
    unique = schema.get("uniqueItems", False)

    def accepts(value: Any) -> bool:  # noqa: ANN401 (any JSON value)
        if not isinstance(value, list):
            return True
        if not least <= len(value) <= most:
            return False
        return all(item_is_valid(item) for item in value) and (not unique or all_different(value))

    return accepts


def _string(schema: Schema) -> Predicate:
    pattern = schema.get("pattern")
    search = compiled_pattern(pattern).search if pattern is not None else None
    least, most = schema.get("minLength", 0), schema.get("maxLength", float("inf"))

    def accepts(value: Any) -> bool:  # noqa: ANN401 (any JSON value)
        if not isinstance(value, str):
            return True
        return least <= len(value) <= most and (search is None or search(value) is not None)

    return accepts


def _number(schema: Schema) -> Predicate:
    least, most = schema.get("minimum", float("-inf")), schema.get("maximum", float("inf"))
    above = schema.get("exclusiveMinimum", float("-inf"))

    def accepts(value: Any) -> bool:  # noqa: ANN401 (any JSON value)
        return not _is_number(value) or bool(least <= value <= most and value > above)

    return accepts
