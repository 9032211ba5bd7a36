# SPDX-License-Identifier: Apache-2.0
"""From a schema's verdict to a sentence: what was found, what is allowed, and what was meant."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from jsonschema.exceptions import ValidationError

from reconciler.load.problems import JsonPath, did_you_mean, listed
from reconciler.load.text import KEY

TYPE_WORDS = {
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "array": "a list",
    "object": "a mapping",
    "null": "nothing",
}
LONGEST_SHOWN = 60


@dataclass(frozen=True, slots=True)
class Finding:
    """A mistake inside one document, not yet placed in a file."""

    at: JsonPath  # what it is about
    place: JsonPath  # where to point at, which may be a key or the mapping around it
    message: str
    hint: str = ""


def explain(error: ValidationError) -> Iterator[Finding]:
    """Say in words what a schema has against a document."""
    at: JsonPath = tuple(error.absolute_path)
    match error.validator:
        case "additionalProperties":
            yield from _unknown_keys(error, at)
        case "required":
            yield from _missing_keys(error, at)
        case "oneOf" | "anyOf" | "minProperties" | "maxProperties":
            yield Finding(at, (*at, KEY), *_choice(error))
        case _ if "propertyNames" in error.absolute_schema_path:
            inner = (*at, str(error.instance))
            yield Finding(inner, (*inner, KEY), f"the key {found(error.instance)} is not allowed", _description(error))
        case None:  # the schema `false`: this key does not go with the others
            yield Finding(at, (*at, KEY), f"`{at[-1]}` has no place here", "leave it out")
        case _:
            yield Finding(at, at, *_value(error))


def found(value: object) -> str:
    """Name a value as the author wrote it."""
    match value:
        case None:
            return "nothing"
        case bool():
            return f"`{str(value).lower()}`"
        case int() | float():
            return f"the number {value}"
        case str():
            short = value if len(value) <= LONGEST_SHOWN else f"{value[:LONGEST_SHOWN]}..."
            return f"`{short}`" if short.isprintable() else repr(short)
        case list():
            return "a list"
        case _:
            return "a mapping"


def _unknown_keys(error: ValidationError, at: JsonPath) -> Iterator[Finding]:
    instance, known = _parts(error)
    for key in instance:
        if key not in known:
            allowed = f"allowed here: {listed(known)}" if known else "nothing is allowed here"
            suggestion = did_you_mean(key, [word for word in known if word not in instance])
            yield Finding((*at, key), (*at, key, KEY), f"the field {found(key)} is unknown; {allowed}", suggestion)


def _missing_keys(error: ValidationError, at: JsonPath) -> Iterator[Finding]:
    instance, known = _parts(error)
    name = re.match(r"'(.*)' is a required property", error.message)  # one error for each missing key
    if name:
        about = known.get(name[1], {}).get("description", "")
        yield Finding(at, (*at, KEY), f"the field `{name[1]}` is missing", about)


def _choice(error: ValidationError) -> tuple[str, str]:
    instance, known = _parts(error)
    if error.validator in {"oneOf", "anyOf"}:
        names = [word for branch in error.validator_value for word in branch["required"]]
    else:
        names = list(known)
    given = [name for name in names if name in instance]
    several = error.validator == "anyOf" or ("minProperties" in error.schema and "maxProperties" not in error.schema)
    if not names:  # a mapping with free keys is too large
        return f"{len(instance)} entries; at most {error.validator_value} are allowed", ""
    wanted = f"give {'at least' if several else 'exactly'} one of {listed(names)}"
    return f"{wanted}; found {listed(given) if given else 'none of them'}", ""


def _value(error: ValidationError) -> tuple[str, str]:
    value, limit = error.instance, error.validator_value
    match error.validator:
        case "type":
            quote = isinstance(value, int | float) and limit == "string"
            return f"found {found(value)} where {TYPE_WORDS[limit]} is due", "write it in quotes" if quote else ""
        case "enum":
            return f"{found(value)} is not allowed; one of {listed(limit)}", did_you_mean(str(value), limit)
        case "const":
            return f"{found(value)} is not allowed; only `{limit}` is", did_you_mean(str(value), [limit])
        case "pattern":
            return f"{found(value)} does not fit `{limit}`", _repaired(str(value), limit) or _description(error)
        case "minimum" | "exclusiveMinimum":
            return f"{found(value)} is too small; {_bound(error)} {limit}", ""
        case "maximum":
            return f"{found(value)} is too large; at most {limit}", ""
        case "minLength" | "minItems":
            return f"{'the list' if isinstance(value, list) else 'the text'} is empty", "leave it out or fill it"
        case "maxLength" | "maxItems":
            unit = "items" if isinstance(value, list) else "characters"
            return f"{len(value)} {unit}; at most {limit} are allowed", ""
        case "uniqueItems":
            return "an item stands twice in the list", "keep one of the two"
        case _:
            return error.message, _description(error)


def _bound(error: ValidationError) -> str:
    return "more than" if error.validator == "exclusiveMinimum" else "at least"


def _repaired(value: str, pattern: str) -> str:
    """Suggest a name that would do, where the usual slips explain the mistake."""
    slug = re.sub(r"[^a-z0-9]+", "-", value.lower()).strip("-")
    fits = slug and slug != value and "A-Z" not in pattern and re.search(pattern, slug)
    return f"did you mean `{slug}`?" if fits else ""


def _parts(error: ValidationError) -> tuple[dict[str, Any], dict[str, Any]]:
    schema: dict[str, Any] = error.schema if isinstance(error.schema, dict) else {}
    return error.instance, schema.get("properties", {})


def _description(error: ValidationError) -> str:
    return str(error.schema.get("description", "")) if isinstance(error.schema, dict) else ""
