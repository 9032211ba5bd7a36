# SPDX-License-Identifier: Apache-2.0
"""Write what a package carries beside the command: man pages and shell completion.

    python tools/manual.py FOLDER

writes FOLDER/man/man1/*.1, one page per command, from the command's own help, and the completion that click generates
for bash, zsh and fish, each where that shell looks for it below a `share` folder.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator
from importlib import metadata
from pathlib import Path

import click
from click.shell_completion import get_completion_class

from reconciler.cli import cli

NAME = "tinyfleet"
EXIT_CODES = (
    ("0", "Done, and nothing is wrong."),
    ("1", "Problems were found, or something failed."),
    ("2", "The command line was wrong."),
)
COMPLETIONS = {
    "bash": f"bash-completion/completions/{NAME}",
    "zsh": f"zsh/site-functions/_{NAME}",
    "fish": f"fish/vendor_completions.d/{NAME}.fish",
}


def contexts(
    command: click.Command, words: tuple[str, ...] = (NAME,), above: click.Context | None = None
) -> Iterator[tuple[tuple[str, ...], click.Context]]:
    """Walk over the command and all below it."""
    context = click.Context(command, info_name=words[-1], parent=above, **command.context_settings)
    yield words, context
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            child = command.get_command(context, name)
            if child is not None and not child.hidden:
                yield from contexts(child, (*words, name), context)


def page(words: tuple[str, ...], context: click.Context) -> str:
    """Write one page of section 1 in the man macros."""
    command = context.command
    title = "-".join(words)
    lines = [
        f'.TH "{title.upper()}" "1" "" "{NAME} {metadata.version(NAME)}" "{NAME}"',
        ".SH NAME",
        f"{text(title)} \\- {text(purpose(command))}",
        ".SH SYNOPSIS",
        f".B {text(' '.join(words))}",
        text(" ".join(command.collect_usage_pieces(context))),
        ".SH DESCRIPTION",
        *paragraphs(command.help or ""),
    ]
    records = [each.get_help_record(context) for each in command.get_params(context)]
    options = [record for record in records if record and record[1]]  # an argument's words are in the description
    if options:
        lines += [".SH OPTIONS", *items(options)]
    if isinstance(command, click.Group):
        children = [(name, command.get_command(context, name)) for name in command.list_commands(context)]
        rows = [(f"{title}-{name}(1)", purpose(child)) for name, child in children if child and not child.hidden]
        lines += [".SH COMMANDS", *items(rows)]
    lines += [".SH EXIT STATUS", *items(EXIT_CODES), *see_also(words)]
    return "\n".join(lines) + "\n"


def purpose(command: click.Command) -> str:
    """Return the first sentence: what `--help` lists."""
    return command.get_short_help_str(limit=200).rstrip(".")


def paragraphs(help_text: str) -> Iterator[str]:
    """Set a command's help, paragraph by paragraph."""
    for number, paragraph in enumerate(re.split(r"\n\s*\n", help_text.strip())):
        if number:
            yield ".PP"
        yield text(" ".join(paragraph.replace("\b", "").split()))


def items(rows: Iterable[tuple[str, str]]) -> Iterator[str]:
    """Set a list of things with what they mean."""
    for what, meaning in rows:
        yield from (".TP", f"\\fB{text(what)}\\fR", text(" ".join(meaning.split())))


def see_also(words: tuple[str, ...]) -> Iterator[str]:
    """Point to the page above."""
    if len(words) > 1:
        yield ".SH SEE ALSO"
        yield f".BR {text('-'.join(words[:-1]))} (1)"


def text(plain: str) -> str:
    """Escape what roff would take for its own."""
    escaped = plain.replace("\\", "\\e").replace("-", "\\-").replace("…", "...").replace("`", "\\(ga")
    return f"\\&{escaped}" if escaped.startswith((".", "'")) else escaped


def write(path: Path, content: str) -> None:
    """Write one file and the folders that lead to it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content, encoding="utf-8")


def main() -> None:
    """Write all of it."""
    folder = Path(sys.argv[1])
    for words, context in contexts(cli):
        write(folder / "man" / "man1" / f"{'-'.join(words)}.1", page(words, context))
    for shell, path in COMPLETIONS.items():
        kind = get_completion_class(shell)
        if kind is None:
            sys.exit(f"click has no completion for {shell}")
        write(folder / path, kind(cli, {}, NAME, f"_{NAME.upper()}_COMPLETE").source())


if __name__ == "__main__":
    main()
