# SPDX-License-Identifier: Apache-2.0
"""The deepest stack that a firmware can use, from what the compiler says (``-fcallgraph-info=su``).

A call through a pointer is resolved by the committed table ``stack_calls.json``: function → patterns of the functions
that its pointers may lead to. One that is missing there is an error, and so is recursion: both would make the figure a guess.
"""

from __future__ import annotations

import fnmatch
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

INDIRECT = "__indirect_call"
_NODE = re.compile(r'^node: { title: "(?P<title>[^"]+)" label: "(?P<label>[^"]*)"(?P<external> shape : ellipse)? }')
_EDGE = re.compile(r'^edge: { sourcename: "(?P<source>[^"]+)" targetname: "(?P<target>[^"]+)"')
_BYTES = re.compile(r"(\d+) bytes \((static|dynamic,bounded)\)")


class StackUnknownError(Exception):
    """The deepest path can't be told."""


@dataclass
class CallGraph:
    """Functions with their frames, and who calls whom. A static function is named with its file: ``order.c:take``."""

    frames: dict[str, int] = field(default_factory=dict)
    calls: dict[str, set[str]] = field(default_factory=dict)

    @classmethod
    def read(
        cls, files: Iterable[Path], kept: set[str], pointers: dict[str, list[str]], library: dict[str, int]
    ) -> CallGraph:
        """Read the compiler's files; ``kept`` are the functions that the linker kept."""
        graph = cls(frames=dict(library))
        for file in files:
            graph._read_file(file, kept)
        for source, targets in graph.calls.items():
            if INDIRECT in targets:
                if source not in pointers:
                    raise StackUnknownError(
                        f"{source} calls through a pointer: say in stack_calls.json what it may call"
                    )
                targets.remove(INDIRECT)
                targets.update(graph._matching(pointers[source]))
        return graph

    def _matching(self, patterns: Iterable[str]) -> set[str]:
        """Expand ``body.c:write_*``. A pattern that fits nothing is stale, or a mistake."""
        found: set[str] = set()
        for pattern in patterns:
            fitting = fnmatch.filter(self.frames, pattern)
            if not fitting:
                raise StackUnknownError(f"stack_calls.json: no function is called {pattern}")
            found.update(fitting)
        return found

    def _read_file(self, file: Path, kept: set[str]) -> None:
        for line in file.read_text().splitlines():
            if node := _NODE.match(line):
                name = _short(node["title"])
                if node["external"] is None and name.rpartition(":")[2] in kept:
                    self._add(name, node["label"])
            elif edge := _EDGE.match(line):
                self.calls.setdefault(_short(edge["source"]), set()).add(_short(edge["target"]))

    def _add(self, name: str, label: str) -> None:
        used = _BYTES.search(label)
        if used is None:
            raise StackUnknownError(f"the frame of {name} has no bound: {label!r}")
        self.frames[name] = max(int(used[1]), self.frames.get(name, 0))

    def deepest(self, root: str) -> tuple[int, list[str]]:
        """Return the most bytes that a call of ``root`` can use, and the path that does it."""
        return self._deepest(root, (), {})

    def _deepest(
        self, name: str, above: tuple[str, ...], known: dict[str, tuple[int, list[str]]]
    ) -> tuple[int, list[str]]:
        if name in above:
            raise StackUnknownError("recursion: " + " > ".join([*above, name]))
        if name not in known:
            if name not in self.frames:
                raise StackUnknownError(f"nothing is known of {name}, called by {above[-1] if above else 'nobody'}")
            below = [self._deepest(target, (*above, name), known) for target in sorted(self.calls.get(name, ()))]
            most, path = max(below, key=lambda found: found[0], default=(0, list[str]()))
            known[name] = (self.frames[name] + most, [name, *path])
        return known[name]


def _short(title: str) -> str:
    """``/folder/file.c:function.part.0`` → ``file.c:function``."""
    owner, _, function = title.rpartition(":")
    file = owner.rpartition("/")[2]
    plain = function.partition(".")[0]
    return f"{file}:{plain}" if file else plain


@dataclass(frozen=True)
class PointerTable:
    """What ``stack_calls.json`` says."""

    pointers: dict[str, list[str]]
    library: dict[str, int]

    @classmethod
    def read(cls, path: Path) -> PointerTable:
        """Read the committed table."""
        table = json.loads(path.read_text())
        return cls(table["pointers"], table["library"])
