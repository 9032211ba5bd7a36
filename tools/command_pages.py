# SPDX-License-Identifier: Apache-2.0
"""Write docs/commands/: what each command takes, from its own help, one page for the commands of one purpose.

    python -m tools.command_pages

A test compares the pages with what this writes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import click

from reconciler.cli import cli
from tools.manual import EXIT_CODES, NAME, contexts, purpose

FOLDER = Path(__file__).resolve().parents[1] / "docs" / "commands"
# page: its title, its commands in the order in which they are met, and where the matter itself is told
PAGES: dict[str, tuple[str, tuple[str, ...], str]] = {
    "repository": (
        "The fleet repository",
        ("init", "validate", "schema"),
        "[the fleet repository](../fleet-repo.md), [what each mistake means](../validation.md)",
    ),
    "rollouts": (
        "Plans, rollouts and reasons",
        ("plan", "rollout", "explain"),
        "[how a plan is reasoned](../plan.md), [rollouts](../rollouts.md), [review](../review.md)",
    ),
    "models": ("Models and packs", ("build", "pack"), "[from model to pack](../build.md)"),
    "devices": ("Devices", ("provision",), "[provisioning](../provisioning.md)"),
    "gateway": (
        "A gateway",
        ("run", "reconcile", "status", "doctor", "accept", "config", "install-service", "uninstall-service"),
        "[operations](../operations.md), [configuration](../configuration.md)",
    ),
    "keys": ("Keys and envelopes", ("keys", "envelope"), "[keys](../keys.md), [envelope](../specs/envelope.md)"),
    "pki": ("Certificates", ("pki",), "[certificates for MQTT](../pki.md)"),
}


def page(title: str, commands: Iterable[str], see: str) -> str:
    """Return one page."""
    lines = [
        f"# {title}: commands",
        "",
        f"Written by `make command-docs` from the commands' own help. Read also: {see}.",
    ]
    for name in commands:
        for words, context in walk(name):
            lines += ["", *section(words, context)]
    return "\n".join(lines) + "\n"


def walk(name: str) -> Iterator[tuple[tuple[str, ...], click.Context]]:
    """Yield one command and all below it."""
    for words, context in contexts(cli):
        if words[1:2] == (name,):
            yield words, context


def section(words: tuple[str, ...], context: click.Context) -> Iterator[str]:
    """Yield what one command takes."""
    command = context.command
    usage = " ".join((*words, *command.collect_usage_pieces(context)))
    yield from (f"{'#' * len(words)} {' '.join(words)}", "", "```text", usage, "```", "")
    yield from paragraphs(command.help or "")
    options = [each.get_help_record(context) for each in command.get_params(context)]
    rows = [record for record in options if record and record[1] and "--help" not in record[0]]
    if rows:
        yield from ("", "| option | |", "|---|---|")
        yield from (f"| `{cell(what)}` | {cell(meaning)} |" for what, meaning in rows)


def paragraphs(help_text: str) -> Iterator[str]:
    """Yield a command's help; what it sets line by line stays so."""
    for number, paragraph in enumerate(re.split(r"\n\s*\n", help_text.strip())):
        if number:
            yield ""
        if paragraph.startswith("\b"):
            yield from ("```text", *paragraph.splitlines()[1:], "```")
        else:
            yield " ".join(paragraph.split())


def cell(text: str) -> str:
    """Return text as a table takes it."""
    return " ".join(text.split()).replace("|", "\\|")


def index() -> str:
    """Return the page that lists all commands."""
    lines = [
        "# Commands",
        "",
        f"All of `{NAME}`, by purpose. Written by `make command-docs` from the commands' own help.",
    ]
    short = {
        words[1]: purpose(context.command) for words, context in contexts(cli) if len(words) == len((NAME, "command"))
    }
    for file, (title, names, _) in PAGES.items():
        lines += ["", f"## [{title}]({file}.md)", "", "| command | |", "|---|---|"]
        lines += [f"| [`{NAME} {name}`]({file}.md#{NAME}-{name}) | {short[name]} |" for name in names]
    lines += ["", "## Exit codes", "", "| code | of every command |", "|---|---|"]
    lines += [f"| {code} | {meaning} |" for code, meaning in EXIT_CODES]
    return "\n".join(lines) + "\n"


def pages() -> dict[str, str]:
    """Return all files of the folder by name."""
    return {"README.md": index(), **{f"{file}.md": page(*what) for file, what in PAGES.items()}}


def main() -> None:
    """Write them."""
    FOLDER.mkdir(exist_ok=True)
    for name, text in pages().items():
        (FOLDER / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
