# SPDX-License-Identifier: Apache-2.0
"""`tinyfleet validate`: all mistakes of a fleet repository, with file and line."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import click

from reconciler.cli.inputs.options import output_formats
from reconciler.cli.inputs.repositories import open_tree
from reconciler.cli.leaf_command import LeafCommand
from reconciler.cli.verbosity import note
from reconciler.cli.views.problems import FORMATS, summary
from reconciler.load import load


@click.command(cls=LeafCommand)
@click.argument("path", type=click.Path(path_type=Path, exists=True, file_okay=False), default=".")
@click.option("--commit", "revision", metavar="REV", help="Check this commit instead of the files in PATH.")
@output_formats(*FORMATS, note="github writes annotations for a pull request")
@click.option("--strict", is_flag=True, help="Treat warnings as errors.")
def command(path: Path, revision: str | None, output: str, *, strict: bool) -> None:
    """Check the fleet repository in PATH for mistakes.

    PATH defaults to the working directory. Reports all problems at once, each as `path:line:column: message`.
    Exits with 0 if there are none, with 1 if there are errors, and with 2 if the command line is wrong.
    """
    with open_tree(path, revision) as (tree, commit):
        loaded = load(tree, commit=commit)
    problems = [replace(problem, path=_from_here(path, problem.path)) for problem in loaded.problems]
    click.echo(FORMATS[output](problems, loaded), nl=False)
    if output != "json":
        note(summary(loaded))
    sys.exit(1 if loaded.desired is None or (strict and problems) else 0)


def _from_here(root: Path, path: str) -> str:
    """Return a path that a terminal or a forge can open from the working directory."""
    return (root / path).as_posix() if path else root.as_posix()
