# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.load.strict_yaml import MAX_FILE_BYTES, MAX_PROBLEMS, parse_yaml, positions
from reconciler.validation.problems import KEY, Rule

REFUSED = {
    "duplicate key": (b"a: 1\nb: 2\na: 3\n", Rule.DUPLICATE_KEY, 3, 1),
    "duplicate key, quoted once": (b"a: 1\n'a': 3\n", Rule.DUPLICATE_KEY, 2, 1),
    "tag": (b"a: !!str x\n", Rule.TAG, 1, 4),
    "tag that would build an object": (b"a: !!python/object/apply:os.system [id]\n", Rule.TAG, 1, 4),
    "tag on a mapping": (b"a: !local {b: 1}\n", Rule.TAG, 1, 4),
    "tag on a key": (b"!x a: 1\n", Rule.TAG, 1, 1),
    "anchor": (b"a: &x 1\n", Rule.ALIAS, 1, 4),
    "alias": (b"a: &x [1]\nb: *x\n", Rule.ALIAS, 2, 4),
    "merge key": (b"<<: {a: 1}\n", Rule.AMBIGUOUS_SCALAR, 1, 1),
    "directive": (b"%YAML 1.1\n---\na: 1\n", Rule.DIRECTIVE, 1, 1),
    "deep nesting": (b"a: " + b"[" * 100 + b"]" * 100, Rule.TOO_DEEP, 1, 27),
    "not UTF-8": (b"a: x\nb: \xff\n", Rule.NOT_UTF8, 2, 4),
    "UTF-16": ("a: 1".encode("utf-16"), Rule.NOT_UTF8, 1, 1),
    "a character that YAML forbids": (b"a: x\nb: \x00\n", Rule.INVALID_YAML, 2, 4),
    "tab as indent": (b"a:\n\tb: 1\n", Rule.TAB_INDENT, 2, 1),
    "tab after spaces": (b"a:\n  b: 1\n \tc: 1\n", Rule.TAB_INDENT, 3, 2),
    "unfinished": (b"a: 'x\n", Rule.INVALID_YAML, 2, 1),
    "two colons": (b"a: b: c\n", Rule.INVALID_YAML, 1, 5),
    "NaN": (b"a: .nan\n", Rule.NON_FINITE_NUMBER, 1, 4),
    "infinity": (b"a: -.inf\n", Rule.NON_FINITE_NUMBER, 1, 4),
    "infinity by overflow": (b"a: 1.0e+999\n", Rule.AMBIGUOUS_SCALAR, 1, 4),
    "on": (b"a: on\n", Rule.AMBIGUOUS_SCALAR, 1, 4),
    "yes": (b"a: Yes\n", Rule.AMBIGUOUS_SCALAR, 1, 4),
    "no as a country": (b"a: [de, no]\n", Rule.AMBIGUOUS_SCALAR, 1, 9),
    "on as a key": (b"on: 1\n", Rule.AMBIGUOUS_SCALAR, 1, 1),
    "octal": (b"a: 010\n", Rule.AMBIGUOUS_SCALAR, 1, 4),
    "base 60": (b"a: 22:00\n", Rule.AMBIGUOUS_SCALAR, 1, 4),
    "underscores": (b"a: 1_000\n", Rule.AMBIGUOUS_SCALAR, 1, 4),
    "date": (b"a: 2026-11-21\n", Rule.AMBIGUOUS_SCALAR, 1, 4),
    "exponent": (b"a: 1e3\n", Rule.AMBIGUOUS_SCALAR, 1, 4),
    "a number too long to be one": (b"a: " + b"9" * 5000 + b"\n", Rule.AMBIGUOUS_SCALAR, 1, 4),
    "number as a key": (b"1: x\n", Rule.NON_STRING_KEY, 1, 1),
    "nothing as a key": (b"~: x\n", Rule.NON_STRING_KEY, 1, 1),
    "list as a key": (b"[a]: x\n", Rule.NON_STRING_KEY, 1, 1),
    "too large": (b"#" * (MAX_FILE_BYTES + 1), Rule.TOO_LARGE, 0, 0),
}


