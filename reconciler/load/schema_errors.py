# SPDX-License-Identifier: Apache-2.0
"""From a schema's verdict to a sentence: what was found, what is allowed, and what was meant."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, cast

from jsonschema.exceptions import ValidationError

from reconciler.load.problems import JsonPath, Rule, did_you_mean, listed
from reconciler.load.schemas import ALLOWED
from reconciler.load.strict_yaml import KEY

TYPE_WORDS = {
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "array": "a list",
    "object": "a mapping",
    "null": "nothing",
}
WORDS = {
    "const": "{found} is not allowed; only `{limit}` is",
    "minimum": "{found} is too small; at least {limit}",
    "exclusiveMinimum": "{found} is too small; more than {limit}",
    "maximum": "{found} is too large; at most {limit}",
    "minLength": "the text is empty",
    "minItems": "the list is empty; leave it out or fill it",
    "maxLength": "the text has too many characters; at most {limit} are allowed",
    "maxItems": "the list has too many items; at most {limit} are allowed",
    "uniqueItems": "an item stands twice in the list",
}
LONGEST_SHOWN = 60


@dataclass(frozen=True, slots=True)
class SchemaError:
    """A mistake inside one document, not yet placed in a file."""

    at: JsonPath  # what it is about
    place: JsonPath  # where to point at, which may be a key or the mapping around it
    rule: Rule
    message: str
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Broken:
    """The rule of a schema that a value breaks."""

    rule: str  # the keyword
    limit: Any  # what the keyword says
    value: Any  # what was found
    schema: dict[str, Any]

    @property
    def known(self) -> dict[str, Any]:
        """The properties that the schema describes."""
        return cast("dict[str, Any]", self.schema.get("properties", {}))

    @property
    def description(self) -> str:
        """What the schema says of allowed values."""
        return str(self.schema.get(ALLOWED) or self.schema.get("description", ""))


def explain(error: ValidationError) -> Iterator[SchemaError]:
    """Say in words what a schema has against a document."""
    at: JsonPath = tuple(error.absolute_path)
    schema = error.schema if isinstance(error.schema, dict) else {}
    broken = Broken(str(error.validator), error.validator_value, error.instance, schema)
    match broken.rule:
        case "additionalProperties":
            yield from _unknown_keys(broken, at)
        case "required":
            yield from _missing_keys(broken, at, error.message)
        case "oneOf" | "anyOf" if not isinstance(broken.value, dict):
            return  # of the wrong type, which is told by itself
        case "oneOf" | "anyOf" | "minProperties" | "maxProperties":
            yield SchemaError(at, (*at, KEY), Rule.CHOICE, *_choice(broken))
        case _ if "propertyNames" in error.absolute_schema_path:
            inner = (*at, str(broken.value))
            said = f"the key {found(broken.value)} is not allowed"
            yield SchemaError(inner, (*inner, KEY), Rule.WRONG_VALUE, said, broken.description)
        case "not":  # only ever used for a field that does not go with the others
            for name in broken.limit["required"]:
                inner = (*at, name)
                yield SchemaError(inner, (*inner, KEY), Rule.CHOICE, f"`{name}` has no place here", "leave it out")
        case _:
            rule = Rule.WRONG_TYPE if broken.rule == "type" else Rule.WRONG_VALUE
            yield SchemaError(at, at, rule, *_value(broken))


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


def _unknown_keys(broken: Broken, at: JsonPath) -> Iterator[SchemaError]:
    for key in broken.value:
        if key not in broken.known:
            allowed = f"allowed here: {listed(broken.known)}" if broken.known else "nothing is allowed here"
            suggestion = did_you_mean(key, [word for word in broken.known if word not in broken.value])
            said = f"the field {found(key)} is unknown; {allowed}"
            yield SchemaError((*at, key), (*at, key, KEY), Rule.UNKNOWN_FIELD, said, suggestion)


def _missing_keys(broken: Broken, at: JsonPath, said: str) -> Iterator[SchemaError]:
    name = re.match(r"'(.*)' is a required property", said)  # there is one error for each missing key
    if name:
        about = broken.known.get(name[1], {}).get("description", "")
        yield SchemaError(at, (*at, KEY), Rule.MISSING_FIELD, f"the field `{name[1]}` is missing", about)


def _choice(broken: Broken) -> tuple[str, str]:
    """Explain that one of several fields, or so many of them, must be given."""
    if broken.rule in {"oneOf", "anyOf"}:
        names = [word for branch in broken.limit for word in branch["required"]]
    else:
        names = list(broken.known)
    if not names:  # a mapping with free keys is too large
        return f"{len(broken.value)} entries; at most {broken.limit} are allowed", ""
    given = [name for name in names if name in broken.value]
    several = broken.rule == "anyOf" or (broken.rule == "minProperties" and "maxProperties" not in broken.schema)
    wanted = f"give {'at least' if several else 'exactly'} one of {listed(names)}"
    return f"{wanted}; found {listed(given) if given else 'none of them'}", ""


def _value(broken: Broken) -> tuple[str, str]:
    """Explain a value that is not allowed; the words go by the keyword that says so."""
    words = WORDS.get(broken.rule)
    value, limit = broken.value, broken.limit
    if words is not None:
        return words.format(found=found(value), limit=limit), ""
    match broken.rule:
        case "type":
            quote = isinstance(value, int | float) and limit == "string"
            return f"found {found(value)} where {TYPE_WORDS[limit]} is due", "write it in quotes" if quote else ""
        case "enum":
            return f"{found(value)} is not allowed; one of {listed(limit)}", did_you_mean(str(value), limit)
        case _:
            return f"{found(value)} does not fit `{limit}`", _repaired(str(value), limit) or broken.description


def _repaired(value: str, pattern: str) -> str:
    """Suggest a name that would do, where the usual slips explain the mistake."""
    slug = re.sub(r"[^a-z0-9]+", "-", value.lower()).strip("-")
    fits = slug and slug != value and len(slug) <= LONGEST_SHOWN and "A-Z" not in pattern and re.search(pattern, slug)
    return f"did you mean `{slug}`?" if fits else ""
