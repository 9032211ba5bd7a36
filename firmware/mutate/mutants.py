# SPDX-License-Identifier: Apache-2.0
"""Changes to C sources that a test should notice, found in the syntax tree of clang.

An `if` that never holds (a removed check); a negated condition of `?:`; a comparison that is off by one; one side of
`&&` or `||` left out; a call or an assignment left out.
"""

from __future__ import annotations

import json
import subprocess
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from firmware.powercut.driver import FIRMWARE, BuildError

SOURCES: Final = FIRMWARE / "src"
OFF_BY_ONE: Final = {"<": "<=", "<=": "<", ">": ">=", ">=": ">"}
ASSIGNMENTS: Final = {"BinaryOperator", "CompoundAssignOperator", "UnaryOperator"}

Node = dict[str, Any]  # of clang's JSON


@dataclass(frozen=True)
class Mutant:
    """One change to one file."""

    source: Path
    line: int
    name: str  # file, function and change: the same wherever the lines move
    text: bytes  # the whole file, changed

    def __str__(self) -> str:
        return f"{self.source.relative_to(SOURCES)}:{self.line}: {self.name}"


@dataclass(frozen=True)
class _Change:
    begin: int
    end: int
    replacement: bytes
    what: str


def mutants(source: Path, includes: Sequence[Path], text: bytes | None = None) -> Iterator[Mutant]:
    """Yield all mutants of a file, or of another text in its place."""
    text = source.read_bytes() if text is None else text
    seen: Counter[str] = Counter()
    for function in _functions(text, [source.parent, *includes]):
        for change in _Finder(text).changes(function):
            shown = " ".join(f"{change.what}: {_shown(text, change)}".split())
            name = f"{source.relative_to(SOURCES)} {function['name']}: {shown}"
            seen[name] += 1
            name += f" #{seen[name]}" if seen[name] > 1 else ""
            changed = text[: change.begin] + change.replacement + text[change.end :]
            yield Mutant(source, text.count(b"\n", 0, change.begin) + 1, name, changed)


def _functions(text: bytes, includes: Sequence[Path]) -> Iterator[Node]:
    """Yield the functions that are defined in the text itself."""
    headers = [f"-I{folder}" for folder in includes]
    command = ["clang", "-std=c11", "-fsyntax-only", "-w", *headers, "-Xclang", "-ast-dump=json", "-x", "c", "-"]
    done = subprocess.run(command, input=text, capture_output=True, check=False)
    if done.returncode:
        raise BuildError(done.stderr.decode())
    for node in json.loads(done.stdout)["inner"]:
        if node["kind"] == "FunctionDecl" and "includedFrom" not in node["loc"]:
            yield node


def _shown(text: bytes, change: _Change) -> str:
    return text[change.begin : change.end].decode()


def _place(location: Node) -> tuple[int, int] | None:
    """Return where a token begins and ends; a macro counts as a whole where it is used."""
    place = location.get("expansionLoc", location)
    return (place["offset"], place["offset"] + place["tokLen"]) if "offset" in place else None


class _Finder:
    """Walks through a function."""

    def __init__(self, text: bytes) -> None:
        self._text = text

    def changes(self, node: Node) -> Iterator[_Change]:
        inner = [child for child in node.get("inner", []) if child]
        kind = node.get("kind")
        if kind in {"IfStmt", "ConditionalOperator"}:
            yield from self._of_condition(inner[0], removed=kind == "IfStmt")
        elif kind == "BinaryOperator" and node["opcode"] in OFF_BY_ONE:
            yield from self._of_comparison(node, inner)
        elif kind == "BinaryOperator" and node["opcode"] in {"&&", "||"}:
            yield from self._of_sides(node, inner)
        elif kind == "CompoundStmt":
            for statement in inner:
                yield from self._of_statement(statement)
        for child in inner:
            yield from self.changes(child)

    def _range(self, node: Node) -> tuple[int, int] | None:
        begin, end = _place(node["range"]["begin"]), _place(node["range"]["end"])
        if begin is None or end is None or "expansionLoc" in node["range"]["begin"]:
            return None
        closes = end[1]
        if "expansionLoc" in node["range"]["end"] and self._text[closes : closes + 1] == b"(":
            return None  # ends in a macro with arguments
        return begin[0], closes

    def _of_condition(self, condition: Node, *, removed: bool) -> Iterator[_Change]:
        place = self._range(condition)
        if place is None:
            return
        old = self._text[slice(*place)]
        yield _Change(
            *place, b"((" + old + b") && 0)" if removed else b"!(" + old + b")", "never" if removed else "not"
        )

    def _of_comparison(self, node: Node, sides: list[Node]) -> Iterator[_Change]:
        place, right = self._range(node), _place(sides[1]["range"]["begin"])
        left = self._range(sides[0])
        if place is None or left is None or right is None:
            return
        operator = node["opcode"].encode()
        if self._text[left[1] : right[0]].strip(b" \n)(") != operator:
            return
        at = self._text.index(operator, left[1])
        changed = OFF_BY_ONE[node["opcode"]].encode()
        old = self._text[slice(*place)]
        new = old[: at - place[0]] + changed + old[at - place[0] + len(operator) :]
        yield _Change(*place, new, f"off by one, {changed.decode()}")

    def _of_sides(self, node: Node, sides: list[Node]) -> Iterator[_Change]:
        place, left, right = self._range(node), self._range(sides[0]), self._range(sides[1])
        if place is None or left is None or right is None:
            return
        yield _Change(*place, b"(" + self._text[slice(*left)] + b")", "only the left side")
        yield _Change(*place, b"(" + self._text[slice(*right)] + b")", "only the right side")

    def _of_statement(self, statement: Node) -> Iterator[_Change]:
        place = self._range(statement)
        if place is None:
            return
        kind, opcode = statement["kind"], statement.get("opcode", "=")
        calls = kind == "CallExpr" or (kind == "CStyleCastExpr" and statement["inner"][0]["kind"] == "CallExpr")
        assigns = kind in ASSIGNMENTS and (opcode.endswith("=") or opcode in {"++", "--"})
        if calls or assigns:
            yield _Change(*place, b"(void)0", "left out")
