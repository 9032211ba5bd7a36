# SPDX-License-Identifier: Apache-2.0
# ruff: noqa: E501 -- lists of odd values
"""The example fleet, corrupted at random: loading reports only documented problems.

`make fuzz-validate` tries many more (TINYFLEET_FUZZ_ROUNDS).
"""

from __future__ import annotations

import os
import random
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from reconciler.load import CheckCache, LoadResult, Problem, load
from reconciler.model import Commit
from reconciler.tree import FILE
from reconciler.validation.problems import Rule
from tests.load.repo import GivenTree

EXAMPLE = Path(__file__).resolve().parents[2] / "fleet-repo-example"
ROUNDS = int(os.environ.get("TINYFLEET_FUZZ_ROUNDS", "150"))
SLOWEST_S = 5.0  # far more than one file needs, far less than a hang

LINE_BREAK = re.compile("\r\n|[\n\r\x85\u2028\u2029]")  # as YAML counts lines

FILES = {
    file.relative_to(EXAMPLE).as_posix(): file.read_bytes()
    for file in sorted(EXAMPLE.rglob("*"))
    if file.is_file() and not any(part.startswith(".") for part in file.relative_to(EXAMPLE).parts)
}
YAML = [path for path in FILES if path.endswith(".yaml")]
SNIPPETS = [
    b"&a ", b"*a", b"!!python/object:os.system ", b"%YAML 1.1\n", b"---\n", b"...\n", b"\t", b"on", b"- ", b": ", b"{", b"}", b"[",
    b"]", b"'", b'"', b"|\n", b">-\n", b"?", b"#", b"\x00", b"\xff", b"\xef\xbb\xbf", b"\r", b".nan", b"1e999", b"0x",
    b"~", b"9" * 40, b"\xe2\x80\xa8", b"\\x1b[31m", b"../", b"\xf0\x9f\x90\x9b", b"<<: *a\n", b"{{{{{{{{", b"[[[[[[[[", b"null", b"-1",
    b"name: x\n",
]  # fmt: skip


def corrupt_bytes(chance: random.Random, data: bytes) -> bytes:
    """Change a few parts of a file, as an editor, a merge or a bad disk might."""
    corrupted = bytearray(data)
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(len(corrupted) + 1)
        end = min(len(corrupted), at + chance.choice([1, 1, 2, 8, 80]))
        what = chance.randrange(6)
        if what == 0:
            del corrupted[at:end]
        elif what == 1:
            corrupted[at:at] = chance.choice(SNIPPETS)
        elif what == 2:
            corrupted[at:end] = bytes(chance.randrange(256) for _ in range(end - at))
        elif what == 3:
            corrupted[at:at] = corrupted[at:end] * chance.choice([1, 2, 50])
        elif what == 4:
            lines = bytes(corrupted).splitlines(keepends=True)
            chance.shuffle(lines)
            corrupted = bytearray(b"".join(lines))
        else:
            del corrupted[at:]
    return bytes(corrupted)


VALUES: list[Any] = [
    None, True, 0, -1, 1, 2**63, 0.5, "", "x", "on", "../x", "a" * 300, [], {}, [[]], [None], {"a": 1}, "\n", "canary",
    "pump-north-1", "vibration-wifi", ["vibration-wifi"], {"path": "fleet.yaml", "sha256": "0" * 64}, "Europe/Paris", "12h", 1e308,
    ["line-current"],
]  # fmt: skip


def corrupt_values(chance: random.Random, data: bytes) -> bytes:
    """Change a few values or keys, so that the file stays valid YAML."""
    documents = list(yaml.safe_load_all(data))
    for _ in range(chance.randint(1, 3)):
        holder, key = chance.choice([place for document in documents for place in within(document)])
        what = chance.randrange(4)
        if what == 0:
            del holder[key]
        elif what == 1 and isinstance(holder, dict):
            holder[chance.choice(["name", "selector", "x", "spec", "labels", key + "s"])] = holder.pop(key)
        elif what == 2:
            documents.append(chance.choice(documents))
        else:
            holder[key] = chance.choice(VALUES)
        documents = [document for document in documents if document]
        if not documents:
            break
    return "---\n".join(yaml.dump(document, Dumper=Plain) for document in documents).encode()


class Plain(yaml.SafeDumper):
    def ignore_aliases(self, data: object) -> bool:  # noqa: ARG002 (the dumper's signature)
        return True


def within(node: Any) -> Iterator[tuple[Any, Any]]:  # noqa: ANN401 (any YAML)
    if isinstance(node, dict | list):
        for key in list(node) if isinstance(node, dict) else range(len(node)):
            yield node, key
            yield from within(node[key])


def check(loaded: LoadResult, files: dict[str, bytes]) -> None:
    assert (loaded.desired is None) == bool(loaded.errors)
    assert list(loaded.problems) == sorted(loaded.problems)
    for problem in loaded.problems:
        placed(problem, files)


def placed(problem: Problem, files: dict[str, bytes]) -> None:
    assert isinstance(problem.rule, Rule)
    assert str(problem).isprintable()
    assert problem.message
    if problem.path:
        text = files[problem.path].decode("utf-8", "replace")
        assert 0 <= problem.line <= len(LINE_BREAK.split(text))


@pytest.mark.parametrize("corrupt", [corrupt_bytes, corrupt_values])
def test_corrupted_files_give_only_documented_problems(corrupt: Callable[[random.Random, bytes], bytes]) -> None:
    cache = CheckCache()
    seen: set[Rule] = set()
    for number in range(ROUNDS):
        chance = random.Random(number)
        path = chance.choice(YAML)
        files = {**FILES, path: corrupt(chance, FILES[path])}
        tree = GivenTree(*((name, FILE, data) for name, data in files.items()))
        start = time.process_time()
        loaded = load(tree, commit=Commit(""), cache=cache)
        assert time.process_time() - start < SLOWEST_S, f"round {number}"
        check(loaded, files)
        if number % 10 == 0:
            assert load(tree, commit=Commit("")) == loaded, "a cache must not change the result"
        seen |= {problem.rule for problem in loaded.problems}
    assert len(seen) > 5, "the corruption is too weak to test anything"


def test_the_example_has_no_problems() -> None:
    tree = GivenTree(*((name, FILE, data) for name, data in FILES.items()))
    loaded = load(tree, commit=Commit("c"))
    assert loaded.problems == ()
