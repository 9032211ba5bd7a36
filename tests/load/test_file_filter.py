# SPDX-License-Identifier: Apache-2.0
"""Which entries of a tree are read as YAML, which models may name, and which are refused."""

from __future__ import annotations

import pytest

from reconciler.load.file_filter import MAX_PATH_CHARS, FilteredFiles, filter_files
from reconciler.load.strict_yaml import MAX_FILE_BYTES
from reconciler.tree import FILE, REGULAR, SUBMODULE, SYMLINK, TreeEntry
from reconciler.validation.problems import Rule

DEVICE_NODE = 0o020000


def entry(path: str, mode: int = FILE, size: int = 0) -> TreeEntry:
    return TreeEntry(path, mode, "0" * 40, size)


def rules(found: FilteredFiles) -> list[tuple[str, Rule]]:
    return [(problem.path, problem.rule) for problem in found.problems]


def test_yaml_is_sorted_and_kept_apart_from_other_files() -> None:
    entries = [entry("b.yml"), entry("m.tflite"), entry("a.yaml"), entry("c/x.yaml.txt")]
    found = filter_files(entries)
    assert [each.path for each in found.yaml] == ["a.yaml", "b.yml"]
    assert list(found.others) == ["m.tflite", "c/x.yaml.txt"]
    assert (found.problems, found.complete) == ([], True)


@pytest.mark.parametrize("mode", sorted(REGULAR))
def test_every_regular_file_is_allowed(mode: int) -> None:
    found = filter_files([entry("a.yaml", mode), entry("m.bin", mode)])
    assert (len(found.yaml), len(found.others), found.problems) == (1, 1, [])


@pytest.mark.parametrize("path", [".a.yaml", ".git/a.yaml", "a/.b.yaml", "a/.b/c.bin", "a/..b/c.yaml"])
def test_hidden_files_are_skipped(path: str) -> None:
    assert filter_files([entry(path)]) == FilteredFiles()


@pytest.mark.parametrize("path", ["..", "../a.yaml", "a/..", "a/../../b.bin"])
def test_a_path_that_leads_out_of_the_repository_is_refused(path: str) -> None:
    found = filter_files([entry(path)])
    assert rules(found) == [(path, Rule.UNSAFE_PATH)]
    assert "leads out of the repository" in found.problems[0].message
    assert (found.yaml, found.others) == ([], {})


@pytest.mark.parametrize("path", ["/a.yaml", "a\\b.yaml", "a\nb.yaml", "a" * (MAX_PATH_CHARS - 4) + ".yaml"])
def test_yaml_with_an_unsafe_path_is_refused(path: str) -> None:
    found = filter_files([entry(path)])
    assert [problem.rule for problem in found.problems] == [Rule.UNSAFE_PATH]
    assert (found.yaml, found.complete) == ([], False)


def test_the_longest_path_is_allowed() -> None:
    path = "a" * (MAX_PATH_CHARS - 5) + ".yaml"
    assert [each.path for each in filter_files([entry(path)]).yaml] == [path]


@pytest.mark.parametrize(
    ("mode", "rule"), [(SYMLINK, Rule.SYMLINK), (SUBMODULE, Rule.SUBMODULE), (DEVICE_NODE, Rule.SPECIAL_FILE)]
)
def test_what_is_no_regular_file_is_refused_and_only_yaml_is_missed(mode: int, rule: Rule) -> None:
    found = filter_files([entry("a.bin", mode)])
    assert (rules(found), found.complete) == ([("a.bin", rule)], True)
    found = filter_files([entry("a.yaml", mode), entry("b.bin", mode)])
    assert (rules(found), found.complete) == ([("a.yaml", rule), ("b.bin", rule)], False)
    assert found.yaml == []


def test_only_the_size_of_yaml_is_limited() -> None:
    sizes = {"a.yaml": MAX_FILE_BYTES, "b.yaml": MAX_FILE_BYTES + 1, "c.bin": MAX_FILE_BYTES + 1}
    found = filter_files([entry(path, size=size) for path, size in sizes.items()])
    assert [each.path for each in found.yaml] == ["a.yaml"]
    assert rules(found) == [("b.yaml", Rule.TOO_LARGE)]
    assert (list(found.others), found.complete) == (["c.bin"], False)
