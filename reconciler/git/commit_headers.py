# SPDX-License-Identifier: Apache-2.0
"""Refuses commits that are signed, but could have been altered by someone without the key.

A signature covers the commit without its signature headers. So the holder of the server could add a second one,
or one of another kind, or write the same signature in another way: the commit would still verify under another id.
The gateway would apply that commit, and take the genuine one for a rewritten history from then on.
"""

from __future__ import annotations

from collections.abc import Iterator

from reconciler.foreign_text import printable_line
from reconciler.git import ssh_signature

_ONCE = frozenset({"tree", "author", "committer", "encoding", "gpgsig"})
_REPEATED = frozenset({"parent", "mergetag"})  # all of them are signed
_NAME_SHOWN = 40


def alteration(raw: bytes) -> str | None:
    """Return what is wrong with the headers of a commit; None: nothing."""
    seen: set[str] = set()
    for name, value in _headers(raw.partition(b"\n\n")[0]):
        if name not in _ONCE | _REPEATED:
            return f"has the header {printable_line(name)[:_NAME_SHOWN]!r}, which git would not verify"
        if name in seen and name in _ONCE:
            return f"has two headers {name}"
        seen.add(name)
        if name == "gpgsig" and value.startswith(ssh_signature.BEGIN) and not ssh_signature.is_canonical(value):
            return "has a signature that ssh-keygen would not write in this form"
    return None


def _headers(head: bytes) -> Iterator[tuple[str, str]]:
    """Yield each header with its value; the further lines of a value begin with a space."""
    lines: list[str] = []
    for line in head.decode("latin-1").split("\n"):
        if line.startswith(" ") and lines:
            lines.append(line[1:])
            continue
        if lines:
            yield _header(lines)
        lines = [line]
    yield _header(lines)


def _header(lines: list[str]) -> tuple[str, str]:
    name, _, first = lines[0].partition(" ")
    return name, "\n".join([first, *lines[1:]])
