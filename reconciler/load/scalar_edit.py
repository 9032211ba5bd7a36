# SPDX-License-Identifier: Apache-2.0
"""Sets single values in a YAML file and keeps every other byte: comments, order, line endings, quotes.

A YAML library that rewrites the whole file would change parts that its author never touched. This module
parses the file to find the position, edits the text there, and parses the result again to verify it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from reconciler.errors import Invalid

LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
Scalar = str | int | float
FieldPath = tuple[str, ...]  # from the document inwards: ("spec", "model", "version")


class NotEditable(Invalid):
    """The value cannot be set without changing something else in the document."""

    reason = "NotEditable"


def defines(data: bytes, kind: str, name: str) -> bool:
    """Return whether a file contains the document of this kind and name."""
    return any(_is(document, kind, name) for document in yaml.load_all(data.decode("utf-8-sig"), LOADER))


def with_scalars(data: bytes, kind: str, name: str, values: Mapping[FieldPath, Scalar | None]) -> bytes:
    """Return the file with these values set in one document. None removes a field, if it is there."""
    for field, value in values.items():
        data = _with_scalar(data, kind, name, field, value)
    return data


def _with_scalar(data: bytes, kind: str, name: str, field: FieldPath, value: Scalar | None) -> bytes:
    text = data.decode("utf-8-sig")
    before = list(yaml.load_all(text, LOADER))
    at = next((number for number, document in enumerate(before) if _is(document, kind, name)), None)
    if at is None or not before[at]["spec"]:
        raise NotEditable(f"this file has no {kind} {name} with a non-empty spec")
    if not _set(before[at], field, value):
        return data
    document = list(yaml.compose_all(text, LOADER))[at]
    edited = _removed(text, document, field) if value is None else _edited(text, document, field, value)
    try:
        after = None if edited is None else list(yaml.load_all(edited, LOADER))
    except yaml.YAMLError:
        after = None
    if edited is None or after != before:
        raise NotEditable(f"{name}: cannot set {'.'.join(field)} without changing the rest of the document")
    return data[: len(data) - len(text.encode())] + edited.encode()


def _is(document: object, kind: str, name: str) -> bool:
    match document:
        case {"kind": found_kind, "metadata": {"name": found}, "spec": {}}:
            return bool((found_kind, found) == (kind, name))
        case _:
            return False


def _set(document: dict[str, Any], field: FieldPath, value: Scalar | None) -> bool:
    """Set a value in a parsed document. Return whether that changes anything."""
    around = [document]
    for key in field[:-1]:
        if value is None and key not in around[-1]:
            return False
        inner = around[-1].get(key, {})
        if not isinstance(inner, dict):
            raise NotEditable(f"{key} is not a mapping")
        around[-1][key] = dict(inner)  # an alias elsewhere must keep its value
        around.append(around[-1][key])
    present, last = around[-1], field[-1]
    if value is not None:
        # 1 and 1.0 are equal, but not the same text to a reader.
        changes = last not in present or (type(present[last]), present[last]) != (type(value), value)
        present[last] = value
        return changes
    if last not in present:
        return False
    del present[last]
    for outer, key in zip(reversed(around[:-1]), reversed(field[:-1]), strict=True):
        if not outer[key]:
            del outer[key]  # what is left empty goes too
    return True


def _edited(text: str, document: Any, field: FieldPath, value: Scalar) -> str | None:  # noqa: ANN401 - the nodes of yaml are untyped
    """Replace the current value, or append what is missing as the last entry of the innermost mapping."""
    node = document
    for depth, key in enumerate(field):
        inner = _member(node, key)
        if inner is None:
            return _appended(text, node, field[depth:], value)
        node = inner
    if not isinstance(node, yaml.ScalarNode):
        return None
    return text[: node.start_mark.index] + _written(value, node.style) + text[node.end_mark.index :]


def _appended(text: str, mapping: Any, missing: Sequence[str], value: Scalar) -> str | None:  # noqa: ANN401 - as above
    if not isinstance(mapping, yaml.MappingNode) or not mapping.value:
        return None
    entry = _written(value, '"')
    for key in reversed(missing[1:]):
        entry = f"{{{key}: {entry}}}"
    entry = f"{missing[0]}: {entry}"
    if mapping.flow_style:
        last = mapping.value[-1][1]
        return f"{text[: last.end_mark.index]}, {entry}{text[last.end_mark.index :]}"
    indent = " " * mapping.value[0][0].start_mark.column
    end = _end_of_line(text, _end(mapping))
    line_end = "\r\n" if text[end - 1 : end + 1] == "\r\n" else "\n"
    at = end - 1 if line_end == "\r\n" else end  # before the line ending, which the last line may lack
    return f"{text[:at]}{line_end}{indent}{entry}{text[at:]}"


def _removed(text: str, document: Any, field: FieldPath) -> str | None:  # noqa: ANN401 - as above
    """Remove an entry; the mapping around it goes too if it would be left empty."""
    node, around = document, []
    for key in field:
        around.append((node, key))
        node = _member(node, key)
    while len(around) > 1 and len(around[-1][0].value) == 1:
        around.pop()
    mapping, name = around[-1]
    return _without(text, mapping, name)


def _without(text: str, mapping: Any, name: str) -> str | None:  # noqa: ANN401 - as above
    position = next(index for index, (key, _) in enumerate(mapping.value) if key.value == name)
    key, value = mapping.value[position]
    if mapping.flow_style:
        if position > 0:
            return text[: mapping.value[position - 1][1].end_mark.index] + text[value.end_mark.index :]
        following = mapping.value[position + 1 :]
        return None if not following else text[: key.start_mark.index] + text[following[0][0].start_mark.index :]
    start = key.start_mark.index - key.start_mark.column
    return text[:start] + text[_end_of_line(text, _end(value)) + 1 :]


def _written(value: Scalar, style: str | None) -> str:
    """Return a value as YAML. Text is always quoted, since plain text may read as a number to some parsers."""
    single = isinstance(value, str) and style == "'" and "'" not in value
    return f"'{value}'" if single else json.dumps(value)


def _member(mapping: Any, name: str) -> Any:  # noqa: ANN401 - as above
    if not isinstance(mapping, yaml.MappingNode):
        return None
    return next((value for key, value in mapping.value if key.value == name), None)


def _end(node: Any) -> int:  # noqa: ANN401 - as above
    """Return where the last scalar of a node ends; a block mapping itself extends to the next node."""
    while isinstance(node, yaml.CollectionNode) and not node.flow_style and node.value:
        last = node.value[-1]
        node = last[1] if isinstance(last, tuple) else last
    index: int = node.end_mark.index
    return index


def _end_of_line(text: str, index: int) -> int:
    return f"{text}\n".index("\n", index)
