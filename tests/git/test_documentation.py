# SPDX-License-Identifier: Apache-2.0
"""docs/git.md explains every reason, and no other."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

from reconciler.errors import FleetError
from reconciler.git import errors

PAGE = (Path(__file__).parents[2] / "docs" / "git.md").read_text(encoding="utf-8")


def leaves() -> list[type[FleetError]]:
    classes = [each for _, each in inspect.getmembers(errors, inspect.isclass) if each.__module__ == errors.__name__]
    return [each for each in classes if issubclass(each, FleetError)]


def test_a_reason_is_the_name_of_its_class() -> None:
    assert [each.reason for each in leaves()] == [each.__name__ for each in leaves()]


def test_exactly_the_existing_reasons_are_explained() -> None:
    table = PAGE.partition("## Conditions and reasons")[2].partition("## The status branch")[0]
    rows = [line for line in table.splitlines() if line.startswith("| `")]
    explained = [reason for row in rows for reason in re.findall(r"`([A-Z]\w+)`", row.split("|")[1])]
    assert sorted(explained) == sorted(each.__name__ for each in leaves())


def test_the_docstring_of_the_module_lists_every_reason() -> None:
    drawn = re.findall(r"[├└]── ([A-Z]\w+)", errors.__doc__ or "")
    assert set(drawn) == {each.__name__ for each in leaves()} | {"Refused", "Invalid", "Unusable"}
