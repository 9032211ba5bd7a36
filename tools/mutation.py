# SPDX-License-Identifier: Apache-2.0
"""Mutants of Python source: one small change each, of the kinds that a missing or weak check would show.

There are two sets of changes. Those of code that validates input:
- a check that never fails: `require(x, …)` with `x or True`, and `if x: raise …` with `x and False`;
- a limit that is off by one, in any comparison: `<=` for `<`, `>` for `>=`, and so on;
- a missing call, of those whose result is unused (`reader.end()`, `_check_target(…)`).

And those of code that decides:
- a condition of an `if`, of a comprehension, of a `match` guard or of a return value that always or never holds;
- an operand of `and` or `or` that is left out;
- `min` for `max`, and the reverse.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, cast

OFF_BY_ONE: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
}
# Only a power cut, a crash or a leak would show that these are missing, which tests in one process cannot cause.
BEYOND_TESTS = {"fsync", "_sync_directory", "flush", "close"}


Change = Callable[[Any], None]  # its argument has the type of the node that it applies to
Changes = Callable[[ast.AST], Iterator[tuple[str, Change]]]


@dataclass(frozen=True)
class Mutant:
    """One changed source file."""

    file: str
    line: int
    function: str  # qualified, the outermost one; empty at the level of the module or a class
    change: str
    text: str  # of the unchanged file
    node: int  # the number of the changed one, in the order of `ast.walk`
    apply: Change

    @property
    def source(self) -> str:
        """The changed source."""
        tree = ast.parse(self.text)
        self.apply(list(ast.walk(tree))[self.node])
        return ast.unparse(ast.fix_missing_locations(tree))

    @property
    def key(self) -> tuple[str, str, str]:
        """What names it while the file changes around it."""
        return self.file, self.function, self.change

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.function}: {self.change}"


def mutants(path: Path, root: Path, changes: Changes) -> Iterator[Mutant]:
    """Yield all mutants of one module."""
    text = path.read_text(encoding="utf-8")
    tree = ast.parse(text)
    functions = _functions(tree)
    for number, node in enumerate(ast.walk(tree)):
        for description, change in changes(node):
            place = (str(path.relative_to(root)), getattr(node, "lineno", 0), functions.get(node, ""))
            yield Mutant(*place, description, text, number, change)


def _functions(tree: ast.Module) -> dict[ast.AST, str]:
    """Map each node to the qualified name of the outermost function around it."""
    found: dict[ast.AST, str] = {}

    def visit(node: ast.AST, classes: tuple[str, ...]) -> None:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef)):
                found.update(dict.fromkeys(ast.walk(child), ".".join((*classes, child.name))))
            elif isinstance(child, ast.ClassDef):
                visit(child, (*classes, child.name))
            else:
                visit(child, classes)

    visit(tree, ())
    return found


def validation_changes(node: ast.AST) -> Iterator[tuple[str, Change]]:
    """Yield the changes to code that validates input which apply to this node."""
    match node:
        case ast.Expr(value=ast.Call(func=ast.Name(id="require"), args=[condition, *_])):
            yield f"never refuses: {ast.unparse(condition)}", _always_holds
        case ast.Expr(value=ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name))) if name not in BEYOND_TESTS:
            yield f"left out: {ast.unparse(node)}", _left_out
        case ast.If(test=condition, body=[ast.Raise()]):
            yield f"never raises: {ast.unparse(condition)}", _never_holds
        case ast.Compare(ops=operators):
            for place, operator in enumerate(operators):
                if type(operator) in OFF_BY_ONE:
                    yield f"off by one: {ast.unparse(node)}", partial(_off_by_one, place=place)
        case _:
            pass


def _always_holds(node: ast.Expr) -> None:
    call = cast("ast.Call", node.value)
    call.args[0] = ast.BoolOp(ast.Or(), [call.args[0], ast.Constant(value=True)])


def _never_holds(node: ast.If) -> None:
    node.test = ast.BoolOp(ast.And(), [node.test, ast.Constant(value=False)])


def _left_out(node: ast.Expr) -> None:
    node.value = ast.Constant(value=None)


def _off_by_one(node: ast.Compare, place: int) -> None:
    node.ops[place] = OFF_BY_ONE[type(node.ops[place])]()


def decision_changes(node: ast.AST) -> Iterator[tuple[str, Change]]:
    """Yield the changes to code that decides, and to code that validates, which apply to this node."""
    yield from validation_changes(node)
    for field, condition in _conditions(node):
        for word, value in (("always", True), ("never", False)):
            yield f"{word} holds: {ast.unparse(condition)}", partial(_decided, field=field, value=value)
    match node:
        case ast.comprehension(ifs=conditions):
            for place, condition in enumerate(conditions):
                yield f"keeps all: {ast.unparse(condition)}", partial(_keep_all, place=place)
        case ast.BoolOp(values=operands):
            for place, operand in enumerate(operands):
                yield f"without an operand: {ast.unparse(operand)}", partial(_without_operand, place=place)
        case ast.Call(func=ast.Name(id="max" | "min" as name)):
            yield f"not {name}: {ast.unparse(node)}", _other_end
        case _:
            pass


def compared_by_ending(node: ast.AST) -> Iterator[tuple[str, Change]]:
    """Yield the change of a comparison of names to one of their endings."""
    if isinstance(node, ast.Compare) and isinstance(node.ops[0], ast.Eq):
        yield f"compared by its ending: {ast.unparse(node)}", _by_ending


def _conditions(node: ast.AST) -> Iterator[tuple[str, ast.expr]]:
    """Yield the condition of a node, with the field that it is in."""
    match node:
        case ast.If(body=[ast.Raise()]):
            pass  # the changes to a check include one that never fails
        case ast.If(test=test) | ast.IfExp(test=test):
            yield "test", test
        case ast.match_case(guard=ast.expr() as guard):
            yield "guard", guard
        case ast.Return(value=ast.Compare() | ast.BoolOp() | ast.UnaryOp(op=ast.Not()) as value):
            yield "value", value
        case ast.Return(value=ast.Call(func=ast.Name(id="all" | "any")) as value):
            yield "value", value
        case _:
            pass


def _decided(node: ast.AST, field: str, *, value: bool) -> None:
    """Evaluate the condition, but decide without it."""
    operator = ast.Or() if value else ast.And()
    condition = getattr(node, field)
    setattr(node, field, ast.BoolOp(operator, [condition, ast.Constant(value=value)]))


def _keep_all(node: ast.comprehension, place: int) -> None:
    node.ifs[place] = ast.BoolOp(ast.Or(), [node.ifs[place], ast.Constant(value=True)])


def _without_operand(node: ast.BoolOp, place: int) -> None:
    node.values[place] = ast.Constant(value=isinstance(node.op, ast.And))


def _other_end(node: ast.Call) -> None:
    name = cast("ast.Name", node.func)
    name.id = {"max": "min", "min": "max"}[name.id]


def _by_ending(node: ast.Compare) -> None:
    left, right = node.left, node.comparators[0]
    node.left = ast.Call(ast.Attribute(left, "endswith", ast.Load()), [right], [])
    node.ops, node.comparators = [ast.Is()], [ast.Constant(value=True)]
