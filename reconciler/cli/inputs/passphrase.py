# SPDX-License-Identifier: Apache-2.0
"""Where a passphrase comes from: a prompt, a file that only its owner can read, or an open file descriptor.

Other processes can see arguments and environment values, so a passphrase is never taken from there. The environment
may name the file.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import click

from reconciler.cli.inputs.options import FILE
from signing import passphrase_sources
from signing.private_key_pem import Passphrase

PASSPHRASE_FILE = "TINYFLEET_PASSPHRASE_FILE"  # noqa: S105 - the name of a variable


def with_passphrase(function: Callable[..., None]) -> Callable[..., None]:
    """Add the options that select the source of a passphrase."""
    from_file = click.option(
        "--passphrase-file",
        metavar="FILE",
        type=FILE,
        envvar=PASSPHRASE_FILE,
        help=f"Read the passphrase from this file, readable only by its owner. [env: {PASSPHRASE_FILE}]",
    )
    from_fd = click.option(
        "--passphrase-fd", metavar="FD", type=int, help="Read the passphrase from this open file descriptor."
    )
    return from_file(from_fd(function))


def passphrase_from(path: Path | None, descriptor: int | None, *, new: bool = False) -> Passphrase:
    """Return a source that provides the passphrase when it is needed."""
    if path is not None:
        return lambda: passphrase_sources.from_file(path)
    if descriptor is not None:
        return lambda: passphrase_sources.from_descriptor(descriptor)
    return lambda: str(click.prompt("Passphrase", hide_input=True, confirmation_prompt=new, err=True)).encode()
