# SPDX-License-Identifier: Apache-2.0
"""Sets the public key of a device in a YAML file and keeps every other byte: comments, order, line endings.

A YAML library that rewrites the whole file would change parts that its author never touched. This module
parses the file to find the position, edits the text there, and parses the result again to verify it.
"""

from __future__ import annotations

from typing import Any

import yaml

from reconciler.errors import Invalid

LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
FIELD = "publicKey"


class NotEditable(Invalid):
    """The key cannot be set without changing something else in the document."""

    reason = "NotEditable"


def defines_device(data: bytes, device: str) -> bool:
    """Return whether a file contains the document of a device."""
    return any(_is_device(document, device) for document in yaml.load_all(data.decode("utf-8-sig"), LOADER))


def with_public_key(data: bytes, device: str, public_key: str) -> bytes:
    """Return the file with a device's public key set."""
    text = data.decode("utf-8-sig")
    before = list(yaml.load_all(text, LOADER))
    at = next((number for number, document in enumerate(before) if _is_device(document, device)), None)
    if at is None or not before[at]["spec"]:
        raise NotEditable(f"this file has no device {device} with a non-empty spec")
    spec = _member(list(yaml.compose_all(text, LOADER))[at], "spec")
    edited = _edited(text, spec, f'"{public_key}"')
    before[at]["spec"][FIELD] = public_key
    try:
        after = list(yaml.load_all(edited, LOADER))
    except yaml.YAMLError as error:
        raise NotEditable(f"{device}: cannot add {FIELD} without changing the rest of the document") from error
    if after != before:
        raise NotEditable(f"{device}: cannot add {FIELD} without changing the rest of the document")
    return data[: len(data) - len(text.encode())] + edited.encode()


def _is_device(document: object, name: str) -> bool:
    match document:
        case {"kind": "Device", "metadata": {"name": found}, "spec": {}}:
            return bool(found == name)
        case _:
            return False


def _edited(text: str, spec: Any, value: str) -> str:  # noqa: ANN401 - the nodes of yaml are untyped
    """Replace the current value, or append the field as the last entry of the mapping."""
    present = _member(spec, FIELD)
    if present is not None:
        return text[: present.start_mark.index] + value + text[present.end_mark.index :]
    if spec.flow_style:
        last = spec.value[-1][1]
        return f"{text[: last.end_mark.index]}, {FIELD}: {value}{text[last.end_mark.index :]}"
    indent = " " * spec.value[0][0].start_mark.column
    end = _end_of_line(text, _end(spec))
    line_end = "\r\n" if text[end - 1 : end + 1] == "\r\n" else "\n"
    at = end - 1 if line_end == "\r\n" else end  # before the line ending, which the last line may lack
    return f"{text[:at]}{line_end}{indent}{FIELD}: {value}{text[at:]}"


def _member(mapping: Any, name: str) -> Any:  # noqa: ANN401 - as above
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
