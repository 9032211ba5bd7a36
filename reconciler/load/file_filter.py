# SPDX-License-Identifier: Apache-2.0
"""Which files of a tree belong to the fleet, and which are not allowed in a fleet repository at all."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from reconciler.load.strict_yaml import MAX_FILE_BYTES
from reconciler.tree import REGULAR, SUBMODULE, SYMLINK, TreeEntry
from reconciler.validation.problems import Problem, Rule

SUFFIXES = (".yaml", ".yml")
MAX_PATH_CHARS = 1024


@dataclass(slots=True)
class FilteredFiles:
    """The files of a tree, grouped by how they are used."""

    yaml: list[TreeEntry] = field(default_factory=list)
    others: dict[str, TreeEntry] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    complete: bool = True  # no YAML file was refused


def filter_files(entries: Iterable[TreeEntry]) -> FilteredFiles:
    """Separate YAML from other files, skip hidden files, and refuse what is unsafe to read."""
    result = FilteredFiles()
    for entry in entries:
        path = entry.path
        if path.startswith(".") or "/." in path:
            if ".." in path.split("/"):
                result.problems.append(_problem(path, Rule.UNSAFE_PATH, "the path leads out of the repository"))
            continue  # hidden files (`.git`, `.github`, editor settings) are not part of the fleet
        refusal = _refusal(entry)
        is_yaml = path.endswith(SUFFIXES)
        if refusal:
            result.problems.append(_problem(path, *refusal))
            result.complete = result.complete and not is_yaml
        elif is_yaml and entry.size > MAX_FILE_BYTES:
            message = f"the file has {entry.size} bytes; the maximum is {MAX_FILE_BYTES}"
            result.problems.append(_problem(path, Rule.TOO_LARGE, message, "split its documents over several files"))
            result.complete = False
        elif is_yaml:
            result.yaml.append(entry)
        if not is_yaml:
            result.others[path] = entry
    result.yaml.sort(key=lambda entry: entry.path)
    return result


def _refusal(entry: TreeEntry) -> tuple[Rule, str, str] | None:
    if entry.mode in REGULAR:
        path = entry.path
        if not path.isprintable() or len(path) > MAX_PATH_CHARS or path.startswith("/") or "\\" in path:
            return Rule.UNSAFE_PATH, "the path contains unsafe characters or is too long", "rename the file"
        return None
    if entry.mode == SYMLINK:
        return Rule.SYMLINK, "symbolic links are not allowed", "replace the link with the file itself"
    if entry.mode == SUBMODULE:
        return Rule.SUBMODULE, "submodules are not allowed", "copy the files into this repository"
    return Rule.SPECIAL_FILE, "neither a regular file nor a folder", "remove it"


def _problem(path: str, rule: Rule, message: str, hint: str = "") -> Problem:
    return Problem(path, 0, 0, "", rule, message, hint)
