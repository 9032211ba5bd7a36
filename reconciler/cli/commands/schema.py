# SPDX-License-Identifier: Apache-2.0
"""`tinyfleet schema`: the JSON Schema of a document kind, for editors."""

from __future__ import annotations

from pathlib import Path

import click

from reconciler.cli.inputs.known_names import require_known
from reconciler.cli.inputs.options import out_option
from reconciler.cli.leaf_command import LeafCommand
from reconciler.cli.output_file import OutputNotWritten, write_output
from reconciler.load.schemas import KINDS, OTHER_KINDS, schema_text

EVERY_KIND = (*KINDS, *OTHER_KINDS)


@click.command(cls=LeafCommand)
@click.argument("kind", required=False, shell_complete=lambda _context, _option, start: _kinds(start))
@out_option("Write the schemas of all kinds to this folder.", folder=True)
def command(kind: str | None, out: Path | None) -> None:
    """Print the JSON Schema of KIND, or write the schemas of all kinds to a folder for editors."""
    if (kind is None) == (out is None):
        raise click.UsageError("give either KIND or --out DIR")
    if kind is not None:
        exact = next(iter(each for each in EVERY_KIND if each.lower() == kind.lower()), kind)
        require_known("kind", exact, EVERY_KIND)
        click.echo(schema_text(exact), nl=False)
    if out is not None:
        _write(out)


def _kinds(start: str) -> list[str]:
    return [kind for kind in EVERY_KIND if kind.lower().startswith(start.lower())]


def _write(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputNotWritten(f"{error.filename}: {error.strerror}") from error
    for kind, name in KINDS.items():
        write_output(folder / f"{name}.json", schema_text(kind).encode())
