# SPDX-License-Identifier: Apache-2.0
"""HTML from values. Every string is escaped: only `Markup` passes unchanged, and only `element` creates it."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable

VOID = frozenset({"br", "col", "hr", "img", "input", "link", "meta"})
RAW = frozenset({"style"})  # browsers do not decode entities in these: their content must be our own
# Direction marks (U+202A ff., U+2066 ff.) and non-characters: a name must not change how its row looks.
_UNSEEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")


class Markup(str):
    """Text that is already HTML."""

    __slots__ = ()


Child = str | int | None | Iterable["Child"]  # None: nothing
Attribute = str | int | float | bool | None  # True: present; None and False: absent


def element(tag: str, /, *children: Child, **attributes: Attribute) -> Markup:
    """Make an element. `class_` is the attribute class, `aria_label` is aria-label."""
    opening = "".join(_attribute(name, value) for name, value in attributes.items())
    if tag in VOID:
        return Markup(f"<{tag}{opening}>")
    return Markup(f"<{tag}{opening}>{joined(children)}</{tag}>")


def joined(children: Iterable[Child]) -> Markup:
    """Concatenate children."""
    return Markup("".join(map(_child, children)))


def raw(tag: str, content: str) -> Markup:
    """Make an element with unescaped content, which must be our own."""
    if tag not in RAW or "<" in content:
        raise ValueError(f"refused as raw content of {tag}: {content[:40]!r}")
    return Markup(f"<{tag}>{content}</{tag}>")


def _child(child: Child) -> str:
    if isinstance(child, Markup):
        return child
    if isinstance(child, str):
        return _escaped(child)
    if child is None:
        return ""
    if isinstance(child, int):
        return str(child)
    return joined(child)


def _attribute(name: str, value: Attribute) -> str:
    if value is None or value is False:
        return ""
    name = name.rstrip("_").replace("_", "-")
    return f" {name}" if value is True else f' {name}="{_escaped(str(value))}"'


def _escaped(text: str) -> str:
    return html.escape(_UNSEEN.sub("\N{REPLACEMENT CHARACTER}", text))
