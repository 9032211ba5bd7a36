# SPDX-License-Identifier: Apache-2.0
"""Options that several commands share. The grammar is the same everywhere, and tests/cli/test_grammar.py holds it.

`--output` selects a format, `--out` names a file or folder to write, `--config` names the gateway.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]

DIRECTORY = click.Path(file_okay=False, path_type=Path)
FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
NEW_FILE = click.Path(dir_okay=False, path_type=Path)
CONFIG_VARIABLE = "TINYFLEET_CONFIG"

config_option = click.option(
    "--config",
    "config_path",
    metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False),
    envvar=CONFIG_VARIABLE,
    default=Path("/etc/tinyfleet/gateway.toml"),
    show_default=True,
    show_envvar=True,
    help="Configuration file of the gateway.",
)


def output_formats(*formats: str, note: str = "") -> Decorator:
    """Add `--output` with the given formats; the first is the default."""
    meaning = f"Output format; {note}." if note else "Output format."
    return click.option("--output", type=click.Choice(formats), default=formats[0], show_default=True, help=meaning)


output_option = output_formats("text", "json")


def out_option(meaning: str, *, folder: bool = False, required: bool = False, metavar: str | None = None) -> Decorator:
    """Add `--out`: the file, or the folder, that the command writes."""
    return click.option(
        "-o",
        "--out",
        "out",
        metavar=metavar or ("DIR" if folder else "FILE"),
        type=DIRECTORY if folder else NEW_FILE,
        required=required,
        help=meaning,
    )


watch_option = click.option("--watch", "-w", is_flag=True, help="Refresh every two seconds until Ctrl-C.")
