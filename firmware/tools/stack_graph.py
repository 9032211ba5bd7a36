# SPDX-License-Identifier: Apache-2.0
"""The deepest stack that a firmware can use, from the compiler's call graphs (``-fcallgraph-info=su``).

A call through a pointer is recognised by its source text. The committed table ``stack_calls.json`` lists the functions
that a text such as ``hal->flash_read(`` may reach. A call that is missing from the table is an error, and so is
recursion: both would make the figure a guess.
"""

from __future__ import annotations

import fnmatch
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

INDIRECT = "__indirect_call"
_NODE = re.compile(r'^node: { title: "(?P<title>[^"]+)" label: "(?P<label>[^"]*)"(?P<external> shape : ellipse)? }')
_EDGE = re.compile(
    r'^edge: { sourcename: "(?P<source>[^"]+)" targetname: "(?P<target>[^"]+)"( label: "(?P<place>[^"]+)")?'
)
_BYTES = re.compile(r"(\d+) bytes \((static|dynamic,bounded)\)")


class StackUnknownError(Exception):
    """The deepest path is unknown."""


@dataclass(frozen=True)
class PointerTable:
    """The contents of ``stack_calls.json``."""

    calls: dict[str, list[str]]  # source text of the call: patterns of functions, such as ``body.c:write_*``
    library: dict[str, int]  # stack frames of the compiler's own functions

    @classmethod
    def read(cls, path: Path) -> PointerTable:
        """Read the committed table."""
        table = json.loads(path.read_text())
        return cls(table["calls"], table["library"])

    def targets(self, place: str) -> list[str]:
        """Return the patterns for a call at ``file.c:line:column``."""
        file, line, _ = place.rsplit(":", 2)
        source = _lines(Path(file))[int(line) - 1]
        known = [patterns for call, patterns in self.calls.items() if call in source]
        if not known:
            raise StackUnknownError(f"{place} calls through a pointer: add {source.strip()!r} to stack_calls.json")
        return [pattern for patterns in known for pattern in patterns]


@cache
def _lines(file: Path) -> list[str]:
    return file.read_text().splitlines()


@dataclass(frozen=True)
class Function:
    """One compiled function. A clone made by the compiler has the name of its original."""

    name: str  # file.c:function
    frame: int


@dataclass
class CallGraph:
    """Functions by the compiler's titles, and their calls."""

    functions: dict[str, Function] = field(default_factory=dict)
    calls: dict[str, set[str]] = field(default_factory=dict)

    @classmethod
    def read(cls, files: Iterable[Path], table: PointerTable) -> CallGraph:
        """Read the compiler's files."""
        graph = cls({name: Function(name, frame) for name, frame in table.library.items()})
        places: list[tuple[str, str]] = []
        for file in files:
            places += graph._read_file(file)
        for source, place in places:
            graph.calls[source].update(graph._matching(table.targets(place)))
        return graph

    def _read_file(self, file: Path) -> list[tuple[str, str]]:
        """Read nodes and edges; return the calls through pointers, as callers and places."""
        places: list[tuple[str, str]] = []
        for line in file.read_text().splitlines():
            if node := _NODE.match(line):
                if node["external"] is None:
                    self.functions[_short(node["title"])] = _function(node["label"])
            elif edge := _EDGE.match(line):
                source = _short(edge["source"])
                targets = self.calls.setdefault(source, set())
                if edge["target"] == INDIRECT:
                    places.append((source, edge["place"]))
                else:
                    targets.add(_short(edge["target"]))
        return places

    def _matching(self, patterns: Iterable[str]) -> set[str]:
        """Expand a pattern such as ``body.c:write_*``. One that matches nothing is stale, or a mistake.

        After ``?`` it may match nothing: not every firmware links this part.
        """
        found: set[str] = set()
        for pattern in patterns:
            fitting = {key for key, one in self.functions.items() if fnmatch.fnmatch(one.name, pattern.lstrip("?"))}
            if not fitting and not pattern.startswith("?"):
                raise StackUnknownError(f"stack_calls.json: no function matches {pattern}")
            found |= fitting
        return found

    def add_aliases(self, addresses: dict[str, int]) -> None:
        """Add functions that the link step merged with an identical one: they have the same address."""
        known = {addresses[key]: key for key in self.functions if key in addresses}
        for name, address in addresses.items():
            if name not in self.functions and address in known:
                self.functions[name] = self.functions[known[address]]
                self.calls[name] = self.calls.get(known[address], set())

    def deepest(self, root: str) -> tuple[int, list[Function]]:
        """Return the most bytes that a call of ``root`` can use, and the path that does it."""
        return self._deepest(root, (), {})

    def _deepest(
        self, key: str, above: tuple[str, ...], known: dict[str, tuple[int, list[Function]]]
    ) -> tuple[int, list[Function]]:
        if key in above:
            raise StackUnknownError("recursion: " + " > ".join([*above, key]))
        if key not in known:
            function = self.functions.get(key)
            if function is None:
                raise StackUnknownError(f"unknown function {key}, called by {above[-1] if above else 'nobody'}")
            below = [self._deepest(target, (*above, key), known) for target in sorted(self.calls.get(key, ()))]
            most, path = max(below, key=lambda found: found[0], default=(0, list[Function]()))
            known[key] = (function.frame + most, [function, *path])
        return known[key]


def _short(title: str) -> str:
    """``<folder>/cc1.ltrans0.o:take.lto_priv.0`` → ``take.lto_priv.0``, unique in one link."""
    return title.rpartition("/")[2].rpartition(":")[2]


def _function(label: str) -> Function:
    """Read a label: name, place and frame, separated by a backslash and an n."""
    name, place, *_ = label.split("\\n")
    used = _BYTES.search(label)
    if used is None:
        raise StackUnknownError(f"the frame of {name} is not bounded: {label!r}")
    file = place.rsplit(":", 2)[0].rpartition("/")[2]
    return Function(f"{file}:{name.partition('.')[0]}", int(used[1]))
