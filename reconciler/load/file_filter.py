# SPDX-License-Identifier: Apache-2.0
"""Which files of a tree are the fleet's, and which must not be there at all."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from reconciler.load.problems import Problem, Rule
from reconciler.load.strict_yaml import MAX_FILE_BYTES
from reconciler.tree import REGULAR, SUBMODULE, SYMLINK, Entry

SUFFIXES = (".yaml", ".yml")
MAX_PATH_CHARS = 1024


@dataclass(slots=True)
class FilteredFiles:
    """The files of a tree by what they are for."""

    yaml: list[Entry] = field(default_factory=list)
    others: dict[str, Entry] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    whole: bool = True  # no file of YAML was refused


def sort(entries: Iterable[Entry]) -> FilteredFiles:
    """Tell YAML from other files, leave hidden files out, and refuse what can't be trusted."""
    result = FilteredFiles()
    for entry in entries:
        path = entry.path
        if path.startswith(".") or "/." in path:
            if ".." in path.split("/"):
                result.problems.append(_problem(path, Rule.UNSAFE_PATH, "the path leads out of the repository"))
            continue  # `.git`, `.github`, editors' own: hidden files are not the fleet's
        refusal = _refusal(entry)
        is_yaml = path.endswith(SUFFIXES)
        if refusal:
            result.problems.append(_problem(path, *refusal))
            result.whole = result.whole and not is_yaml
        elif is_yaml and entry.size > MAX_FILE_BYTES:
            said = f"the file has {entry.size} bytes; at most {MAX_FILE_BYTES} are read"
            result.problems.append(_problem(path, Rule.TOO_LARGE, said, "put its documents into several files"))
            result.whole = False
        elif is_yaml:
            result.yaml.append(entry)
        if not is_yaml:
            result.others[path] = entry
    result.yaml.sort(key=lambda entry: entry.path)
    return result


def _refusal(entry: Entry) -> tuple[Rule, str, str] | None:
    if entry.mode in REGULAR:
        path = entry.path
        if not path.isprintable() or len(path) > MAX_PATH_CHARS or path.startswith("/") or "\\" in path:
            return Rule.UNSAFE_PATH, "the path has characters that are not safe, or is too long", "rename the file"
        return None
    if entry.mode == SYMLINK:
        return Rule.SYMLINK, "a symbolic link", "links are never followed; put the file itself here"
    if entry.mode == SUBMODULE:
        return Rule.SUBMODULE, "a submodule", "submodules are never fetched; put the files themselves here"
    return Rule.SPECIAL_FILE, "neither a file nor a folder", "remove it"


def _problem(path: str, rule: Rule, message: str, hint: str = "") -> Problem:
    return Problem(path, 0, 0, "", rule, message, hint)
