# SPDX-License-Identifier: Apache-2.0
"""The sizes in docs/limits.md equal those in the sources that it names."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from functools import reduce
from pathlib import Path
from typing import Any

import pytest

from tests.docs.markdown import ROOT

PAGE = ROOT / "docs" / "limits.md"
ROW = re.compile(r"^\| (?P<what>[^|]+) \| (?P<number>[\d,]+)(?: [A-Za-z]+)? \| `(?P<path>[^`]+)` (?P<name>[\w.]+) \|$")
TRIED = "## Largest sizes tested"
OPERATORS = {ast.Mult: int.__mul__, ast.LShift: int.__lshift__, ast.Add: int.__add__, ast.Sub: int.__sub__}


def table_rows(text: str) -> list[str]:
    sizes = text.partition("## On the device")[2].partition(TRIED)[0]
    return [line for line in sizes.splitlines() if line.startswith("| ") and not line.startswith("| what |")]


def stated(row: str) -> tuple[int, str, str]:
    match = ROW.fullmatch(row)
    assert match, f"not `| what | number unit | `file` NAME |`: {row}"
    return int(match["number"].replace(",", "")), match["path"], match["name"]


def actual(path: str, name: str) -> int:
    text = (ROOT / path).read_text(encoding="utf-8")
    match Path(path).suffix:
        case ".h":
            found = re.search(rf"^#define {name} +(\d+)$", text, re.MULTILINE)
            assert found, f"{path} defines no number {name}"
            return int(found[1])
        case ".py":
            return of_python(ast.parse(text), name)
        case ".json":
            value: Any = reduce(lambda node, key: node[key], name.split("."), json.loads(text))
            assert isinstance(value, int)
            return value
        case other:
            raise AssertionError(f"nothing can be read from {other}")


def of_python(tree: ast.Module, name: str) -> int:
    values = [value for node in ast.walk(tree) for target, value in assigned(node) if target == name]
    assert len(values) == 1, f"{name} is assigned {len(values)} times"
    return number(values[0])


def assigned(node: ast.AST) -> Iterator[tuple[str, ast.expr]]:
    """Yield the name and the value of an assignment: a constant of a module, or the default of a field."""
    match node:
        case ast.Assign(targets=[ast.Name(id=name)], value=value):
            yield name, value
        case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
            yield name, value
        case _:
            pass


def number(node: ast.expr) -> int:
    match node:
        case ast.Constant(value=int(value)):
            return value
        case ast.BinOp(left=left, op=op, right=right):
            return OPERATORS[type(op)](number(left), number(right))
        case _:
            raise AssertionError(f"not a number: {ast.unparse(node)}")


def test_the_page_lists_sizes() -> None:
    assert len(table_rows(PAGE.read_text(encoding="utf-8"))) > 30


@pytest.mark.parametrize("row", table_rows(PAGE.read_text(encoding="utf-8")), ids=lambda row: row.split("|")[1].strip())
def test_a_size_equals_that_of_its_source(row: str) -> None:
    number_stated, path, name = stated(row)
    assert actual(path, name) == number_stated


def test_a_wrong_size_is_found() -> None:
    assert stated("| envelope | 1,024 bytes | `signing/envelope.py` MAX_ENVELOPE_BYTES |")[0] == 1024
    assert actual("signing/envelope.py", "MAX_ENVELOPE_BYTES") == 512
    assert actual("reconciler/load/strict_yaml.py", "MAX_FILE_BYTES") == 1 << 20


def test_each_tested_size_names_the_target_that_tests_it() -> None:
    tried = PAGE.read_text(encoding="utf-8").partition(TRIED)[2]
    rows = [line for line in tried.splitlines() if line.startswith("| ") and not line.startswith("| what |")]
    assert rows
    assert [row for row in rows if not re.search(r"`make [a-z-]+` \|$", row)] == []


def test_both_sides_of_a_limit_agree() -> None:
    """The agent accepts the largest message that the gateway sends."""
    config = "firmware/include/tinyfleet/config.h"
    for path, name, theirs in (
        ("signing/envelope.py", "MAX_ENVELOPE_BYTES", "TF_ENVELOPE_MAX"),
        ("signing/envelope.py", "MAX_VALUES", "TF_PARAMETERS_MAX"),
        ("reconciler/devices/messages.py", "ENVELOPE_BYTES_MAX", "TF_ENVELOPE_MAX"),
        ("reconciler/devices/messages.py", "BLOCKS_MAX", "TF_BLOCKS_MAX"),
        ("reconciler/devices/messages.py", "MESSAGE_BYTES", "TF_MESSAGE_MAX"),
        ("reconciler/devices/flash_image.py", "PREBAKED_MAX", "TF_PREBAKED_MAX"),
        ("reconciler/devices/reports.py", "TEXT_BYTES_MAX", "TF_TYPE_MAX"),
    ):
        assert actual(path, name) == actual(config, theirs), (name, theirs)
