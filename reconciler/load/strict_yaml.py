# SPDX-License-Identifier: Apache-2.0
"""Parses a strict subset of YAML that every parser reads in the same way.

libyaml scans; this module composes the events. At that level it can detect and name everything that a
fleet repository must not contain: duplicate keys, tags, aliases, deep nesting, and plain scalars that
YAML 1.1 and YAML 1.2 read differently (docs/adr/0010). It creates no objects except dict, list, str,
int, float, bool and None.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

import yaml

from reconciler.validation.problems import KEY, JsonPath, Problem, Rule, json_path

MAX_FILE_BYTES = 1024 * 1024  # a few thousand devices; bounds the time that one hostile file can take
MAX_DEPTH = 24
MAX_PROBLEMS = 100  # per file; a longer list helps no author, and a hostile file must not fill the disk
MAX_NUMBER_CHARS = 32
MAX_KEY_CHARS = 256  # each message about a key repeats it

BOM = b"\xef\xbb\xbf"
INVALID_CHARACTER = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
LINE_BREAK = re.compile("\r\n|[\n\r\x85\u2028\u2029]")
TAB_INDENT = re.compile(r"^[ ]*\t", re.MULTILINE)

KEYWORDS: dict[str, bool | None] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
YAML_1_1_BOOLEANS = frozenset(
    form for word in ("y", "yes", "n", "no", "on", "off") for form in (word, word.capitalize(), word.upper())
)
NUMERIC_START = frozenset("+-.0123456789<=")
INTEGER = re.compile(r"[-+]?(0|[1-9][0-9]*)|0x[0-9a-fA-F]+")
FLOAT = re.compile(r"[-+]?([0-9]+\.[0-9]*|\.[0-9]+)([eE][-+][0-9]{1,2})?")
NOT_FINITE = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
# Scalars that one version of YAML reads as a number, a date or a merge key and the other as a string.
AMBIGUOUS = re.compile(
    r"[-+]?0[0-9_]+|0o[0-7]+|[-+]?0b[01_]+|[-+]?0x[0-9a-fA-F_]+|[-+]?[0-9][0-9_]*"  # octal, binary, underscores
    r"|[-+]?[0-9][0-9_]*(\.[0-9_]*)?[eE][-+]?[0-9]+|[-+]?\.[0-9_]+([eE][-+]?[0-9]+)?|[-+]?[0-9][0-9_]*\.[0-9_]*"
    r"|[-+]?[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?"  # base 60
    r"|[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}([Tt \t].*)?"  # dates
    r"|=|<<"
)

Plain = dict[str, Any] | list[Any] | str | int | float | bool | None
Event = Any  # an event of the yaml package, whose stubs lack `tag` and non-optional marks
Position = tuple[int, int]  # line and column, from 1


@dataclass(frozen=True, slots=True)
class YamlDocument:
    """One YAML document and where it starts."""

    value: Plain
    line: int
    column: int


@dataclass(slots=True)
class ParsedYaml:
    """The documents of a file. If `complete` is False, parsing stopped before the end."""

    documents: list[YamlDocument] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    complete: bool = True


class _StopReading(Exception):
    """Raised inside this module when the rest of a file cannot be interpreted."""


def parse_yaml(data: bytes) -> ParsedYaml:
    """Return the documents of a file, and all problems that need no schema to detect.

    The problems have no path: the same blob may appear under several paths.
    """
    return _Composer(data).parsed


def positions(data: bytes) -> list[dict[JsonPath, Position]]:
    """Return the position of each value, by its path, for each document of a file.

    This takes longer than parsing, so it is done only for files with problems. The position of a key
    itself is stored under its path with `KEY` appended.
    """
    return _Composer(data, locate=True).positions


class _Composer:
    def __init__(self, data: bytes, *, locate: bool = False) -> None:
        self.parsed = ParsedYaml()
        self.positions: list[dict[JsonPath, Position]] = []
        self.locate = locate
        try:
            self._read(data)
        except _StopReading:
            self.parsed.complete = False

    def _read(self, data: bytes) -> None:
        text = self._decode(data)
        if text is None:
            raise _StopReading
        try:
            self._compose(text)
        except yaml.MarkedYAMLError as error:
            self._syntax(error, text)
            raise _StopReading from None
        except yaml.YAMLError:  # raised by the reader for a character that YAML does not allow
            found = INVALID_CHARACTER.search(text)
            at = found.start() if found else 0
            message = f"the character {text[at : at + 1]!r} is not allowed in YAML"
            self._report(Rule.INVALID_YAML, _line_and_column(text, at), (), message)
            raise _StopReading from None

    def _decode(self, data: bytes) -> str | None:
        if len(data) > MAX_FILE_BYTES:
            message = f"the file has {len(data)} bytes; the maximum is {MAX_FILE_BYTES}"
            self._report(Rule.TOO_LARGE, (0, 0), (), message)
            return None
        body = data.removeprefix(BOM)  # editors on Windows write one
        try:
            return body.decode("utf-8")
        except UnicodeDecodeError as error:
            position = _line_and_column(body[: error.start].decode("utf-8"), error.start)
            found = f"found the byte 0x{body[error.start]:02x}"
            self._report(Rule.NOT_UTF8, position, (), f"invalid UTF-8: {found}", "save the file as UTF-8")
            return None

    def _syntax(self, error: yaml.MarkedYAMLError, text: str) -> None:
        mark = error.problem_mark or error.context_mark
        position = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        message = error.problem or error.context or "cannot be parsed"
        lines = LINE_BREAK.split(text)
        position = (min(position[0], len(lines)), position[1])  # libyaml may point past the end
        line = lines[position[0] - 1]
        if TAB_INDENT.match(line) or "'\\t'" in message or "tab" in message:
            self._report(Rule.TAB_INDENT, position, (), "tabs are not allowed as indentation", "indent with spaces")
        else:
            self._report(Rule.INVALID_YAML, position, (), f"invalid YAML: {message}")

    def _compose(self, text: str) -> None:
        loader = yaml.CBaseLoader(text)
        try:
            while loader.check_event():
                event = loader.get_event()
                if isinstance(event, yaml.DocumentStartEvent):
                    self._document(loader, event)
        finally:
            loader.dispose()

    def _document(self, loader: yaml.CBaseLoader, start: yaml.DocumentStartEvent) -> None:
        if start.version or start.tags:
            self._report(
                Rule.DIRECTIVE, _position(start), (), "YAML directives (`%YAML`, `%TAG`) are not allowed", "remove it"
            )
        first = loader.get_event()
        if self.locate:
            self.positions.append({})
        value = self._node(loader, first, ())
        if value is not None:  # an empty document between two `---` is allowed
            self.parsed.documents.append(YamlDocument(value, *_position(first)))
        elif self.locate:
            self.positions.pop()

    def _node(self, loader: yaml.CBaseLoader, event: Event, at: JsonPath) -> Plain:
        if self.locate:
            self.positions[-1][at] = _position(event)
        if isinstance(event, yaml.AliasEvent):
            self._report(
                Rule.ALIAS,
                _position(event),
                at,
                f"YAML aliases (`*{event.anchor}`) are not allowed",
                "repeat the value",
            )
            return None
        self._refuse_properties(event, at)
        if isinstance(event, yaml.ScalarEvent):
            return self._scalar(event, at)
        if len(at) >= MAX_DEPTH:
            self._report(Rule.TOO_DEEP, _position(event), at[:4], f"nested more than {MAX_DEPTH} levels deep")
            raise _StopReading
        if isinstance(event, yaml.MappingStartEvent):
            return self._mapping(loader, at)
        return self._sequence(loader, at)

    def _refuse_properties(self, event: Event, at: JsonPath) -> None:
        if event.anchor is not None:
            hint = "repeat the value where it is needed"
            self._report(Rule.ALIAS, _position(event), at, f"YAML anchors (`&{event.anchor}`) are not allowed", hint)
        if event.tag is not None:
            hint = "remove the tag; quote a value to make it a string"
            self._report(Rule.TAG, _position(event), at, f"YAML tags (`{event.tag}`) are not allowed", hint)

    def _sequence(self, loader: yaml.CBaseLoader, at: JsonPath) -> Plain:
        items: list[Plain] = []
        event = loader.get_event()
        while not isinstance(event, yaml.SequenceEndEvent):
            items.append(self._node(loader, event, (*at, len(items))))
            event = loader.get_event()
        return items

    def _mapping(self, loader: yaml.CBaseLoader, at: JsonPath) -> Plain:
        values: dict[str, Any] = {}
        event = loader.get_event()
        while not isinstance(event, yaml.MappingEndEvent):
            key = self._key(loader, event, at)
            if key is None:
                self._node(loader, loader.get_event(), (*at, "?"))
            else:
                inner = (*at, key)
                if key in values:
                    message = f"duplicate key `{key}`"
                    self._report(Rule.DUPLICATE_KEY, _position(event), inner, message, "remove one of the two")
                if self.locate:
                    self.positions[-1][*inner, KEY] = _position(event)
                values[key] = self._node(loader, loader.get_event(), inner)
            event = loader.get_event()
        return values

    def _key(self, loader: yaml.CBaseLoader, event: Event, at: JsonPath) -> str | None:
        if not isinstance(event, yaml.ScalarEvent):
            self._report(
                Rule.NON_STRING_KEY,
                _position(event),
                at,
                "a mapping key must be a string",
                "a list or a mapping is not allowed as a key",
            )
            self._node(loader, event, (*at, "?"))
            return None
        self._refuse_properties(event, at)
        if len(event.value) > MAX_KEY_CHARS:
            message = f"the key has {len(event.value)} characters; the maximum is {MAX_KEY_CHARS}"
            self._report(Rule.TOO_LARGE, _position(event), at, message)
            return None
        key = self._scalar(event, at)
        if isinstance(key, str):
            return key
        message = f"the key `{event.value}` is not a string"
        self._report(Rule.NON_STRING_KEY, _position(event), at, message, f'put it in quotes: "{event.value}"')
        return None

    def _scalar(self, event: Event, at: JsonPath) -> Plain:
        text: str = event.value
        if event.style:  # quoted, or a block scalar: always a string
            return text
        if text in KEYWORDS:
            return KEYWORDS[text]
        if text in YAML_1_1_BOOLEANS:
            hint = f'write "{text}" for the string, or true or false'
            message = f"`{text}` is a boolean to some YAML parsers and a string to others"
            self._report(Rule.AMBIGUOUS_SCALAR, _position(event), at, message, hint)
            return text
        if text[0] not in NUMERIC_START:
            return text
        return self._number(event, at, text)

    def _number(self, event: Event, at: JsonPath, text: str) -> Plain:
        if len(text) <= MAX_NUMBER_CHARS:
            if INTEGER.fullmatch(text):
                return int(text, 16) if text.startswith("0x") else int(text)
            if FLOAT.fullmatch(text):
                return float(text)  # always finite: the pattern allows only two digits of exponent
        if NOT_FINITE.fullmatch(text):
            self._report(
                Rule.NON_FINITE_NUMBER, _position(event), at, f"`{text}` is not a finite number", "use a finite number"
            )
        elif AMBIGUOUS.fullmatch(text):
            short = text if len(text) <= MAX_NUMBER_CHARS else f"{text[:MAX_NUMBER_CHARS]}..."
            message = f"`{short}` is a number, a date or a merge key to some YAML parsers and a string to others"
            self._report(Rule.AMBIGUOUS_SCALAR, _position(event), at, message, "put it in quotes if it is a string")
        return text

    def _report(self, rule: Rule, position: Position, at: JsonPath, message: str, hint: str = "") -> None:
        path = json_path(at) if at else ""
        self.parsed.problems.append(Problem("", *position, path, rule, message, hint))
        if len(self.parsed.problems) >= MAX_PROBLEMS and not self.locate:
            last = f"{MAX_PROBLEMS} problems found; the rest of the file was not read"
            self.parsed.problems.append(Problem("", *position, "", Rule.TOO_MANY_PROBLEMS, last))
            raise _StopReading


def _position(event: Event) -> Position:
    return (event.start_mark.line + 1, event.start_mark.column + 1)


def _line_and_column(text: str, at: int) -> Position:
    before = LINE_BREAK.split(text[:at])
    return (len(before), len(before[-1]) + 1)
