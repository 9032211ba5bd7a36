# SPDX-License-Identifier: Apache-2.0
"""The documents about the fleet repository agree with the code."""

from __future__ import annotations

import json
import re
from pathlib import Path

from reconciler.load.document_check import check_file
from reconciler.load.document_index import MAX_ALIKE
from reconciler.load.file_filter import SUFFIXES
from reconciler.load.schemas import KINDS, schema_text
from reconciler.load.source_files import MAX_SOURCE_BYTES
from reconciler.load.strict_yaml import MAX_DEPTH, MAX_FILE_BYTES, MAX_KEY_CHARS, MAX_PROBLEMS
from reconciler.validation.problems import Rule
from tests.load.field_tables import PAGE, SECTIONS, shown, with_tables

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "fleet-repo-example"


def test_each_kind_has_a_section_with_all_fields_of_its_schema() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert page == with_tables(page), "run `make fleet-docs`"
    for kind in KINDS:
        fields = json.loads(schema_text(kind))["properties"]["spec"]["properties"]
        assert sorted(shown(page, kind)) == sorted(fields), kind
    for heading in (*KINDS, *(anchor.replace("-", " ").capitalize() for _, anchor in SECTIONS.values())):
        assert f"\n## {heading}\n" in page


def test_each_example_of_a_kind_is_valid() -> None:
    page = PAGE.read_text(encoding="utf-8")
    examples = re.findall(r"^```yaml\n(apiVersion:.*?)^```$", page, re.DOTALL | re.MULTILINE)
    checked = [check_file(text.encode())[0] for text in examples[1:]]  # the first one shows the common fields
    assert [file.problems for file in checked] == [()] * len(KINDS)
    assert [document.kind for file in checked for document in file.documents] == list(KINDS)


def test_every_problem_named_on_the_page_is_a_rule() -> None:
    page = PAGE.read_text(encoding="utf-8")
    named = re.findall(r"(?:problem|reports|warning)\s+`([a-z0-9]+(?:-[a-z0-9]+)+)`", page)
    assert len(named) > 10
    assert set(named) <= set(Rule)


def test_each_rule_has_exactly_one_row_that_says_what_to_do() -> None:
    page = (ROOT / "docs/validation.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `([a-z0-9-]+)` \| .+ \| .+ \|$", page, re.MULTILINE)
    assert sorted(rows) == sorted(Rule)


def test_the_pages_state_the_limits_of_the_code() -> None:
    page = (ROOT / "docs/validation.md").read_text(encoding="utf-8")
    mebibyte = 1024 * 1024
    assert f"{MAX_FILE_BYTES // mebibyte} MiB, or a model's file over {MAX_SOURCE_BYTES // mebibyte} MiB" in page
    assert f"a key over {MAX_KEY_CHARS} characters" in page
    assert f"more than {MAX_DEPTH} levels" in page
    assert f"{MAX_PROBLEMS} problems in one file" in page
    assert f"the first {MAX_ALIKE} of them" in page
    assert all(suffix in PAGE.read_text(encoding="utf-8") for suffix in SUFFIXES)


def test_every_rule_is_covered_by_a_test() -> None:
    tests = "\n".join(file.read_text(encoding="utf-8") for file in Path(__file__).parent.glob("test_*.py"))
    assert [rule for rule in Rule if f"Rule.{rule.name}" not in tests] == []


def test_the_schemas_of_the_example_are_up_to_date() -> None:
    copies = {file.name: file.read_text(encoding="utf-8") for file in (EXAMPLE / ".schemas").iterdir()}
    assert copies == {f"{name}.json": schema_text(kind) for kind, name in KINDS.items()}, "run `make fleet-docs`"


def test_each_file_of_the_example_names_the_schema_of_its_kind() -> None:
    files = [file for file in EXAMPLE.rglob("*.yaml") if ".github" not in file.parts]
    assert len(files) > 8
    for file in files:
        text = file.read_text(encoding="utf-8")
        named = re.match(r"# yaml-language-server: \$schema=(\S+)\n", text)
        assert named is not None, file
        schema = (file.parent / named[1]).resolve()
        assert {KINDS[kind] for kind in re.findall(r"^kind: (\w+)$", text, re.MULTILINE)} == {schema.stem}
        assert schema.is_file()
