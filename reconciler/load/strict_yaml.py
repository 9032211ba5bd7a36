# SPDX-License-Identifier: Apache-2.0
"""From bytes to plain documents: a strict reading of YAML that has one meaning for everyone.

libyaml does the scanning; this module composes its events, because that is where everything that a
fleet repository must not contain can be seen and named: duplicate keys, tags, aliases, deep nesting,
and plain words that YAML 1.1 and YAML 1.2 read differently (docs/adr/0010). Nothing here builds
any object but dict, list, str, int, float, bool and None.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

import yaml

from reconciler.load.problems import JsonPath, Problem, Rule, json_path

MAX_FILE_BYTES = 1024 * 1024  # some thousand devices; what bounds the time that one hostile file can take
MAX_DEPTH = 24
MAX_PROBLEMS = 100  # per file: nobody reads on, and a hostile file must not fill the disk
MAX_NUMBER_CHARS = 32
MAX_KEY_CHARS = 256  # a key is repeated in every message about it

BOM = b"\xef\xbb\xbf"
NOT_YAML = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
LINE_BREAK = re.compile("\r\n|[\n\r\x85\u2028\u2029]")
TAB_INDENT = re.compile(r"^[ ]*\t", re.MULTILINE)

WORDS: dict[str, bool | None] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
TWO_MEANINGS = frozenset(
    form for word in ("y", "yes", "n", "no", "on", "off") for form in (word, word.capitalize(), word.upper())
)
NUMERIC_START = frozenset("+-.0123456789<=")
INTEGER = re.compile(r"[-+]?(0|[1-9][0-9]*)|0x[0-9a-fA-F]+")
FLOAT = re.compile(r"[-+]?([0-9]+\.[0-9]*|\.[0-9]+)([eE][-+][0-9]{1,2})?")
NOT_FINITE = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
# What one of the two versions takes for a number, a date or a merge key and the other for text.
DISPUTED = re.compile(
    r"[-+]?0[0-9_]+|0o[0-7]+|[-+]?0b[01_]+|[-+]?0x[0-9a-fA-F_]+|[-+]?[0-9][0-9_]*"  # octal, binary, underscores
    r"|[-+]?[0-9][0-9_]*(\.[0-9_]*)?[eE][-+]?[0-9]+|[-+]?\.[0-9_]+([eE][-+]?[0-9]+)?|[-+]?[0-9][0-9_]*\.[0-9_]*"
    r"|[-+]?[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?"  # base 60
    r"|[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}([Tt \t].*)?"  # dates
    r"|=|<<"
)

Plain = dict[str, Any] | list[Any] | str | int | float | bool | None
Event = Any  # one of yaml's events; its stubs know neither `tag` nor that marks are there
Place = tuple[int, int]  # line and column, from 1


@dataclass(frozen=True, slots=True)
class Document:
    """One YAML document, and where it starts."""

    value: Plain
    line: int
    column: int


@dataclass(slots=True)
class ParsedYaml:
    """What a file turned out to hold. With `whole` false, reading stopped before its end."""

    documents: list[Document] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    whole: bool = True


class _StopReading(Exception):
    """Raised inside this module when the rest of a file can't be trusted to mean anything."""


def parse_yaml(data: bytes) -> ParsedYaml:
    """Return every document of a file and every mistake that can be seen without a schema.

    The problems name no path: one blob may stand under several.
    """
    return _Composer(data).reading


def places(data: bytes) -> list[dict[JsonPath, Place]]:
    """Say for each document where each of its values stands.

    This costs more than reading, so it is only done for files that have something to complain about.
    A key's own place is under its path with `KEY` appended.
    """
    return _Composer(data, locate=True).places


KEY = -1  # no item of a list has this index


