# SPDX-License-Identifier: Apache-2.0
"""Generates man pages and shell completion for packages.

    python tools/manual.py FOLDER

writes FOLDER/man/man1/*.1, one page for each command from its help, and the completion scripts of click for bash, zsh
and fish, each at the path below a `share` folder where the shell looks for it.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator
from importlib import metadata
from pathlib import Path

import click
from click.shell_completion import get_completion_class

from reconciler.cli import GROUPS, cli

NAME = "tinyfleet"
EXIT_CODES = (
    ("0", "Success."),
    ("1", "A problem was found, or something failed."),
    ("2", "The command line was wrong."),
)
COMPLETIONS = {
    "bash": f"bash-completion/completions/{NAME}",
    "zsh": f"zsh/site-functions/_{NAME}",
    "fish": f"fish/vendor_completions.d/{NAME}.fish",
}


def contexts(
    command: click.Command, names: tuple[str, ...] = (NAME,), above: click.Context | None = None
) -> Iterator[tuple[tuple[str, ...], click.Context]]:
    """Walk over a command and its subcommands."""
    context = click.Context(command, info_name=names[-1], parent=above, **command.context_settings)
    yield names, context
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            child = command.get_command(context, name)
            if child is not None and not child.hidden:
                yield from contexts(child, (*names, name), context)


def page(names: tuple[str, ...], context: click.Context) -> str:
    """Return one page of section 1 in man macros."""
    command = context.command
    title = "-".join(names)
    lines = [
        f'.TH "{title.upper()}" "1" "" "{NAME} {metadata.version(NAME)}" "{NAME}"',
        ".SH NAME",
        f"{text(title)} \\- {text(purpose(command))}",
        ".SH SYNOPSIS",
        f".B {text(' '.join(names))}",
        text(" ".join(command.collect_usage_pieces(context))),
        ".SH DESCRIPTION",
        *paragraphs(command.help or ""),
    ]
    records = [each.get_help_record(context) for each in command.get_params(context)]
    options = [record for record in records if record and record[1]]  # the description covers the arguments
    if options:
        lines += [".SH OPTIONS", *items(options)]
    if isinstance(command, click.Group):
        children = [(name, command.get_command(context, name)) for name in command.list_commands(context)]
        rows = {name: (f"{title}-{name}(1)", purpose(child)) for name, child in children if child and not child.hidden}
        lines += [".SH COMMANDS", *(grouped(rows) if command is cli else items(rows.values()))]
    lines += [".SH EXIT STATUS", *items(EXIT_CODES), *see_also(names)]
    return "\n".join(lines) + "\n"


def grouped(rows: dict[str, tuple[str, str]]) -> Iterator[str]:
    """List the commands by reader, as `--help` does."""
    for heading, commands in GROUPS.items():
        yield f".SS {text(heading)}"
        yield from items(rows[name] for name in commands)


def purpose(command: click.Command) -> str:
    """Return the short help."""
    return command.get_short_help_str(limit=200).rstrip(".")


def paragraphs(help_text: str) -> Iterator[str]:
    """Format the help of a command, paragraph by paragraph."""
    for number, paragraph in enumerate(re.split(r"\n\s*\n", help_text.strip())):
        if number:
            yield ".PP"
        yield text(" ".join(paragraph.replace("\b", "").split()))


def items(rows: Iterable[tuple[str, str]]) -> Iterator[str]:
    """Format a list of terms with their meaning."""
    for term, meaning in rows:
        yield from (".TP", f"\\fB{text(term)}\\fR", text(" ".join(meaning.split())))


def see_also(names: tuple[str, ...]) -> Iterator[str]:
    """Refer to the page of the parent command."""
    if len(names) > 1:
        yield ".SH SEE ALSO"
        yield f".BR {text('-'.join(names[:-1]))} (1)"


def text(plain: str) -> str:
    """Escape the special characters of roff."""
    escaped = plain.replace("\\", "\\e").replace("-", "\\-").replace("…", "...").replace("`", "\\(ga")
    return f"\\&{escaped}" if escaped.startswith((".", "'")) else escaped


def write(path: Path, content: str) -> None:
    """Write a file, and create its folders."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content, encoding="utf-8")


def main() -> None:
    """Write all pages and completion scripts."""
    folder = Path(sys.argv[1])
    for names, context in contexts(cli):
        write(folder / "man" / "man1" / f"{'-'.join(names)}.1", page(names, context))
    for shell, path in COMPLETIONS.items():
        kind = get_completion_class(shell)
        if kind is None:
            sys.exit(f"click has no completion for {shell}")
        write(folder / path, kind(cli, {}, NAME, f"_{NAME.upper()}_COMPLETE").source())


if __name__ == "__main__":
    main()