@pytest.mark.parametrize("name", REFUSED)
def test_invalid_yaml_is_refused_with_rule_line_and_column(name: str) -> None:
    data, rule, line, column = REFUSED[name]
    assert (rule, line, column) in {(one.rule, one.line, one.column) for one in parse_yaml(data).problems}


ACCEPTED: dict[bytes, object] = {
    b"\xef\xbb\xbfa: 1\n": {"a": 1},  # the mark that Windows editors write
    b"a: true\nb: False\nc: ~\nd:\n": {"a": True, "b": False, "c": None, "d": None},
    b"a: -5\nb: +5\nc: 0x1F\nd: 1.5\ne: -.5\nf: 1.0e+3\n": {"a": -5, "b": 5, "c": 31, "d": 1.5, "e": -0.5, "f": 1000.0},
    b"a: '010'\nb: \"on\"\nc: |\n  22:00\n": {"a": "010", "b": "on", "c": "22:00\n"},
    b"a: -x\nb: 1.2.3\nc: v1\nd: once\n": {"a": "-x", "b": "1.2.3", "c": "v1", "d": "once"},
    b"a:\r\n  b: c\r\n": {"a": {"b": "c"}},
    b"a: x\t# a tab before a comment is allowed\n": {"a": "x"},
}


@pytest.mark.parametrize("data", ACCEPTED)
def test_valid_yaml_has_one_meaning(data: bytes) -> None:
    parsed = parse_yaml(data)
    assert parsed.problems == []
    assert [document.value for document in parsed.documents] == [ACCEPTED[data]]


def test_empty_documents_are_skipped() -> None:
    parsed = parse_yaml(b"---\n---\na: 1\n---\n# nothing\n---\nb: 2\n")
    assert [(document.value, document.line) for document in parsed.documents] == [({"a": 1}, 3), ({"b": 2}, 7)]
    assert parsed.problems == []


def test_an_alias_bomb_is_refused_quickly() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 30)]
    start = time.process_time()
    parsed = parse_yaml("\n".join(lines).encode())
    assert time.process_time() - start < 2  # written out it would be 9**29 values
    assert {problem.rule for problem in parsed.problems} == {Rule.ALIAS, Rule.TOO_MANY_PROBLEMS}


def test_the_number_of_problems_per_file_is_limited() -> None:
    parsed = parse_yaml(b"a: 1\n" * 10_000)
    assert len(parsed.problems) == MAX_PROBLEMS + 1
    assert parsed.problems[-1].rule is Rule.TOO_MANY_PROBLEMS
    assert not parsed.complete


@pytest.mark.parametrize("count", [MAX_PROBLEMS - 1, MAX_PROBLEMS, MAX_PROBLEMS + 1])
def test_a_syntax_error_at_the_limit_of_problems_still_marks_the_file_incomplete(count: int) -> None:
    parsed = parse_yaml(b"a: 1\n" * count + b"a: 'x\n")
    assert {problem.rule for problem in parsed.problems} <= {
        Rule.DUPLICATE_KEY,
        Rule.INVALID_YAML,
        Rule.TOO_MANY_PROBLEMS,
    }
    assert not parsed.complete


def test_control_characters_never_reach_a_terminal() -> None:
    (problem,) = parse_yaml(b'"\\e[31m": 1\n"\\e[31m": 2\n').problems
    assert str(problem).isprintable()


def test_positions_of_keys_values_and_items() -> None:
    (first, second) = positions(b"a: {b: [1, 2]}\n---\n---\nc: x\n")
    assert first["a", "b", 1] == (1, 12)
    assert first["a", KEY] == (1, 1)
    assert second["c",] == (4, 4)


@given(st.binary(max_size=300))
def test_any_bytes_give_documents_or_problems(data: bytes) -> None:
    parsed = parse_yaml(data)
    assert parsed.complete or parsed.problems
    assert len(positions(data)) >= len(parsed.documents)


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**9), 10**9) | st.text("abc xyz:#-", max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text("abcxyz-", min_size=1, max_size=5), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(st.dictionaries(st.sampled_from(["a", "b", "c"]), PLAIN, min_size=1))
def test_json_is_read_with_its_meaning(value: dict[str, object]) -> None:

    (document,) = parse_yaml(json.dumps(value).encode()).documents
    assert document.value == value