class _Composer:
    def __init__(self, data: bytes, *, locate: bool = False) -> None:
        self.reading = ParsedYaml()
        self.places: list[dict[JsonPath, Place]] = []
        self.locate = locate
        try:
            self._read(data)
        except _StopReading:
            self.reading.whole = False

    def _read(self, data: bytes) -> None:
        text = self._decode(data)
        if text is None:
            raise _StopReading
        try:
            self._compose(text)
        except yaml.MarkedYAMLError as error:
            self._syntax(error, text)
            raise _StopReading from None
        except yaml.YAMLError:  # the reader's own: a character that YAML does not allow
            found = NOT_YAML.search(text)
            at = found.start() if found else 0
            said = f"the character {text[at : at + 1]!r} is not allowed in YAML"
            self._complain(Rule.NOT_YAML, _line_and_column(text, at), (), said)
            raise _StopReading from None

    def _decode(self, data: bytes) -> str | None:
        if len(data) > MAX_FILE_BYTES:
            said = f"the file has {len(data)} bytes; at most {MAX_FILE_BYTES} are read"
            self._complain(Rule.TOO_LARGE, (0, 0), (), said)
            return None
        body = data.removeprefix(BOM)  # editors on Windows write one; it carries no meaning
        try:
            return body.decode("utf-8")
        except UnicodeDecodeError as error:
            place = _line_and_column(body[: error.start].decode("utf-8"), error.start)
            found = f"found the byte 0x{body[error.start]:02x}"
            self._complain(Rule.NOT_UTF8, place, (), f"not UTF-8: {found}", "save the file as UTF-8")
            return None

    def _syntax(self, error: yaml.MarkedYAMLError, text: str) -> None:
        mark = error.problem_mark or error.context_mark
        place = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        said = error.problem or error.context or "it can't be read"
        lines = LINE_BREAK.split(text)
        place = (min(place[0], len(lines)), place[1])  # libyaml may point past the end
        line = lines[place[0] - 1]
        if TAB_INDENT.match(line) or "'\\t'" in said or "tab" in said:
            self._complain(Rule.TAB, place, (), "a tab where YAML wants spaces", "indent with spaces")
        else:
            self._complain(Rule.NOT_YAML, place, (), f"not YAML: {said}")

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
            self._complain(Rule.DIRECTIVE, _place(start), (), "a YAML directive (`%YAML`, `%TAG`)", "leave it out")
        first = loader.get_event()
        if self.locate:
            self.places.append({})
        value = self._node(loader, first, ())
        if value is not None:  # nothing between two `---` is not a mistake
            self.reading.documents.append(Document(value, *_place(first)))
        elif self.locate:
            self.places.pop()

    def _node(self, loader: yaml.CBaseLoader, event: Event, at: JsonPath) -> Plain:
        if self.locate:
            self.places[-1][at] = _place(event)
        if isinstance(event, yaml.AliasEvent):
            self._complain(Rule.ALIAS, _place(event), at, f"an alias (`*{event.anchor}`)", "write the value out")
            return None
        self._refuse_properties(event, at)
        if isinstance(event, yaml.ScalarEvent):
            return self._scalar(event, at)
        if len(at) >= MAX_DEPTH:
            self._complain(Rule.TOO_DEEP, _place(event), at[:4], f"nested deeper than {MAX_DEPTH} levels")
            raise _StopReading
        if isinstance(event, yaml.MappingStartEvent):
            return self._mapping(loader, at)
        return self._sequence(loader, at)

    def _refuse_properties(self, event: Event, at: JsonPath) -> None:
        if event.anchor is not None:
            hint = "write the value out where it is needed"
            self._complain(Rule.ALIAS, _place(event), at, f"an anchor (`&{event.anchor}`)", hint)
        if event.tag is not None:
            hint = "leave the tag out; quote a value to make it text"
            self._complain(Rule.TAG, _place(event), at, f"a YAML tag (`{event.tag}`)", hint)

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
                    said = f"the key `{key}` stands here twice"
                    self._complain(Rule.DUPLICATE_KEY, _place(event), inner, said, "keep one of the two")
                if self.locate:
                    self.places[-1][*inner, KEY] = _place(event)
                values[key] = self._node(loader, loader.get_event(), inner)
            event = loader.get_event()
        return values

    def _key(self, loader: yaml.CBaseLoader, event: Event, at: JsonPath) -> str | None:
        if not isinstance(event, yaml.ScalarEvent):
            self._complain(Rule.KEY_NOT_TEXT, _place(event), at, "a key that is no plain word", "a key is text")
            self._node(loader, event, (*at, "?"))
            return None
        self._refuse_properties(event, at)
        if len(event.value) > MAX_KEY_CHARS:
            said = f"a key of {len(event.value)} characters; at most {MAX_KEY_CHARS} are read"
            self._complain(Rule.TOO_LARGE, _place(event), at, said)
            return None
        key = self._scalar(event, at)
        if isinstance(key, str):
            return key
        said = f"the key `{event.value}` is no text"
        self._complain(Rule.KEY_NOT_TEXT, _place(event), at, said, f'write "{event.value}" in quotes')
        return None

    def _scalar(self, event: Event, at: JsonPath) -> Plain:
        text: str = event.value
        if event.style:  # quoted, or a block: text, whatever it looks like
            return text
        if text in WORDS:
            return WORDS[text]
        if text in TWO_MEANINGS:
            quote = f'write "{text}" in quotes for the text, or true or false'
            said = f"`{text}` is a truth value to some readers of YAML and text to others"
            self._complain(Rule.AMBIGUOUS, _place(event), at, said, quote)
            return text
        if text[0] not in NUMERIC_START:
            return text
        return self._number(event, at, text)

    def _number(self, event: Event, at: JsonPath, text: str) -> Plain:
        if len(text) <= MAX_NUMBER_CHARS:
            if INTEGER.fullmatch(text):
                return int(text, 16) if text.startswith("0x") else int(text)
            if FLOAT.fullmatch(text):
                return float(text)  # finite: no exponent of two digits overflows, see below
        if NOT_FINITE.fullmatch(text):
            self._complain(Rule.NOT_FINITE, _place(event), at, f"`{text}` is no finite number", "write a number")
        elif DISPUTED.fullmatch(text):
            short = text if len(text) <= MAX_NUMBER_CHARS else f"{text[:MAX_NUMBER_CHARS]}..."
            said = f"`{short}` is a number, a date or a merge to some readers of YAML and text to others"
            self._complain(Rule.AMBIGUOUS, _place(event), at, said, "write it in quotes if it is text")
        return text

    def _complain(self, rule: Rule, place: Place, at: JsonPath, message: str, hint: str = "") -> None:
        where = json_path(at) if at else ""
        self.reading.problems.append(Problem("", *place, where, rule, message, hint))
        if len(self.reading.problems) >= MAX_PROBLEMS and not self.locate:
            last = f"{MAX_PROBLEMS} problems; the rest of the file was not read"
            self.reading.problems.append(Problem("", *place, "", Rule.TOO_MANY, last))
            raise _StopReading


def _place(event: Event) -> Place:
    return (event.start_mark.line + 1, event.start_mark.column + 1)


def _line_and_column(text: str, at: int) -> Place:
    before = LINE_BREAK.split(text[:at])
    return (len(before), len(before[-1]) + 1)
