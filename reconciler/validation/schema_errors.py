# SPDX-License-Identifier: Apache-2.0
"""Turns JSON Schema validation errors into sentences: what was found, what is allowed, and a suggestion."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from reconciler.validation.problems import KEY, JsonPath, Rule, did_you_mean, quoted_list

if TYPE_CHECKING:
    from jsonschema.exceptions import ValidationError

TYPE_NAMES = {
    "string": "a string",
    "integer": "an integer",
    "number": "a number",
    "boolean": "true or false",
    "array": "a list",
    "object": "a mapping",
    "null": "null",
}
MESSAGES = {
    "const": "{found} is not allowed; expected `{limit}`",
    "minimum": "{found} is too small; the minimum is {limit}",
    "exclusiveMinimum": "{found} is too small; it must be greater than {limit}",
    "maximum": "{found} is too large; the maximum is {limit}",
    "minLength": "the string must not be empty",
    "minItems": "the list must not be empty; omit the field instead",
    "maxLength": "the string is too long; the maximum is {limit} characters",
    "maxItems": "the list is too long; the maximum is {limit} items",
    "uniqueItems": "the list contains the same item twice",
}
MAX_SHOWN_CHARS = 60
ALLOWED = "x-allowed"  # keeps the description of an inlined definition next to that of the field
IN_WORDS = "patternErrorMessage"  # says what a pattern allows; editors show it as well


@dataclass(frozen=True, slots=True)
class DocumentProblem:
    """A problem in one document, before its position in the file is known."""

    at: JsonPath  # the value that the problem is about
    pointer: JsonPath  # the position to report, which may be a key or the mapping around the value
    rule: Rule
    message: str
    hint: str = ""


@dataclass(frozen=True, slots=True)
class FailedKeyword:
    """The JSON Schema keyword that a value violates."""

    name: str
    limit: Any  # the value of the keyword
    value: Any  # the value that was found
    schema: dict[str, Any]

    @property
    def known(self) -> dict[str, Any]:
        """The properties that the schema describes."""
        return cast("dict[str, Any]", self.schema.get("properties", {}))

    @property
    def description(self) -> str:
        """How the schema describes the allowed values."""
        return str(self.schema.get(ALLOWED) or self.schema.get("description", ""))

    @property
    def in_words(self) -> str:
        """What a pattern allows, as the end of a sentence; empty if another keyword failed."""
        return f"; {self.schema[IN_WORDS]}" if self.name == "pattern" and IN_WORDS in self.schema else ""


def explain(error: ValidationError) -> Iterator[DocumentProblem]:
    """Explain one validation error in the words of a document's author."""
    at: JsonPath = tuple(error.absolute_path)
    schema = error.schema if isinstance(error.schema, dict) else {}
    failed = FailedKeyword(str(error.validator), error.validator_value, error.instance, schema)
    match failed.name:
        case "additionalProperties":
            yield from _unknown_keys(failed, at)
        case "required":
            yield from _missing_keys(failed, at, error.message)
        case "oneOf" | "anyOf" if not isinstance(failed.value, dict):
            return  # the wrong type is reported by the `type` keyword
        case "oneOf" | "anyOf" | "minProperties" | "maxProperties":
            yield DocumentProblem(at, (*at, KEY), Rule.FIELD_CHOICE, *_choice(failed))
        case _ if "propertyNames" in error.absolute_schema_path:
            inner = (*at, str(failed.value))
            message = f"the key {describe(failed.value)} is not allowed{failed.in_words}"
            hint = "" if failed.in_words else failed.description
            yield DocumentProblem(inner, (*inner, KEY), Rule.WRONG_VALUE, message, hint)
        case "not":  # the schemas use it only for a field that excludes another
            for name in failed.limit["required"]:
                inner = (*at, name)
                yield DocumentProblem(
                    inner, (*inner, KEY), Rule.FIELD_CHOICE, f"`{name}` is not allowed here", "omit it"
                )
        case _:
            rule = Rule.WRONG_TYPE if failed.name == "type" else Rule.WRONG_VALUE
            yield DocumentProblem(at, at, rule, *_value(failed))


def describe(value: object) -> str:
    """Describe a value for a message, as the author wrote it."""
    match value:
        case None:
            return "null"
        case bool():
            return f"`{str(value).lower()}`"
        case int() | float():
            return f"the number {value}"
        case str():
            short = value if len(value) <= MAX_SHOWN_CHARS else f"{value[:MAX_SHOWN_CHARS]}..."
            return f"`{short}`" if short.isprintable() else repr(short)
        case list():
            return "a list"
        case _:
            return "a mapping"


def _unknown_keys(failed: FailedKeyword, at: JsonPath) -> Iterator[DocumentProblem]:
    for key in failed.value:
        if key not in failed.known:
            allowed = f"expected one of {quoted_list(failed.known)}" if failed.known else "no fields are allowed here"
            suggestion = did_you_mean(key, [word for word in failed.known if word not in failed.value])
            message = f"unknown field {describe(key)}; {allowed}"
            yield DocumentProblem((*at, key), (*at, key, KEY), Rule.UNKNOWN_FIELD, message, suggestion)


def _missing_keys(failed: FailedKeyword, at: JsonPath, library_message: str) -> Iterator[DocumentProblem]:
    name = re.match(r"'(.*)' is a required property", library_message)  # one error for each missing key
    if name:
        about = failed.known.get(name[1], {}).get("description", "")
        yield DocumentProblem(at, (*at, KEY), Rule.MISSING_FIELD, f"missing required field `{name[1]}`", about)


def _choice(failed: FailedKeyword) -> tuple[str, str]:
    """Explain how many of several fields must be set."""
    if failed.name in {"oneOf", "anyOf"}:
        names = [word for branch in failed.limit for word in branch["required"]]
    else:
        names = list(failed.known)
    if not names:  # a mapping with free keys has too many entries
        return f"{len(failed.value)} entries; the maximum is {failed.limit}", ""
    given = [name for name in names if name in failed.value]
    several = failed.name == "anyOf" or (failed.name == "minProperties" and "maxProperties" not in failed.schema)
    wanted = f"set {'at least' if several else 'exactly'} one of {quoted_list(names)}"
    return f"{wanted}; found {quoted_list(given) if given else 'none of them'}", ""


def _value(failed: FailedKeyword) -> tuple[str, str]:
    """Explain a value that is not allowed, by the keyword that it violates."""
    template = MESSAGES.get(failed.name)
    value, limit = failed.value, failed.limit
    if template is not None:
        return template.format(found=describe(value), limit=limit), ""
    match failed.name:
        case "type":
            quote = isinstance(value, int | float) and limit == "string"
            kinds = " or ".join(TYPE_NAMES[each] for each in (limit if isinstance(limit, list) else [limit]))
            return f"expected {kinds}, found {describe(value)}", "put it in quotes" if quote else ""
        case "enum":
            message = f"{describe(value)} is not allowed; expected one of {quoted_list(limit)}"
            return message, did_you_mean(str(value), limit)
        case _:
            return f"{describe(value)} is not allowed{failed.in_words}", _corrected_name(str(value), str(limit))


def _corrected_name(value: str, pattern: str) -> str:
    """Suggest a valid name if only case, spaces or punctuation are wrong."""
    slug = re.sub(r"[^a-z0-9]+", "-", value.lower()).strip("-")
    fits = slug and slug != value and len(slug) <= MAX_SHOWN_CHARS and "A-Z" not in pattern and re.search(pattern, slug)
    return f"did you mean `{slug}`?" if fits else ""
