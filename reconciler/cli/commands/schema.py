# SPDX-License-Identifier: Apache-2.0
"""`tinyfleet schema`: the JSON Schema of a kind, for editors and for people."""

from __future__ import annotations

from pathlib import Path

import click

from reconciler.errors import Unusable
from reconciler.load.schemas import KINDS, OTHER_KINDS, schema_text


class NotWritten(Unusable):
    """The schemas can't be written there."""


@click.command("schema", short_help="Print the schema of a kind")
@click.argument("kind", type=click.Choice([*KINDS, *OTHER_KINDS], case_sensitive=False), required=False)
@click.option(
    "--write",
    "folder",
    metavar="DIR",
    type=click.Path(path_type=Path, file_okay=False),
    help="Write all of them to DIR.",
)
def command(kind: str | None, folder: Path | None) -> None:
    """Print the JSON Schema of KIND, or write those of all kinds for editors to validate with."""
    if (kind is None) == (folder is None):
        raise click.UsageError("give either KIND or --write DIR")
    if kind is not None:
        click.echo(schema_text(kind), nl=False)
    if folder is not None:
        _write(folder)


def _write(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for kind, name in KINDS.items():
            (folder / f"{name}.json").write_text(schema_text(kind), encoding="utf-8")
    except OSError as error:
        raise NotWritten(f"{error.filename}: {error.strerror}") from error
