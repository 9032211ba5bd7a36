# SPDX-License-Identifier: Apache-2.0
"""`tinyfleet validate`: every mistake of a fleet repository, with file and line."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable
from dataclasses import asdict, replace
from pathlib import Path

import click

from reconciler.cli.inputs.trees import opened
from reconciler.load import LoadResult, Problem, Severity, load


@click.command("validate", short_help="Check a fleet repository")
@click.argument("path", type=click.Path(path_type=Path, exists=True, file_okay=False), default=".")
@click.option("--commit", "revision", metavar="REV", help="Check this commit of the repository, not the files in PATH.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json", "github"]),
    default="text",
    show_default=True,
    help="For people, programs, or a pull request on GitHub.",
)
@click.option("--strict", is_flag=True, help="Let warnings fail the check too.")
def command(path: Path, revision: str | None, form: str, *, strict: bool) -> None:
    """Check the fleet repository in PATH (the working directory, if not given).

    All problems are told at once, each as `path:line:column: message`. Exits with 0 if there is none,
    with 1 if there are, and with 2 if the command line is wrong.
    """
    with opened(path, revision) as (tree, commit):
        loaded = load(tree, commit=commit)
    problems = [replace(problem, path=_from_here(path, problem.path)) for problem in loaded.problems]
    FORMATS[form](problems, loaded)
    sys.exit(1 if loaded.desired is None or (strict and problems) else 0)


def _from_here(root: Path, path: str) -> str:
    """Name a file so that a terminal or a forge finds it from where the command was given."""
    return (root / path).as_posix() if path else root.as_posix()


def _text(problems: Iterable[Problem], loaded: LoadResult) -> None:
    for problem in problems:
        click.echo(str(problem))
    click.echo(_summary(loaded), err=True)


def _json(problems: Iterable[Problem], loaded: LoadResult) -> None:
    rows = [
        {"severity": problem.severity} | {_camel(name): value for name, value in asdict(problem).items()}
        for problem in problems
    ]
    click.echo(json.dumps({"valid": loaded.desired is not None, "problems": rows}, indent=2))


def _github(problems: Iterable[Problem], loaded: LoadResult) -> None:
    """Write workflow commands: GitHub shows each beside its line in a pull request."""
    for problem in problems:
        message = problem.message + (f" [{problem.json_path}]" if problem.json_path else "")
        message += f" ({problem.hint})" if problem.hint else ""
        place = f",line={problem.line},col={problem.column}" if problem.line else ""
        title = f",title={_property(problem.rule)}"
        click.echo(f"::{problem.severity} file={_property(problem.path)}{place}{title}::{_data(message)}")
    click.echo(_summary(loaded), err=True)


FORMATS: dict[str, Callable[[Iterable[Problem], LoadResult], None]] = {"text": _text, "json": _json, "github": _github}


def _summary(loaded: LoadResult) -> str:
    errors = len(loaded.errors)
    warnings = sum(problem.severity is Severity.WARNING for problem in loaded.problems)
    if loaded.desired is None:
        return f"{_count(errors, 'error')}, {_count(warnings, 'warning')}"
    wanted = loaded.desired
    kinds = (
        (wanted.gateways, "gateway"),
        (wanted.types, "device type"),
        (wanted.devices, "device"),
        (wanted.models, "model"),
        (wanted.rollouts, "rollout"),
    )
    counts = ", ".join(_count(len(things), word) for things, word in kinds)
    return f"valid: {counts}" + (f"; {_count(warnings, 'warning')}" if warnings else "")


def _count(number: int, word: str) -> str:
    return f"{number} {word}" if number == 1 else f"{number} {word}s"


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(part.capitalize() for part in rest)


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
