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
from reconciler.cli.problem_report import from_here, problem_lines, styled
from reconciler.cli.terminal import print_lines
from reconciler.cli.verbosity import note
from reconciler.cli.views.problems import FORMATS, summary
from reconciler.load import load


@click.command(cls=LeafCommand)
@click.argument("path", type=click.Path(path_type=Path, exists=True, file_okay=False), default=".")
@click.option("--commit", "revision", metavar="REV", help="Check this commit instead of the files in PATH.")
@output_formats("text", *FORMATS, note="github writes annotations for a pull request")
@click.option("--strict", is_flag=True, help="Treat warnings as errors.")
def command(path: Path, revision: str | None, output: str, *, strict: bool) -> None:
    """Check the fleet repository in PATH for mistakes.

    PATH defaults to the working directory. Reports all problems at once, each as `path:line:column: message`, with
    the line and a caret. Exits with 0 if there are none, with 1 if there are errors, and with 2 if the command line
    is wrong.
    """
    with open_tree(path, revision) as (tree, commit):
        loaded = load(tree, commit=commit)
        lines = problem_lines(loaded.problems, tree, path) if output == "text" else []
    if output != "text":
        problems = [replace(problem, path=from_here(path, problem.path)) for problem in loaded.problems]
        click.echo(FORMATS[output](problems, loaded), nl=False)
    elif lines:
        print_lines(map(styled, lines))
    if output != "json":
        note(summary(loaded))
    sys.exit(1 if loaded.desired is None or (strict and loaded.problems) else 0)
