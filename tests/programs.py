# SPDX-License-Identifier: Apache-2.0
"""Finds the programs that are started by Python through subprocess, by shell scripts, Makefiles and documents.

In Python it follows an argument list back to the literal that it begins with: through names, through `or` and `+`,
and through functions that pass their arguments on. Lists without such a literal (a path, this Python) are skipped.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import PurePosixPath

import yaml

STARTERS = {
    **dict.fromkeys(("run", "Popen", "call", "check_call", "check_output"), "subprocess"),
    **dict.fromkeys(("create_subprocess_exec", "create_subprocess_shell"), "asyncio"),
    "which": "shutil",
}


@dataclass
class Module:
    """One Python file, and its imports."""

    name: str
    tree: ast.Module
    calls: list[ast.Call] = field(default_factory=list)
    assigned: dict[str, list[ast.expr]] = field(default_factory=dict)
    imported: dict[str, str] = field(default_factory=dict)  # name here → module.name there
    defined: set[str] = field(default_factory=set)
    near: set[str] = field(default_factory=set)  # this module and those that it imports from
    functions: dict[ast.AST, ast.FunctionDef | ast.AsyncFunctionDef] = field(
        default_factory=dict
    )  # node → the function around it

    def __post_init__(self) -> None:
        """Collect the names."""
        for node in ast.walk(self.tree):
            match node:
                case ast.Call():
                    self.calls.append(node)
                case ast.Assign(targets=targets, value=value):
                    for target in targets:
                        self._assign(target, value)
                case ast.AnnAssign(target=target, value=ast.expr() as value):
                    self._assign(target, value)
                case ast.For(target=target, iter=ast.Tuple(elts=values) | ast.List(elts=values)):
                    for value in values:
                        self._assign(target, value)
                case ast.ImportFrom(module=str(module), names=names):
                    self.imported |= {each.asname or each.name: f"{module}.{each.name}" for each in names}
                case ast.FunctionDef() | ast.AsyncFunctionDef():
                    self.defined.add(node.name)
                    self.functions |= dict.fromkeys(ast.walk(node), node)  # the innermost comes last
                case _:
                    pass
        self.near = {self.name, *(path.rpartition(".")[0] for path in self.imported.values())}

    def _assign(self, target: ast.expr, value: ast.expr) -> None:
        if isinstance(target, ast.Name | ast.Attribute):
            name = target.id if isinstance(target, ast.Name) else target.attr
            self.assigned.setdefault(name, []).append(value)


@dataclass(frozen=True, slots=True)
class PassedOn:
    """A function that starts the program named by its argument at this position."""

    module: str
    name: str
    position: int
    method: bool


def started_by_python(sources: dict[str, str]) -> dict[str, set[str]]:
    """Return program → the modules that start it; modules have dotted names."""
    modules = [Module(name, ast.parse(text)) for name, text in sources.items()]
    passing: set[PassedOn] = set()
    while True:
        found: dict[str, set[str]] = {}
        more: set[PassedOn] = set()
        for module in modules:
            for call in module.calls:
                for first in _first_arguments(module, call, passing):
                    for word in _begins(module, first, call, more):
                        found.setdefault(PurePosixPath(word).name, set()).add(module.name)
        if more <= passing:
            return found
        passing |= more


def _first_arguments(module: Module, call: ast.Call, passing: set[PassedOn]) -> Iterator[ast.expr]:
    """Yield the argument that names the program, if the call starts one."""
    match call.func:
        case ast.Attribute(value=ast.Name(id=owner), attr=name) if STARTERS.get(name) == owner:
            yield from call.args[:1]
        case ast.Name(id=name):
            there = module.imported.get(name, f"{module.name}.{name}")
            for each in passing:
                if not each.method and there == f"{each.module}.{each.name}":
                    yield from call.args[each.position : each.position + 1]
        case ast.Attribute(attr=name):
            known = {module.name} if name in module.defined else module.near
            for each in passing:
                if each.method and each.name == name and each.module in known:
                    yield from call.args[each.position : each.position + 1]
        case _:
            pass


def _begins(
    module: Module, value: ast.expr, at: ast.AST, passing: set[PassedOn], names: frozenset[str] = frozenset()
) -> Iterator[str]:
    """Yield the words that an argument list can begin with; add to `passing` if the caller decides.

    `names` are those that were followed to get here: two variables may be assigned to each other.
    """
    match value:
        case ast.Constant(value=str(text)) if text.strip():
            yield text.split()[0]
        case ast.JoinedStr(values=[ast.Constant(value=str(text)), *_]) if " " in text.lstrip():
            yield text.split()[0]
        case ast.Name(id=name) if _is_argument(module, name, at, passing):
            pass
        case ast.Name(id=name) | ast.Attribute(attr=name) if name not in names:
            for each in module.assigned.get(name, []):
                if not _mentions(each, name):
                    yield from _begins(module, each, each, passing, names | {name})
        case _:
            for each in _firsts(value):
                yield from _begins(module, each, at, passing, names)


def _firsts(value: ast.expr) -> list[ast.expr]:
    """Return the parts that a composed value may begin with."""
    match value:
        case (
            ast.List(elts=[first, *_]) | ast.Tuple(elts=[first, *_]) | ast.Starred(value=first) | ast.BinOp(left=first)
        ):
            return [first]
        case ast.BoolOp(values=several):
            return several
        case ast.IfExp(body=one, orelse=other):
            return [one, other]
        case ast.Call(func=ast.Attribute(value=text, attr="split")) | ast.Call(func=ast.Name(id="str"), args=[text]):
            return [text]
        case _:
            return []


def _is_argument(module: Module, name: str, at: ast.AST, passing: set[PassedOn]) -> bool:
    """Return whether a name is an argument of the function around it; if so, add the function to `passing`."""
    function = module.functions.get(at)
    if function is None:
        return False
    arguments = [each.arg for each in (*function.args.posonlyargs, *function.args.args)]
    method = arguments[:1] == ["self"]
    if function.args.vararg is not None:
        arguments.append(function.args.vararg.arg)
    if name not in arguments:
        return False
    passing.add(PassedOn(module.name, function.name, arguments.index(name) - method, method))
    return True


def _mentions(value: ast.expr, name: str) -> bool:
    return any(isinstance(node, ast.Name) and node.id == name for node in ast.walk(value))


# ---------------------------------------------------------------- shell

HEREDOC = re.compile(r"<<-?\s*'?(\w+)'?[^\n]*\n.*?\n\1\n", re.DOTALL)
COMMENT = re.compile(r"(?:^|(?<=\s))#.*$", re.MULTILINE)
QUOTED = re.compile(r"'[^']*'|\"(?:[^\"\\$]|\\.|\$(?!\())*\"")
ARITHMETIC = re.compile(r"\$?\(\(.*?\)\)")
CASE_PATTERN = re.compile(r"^[^\n(]*?[\w*|\"\s-]\)\s", re.MULTILINE)
BEGINS = re.compile(r"(?:^|[;|&({!]|\$\(|\b(?:then|do|else|if|while|until|exec|sudo -n)\b)\s*", re.MULTILINE)
ASSIGNMENTS = re.compile(r"(?:[A-Za-z_]\w*\+?=(?:\$?\([^)]*\)|[^\s;|&()])*\s*)*")
PROGRAM = re.compile(r"([A-Za-z_][\w.+-]*)(?=[\s;|&)]|$)")
FUNCTION = re.compile(r"^\s*(?:function\s+)?([A-Za-z_]\w*)\s*\(\)", re.MULTILINE)
OF_THE_SHELL = {
    *("if", "then", "else", "elif", "fi", "for", "do", "done", "while", "until", "case", "esac", "in", "function"),
    *("set", "cd", "exit", "export", "local", "read", "return", "shift", "source", "trap", "unset", "wait", "mapfile"),
    *("compgen", "command", "type", "exec", "eval", "umask"),
}


def started_by_shell(text: str) -> set[str]:
    """Return the words that a shell would run as programs."""
    bare = HEREDOC.sub("\n", text.replace("\\\n", " "))
    for pattern, instead in ((COMMENT, ""), (CASE_PATTERN, "\n"), (QUOTED, "''"), (ARITHMETIC, "0")):
        bare = pattern.sub(instead, bare)
    found: set[str] = set()
    for begin in BEGINS.finditer(bare):
        rest = bare[begin.end() :].lstrip(" \t")
        word = PROGRAM.match(ASSIGNMENTS.sub("", rest, count=1))
        if word:
            found.add(word[1])
    return found - OF_THE_SHELL - set(FUNCTION.findall(bare))


def started_by_make(text: str) -> set[str]:
    """Return the programs that recipes and `$(shell …)` start."""
    joined = re.sub(r"\\\n\s*", " ", text)
    recipes = [line.lstrip("\t@-+ ") for line in joined.splitlines() if line.startswith("\t")]
    shell = "\n".join(re.sub(r"\$\([^()]*\)", "$X", line).replace("$$", "$") for line in recipes)
    return started_by_shell(shell) | set(re.findall(r"\$\(shell ([\w.+-]+)", joined))


def started_by_ci(text: str) -> set[str]:
    """Return the programs of a workflow: in `script` for GitLab, in the `run` of each step for GitHub."""
    found: set[str] = set()
    queue: list[object] = [yaml.safe_load(text)]
    while queue:
        match queue.pop():
            case dict() as mapping:
                for name, value in mapping.items():
                    lines = value if isinstance(value, list) else [value]
                    if name in {"run", "script", "before_script"}:
                        found |= started_by_shell("\n".join(str(line) for line in lines))
                    else:
                        queue.append(value)
            case list() as several:
                queue.extend(several)
            case _:
                pass
    return found
