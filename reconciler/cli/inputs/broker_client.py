# SPDX-License-Identifier: Apache-2.0
"""Commands that are a client of operations: how they find the broker, and what becomes of failures."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

import click

from reconciler.client import ClientSettings, OperationClient
from reconciler.errors import Unusable
from reconciler.operations.codes import OperationFailed

PORT = 8883
FIRST_VARIABLE = "TINYFLEET_BROKER"


class RequestFailed(Unusable):
    """An operation did not end well; the message has its code."""

    reason: ClassVar[str] = "RequestFailed"


def broker_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add what names the broker and this client."""
    options = (
        click.option(
            "--broker",
            metavar="HOST[:PORT]",
            required=True,
            envvar=FIRST_VARIABLE,
            show_envvar=True,
            help=f"The broker of the gateway; the port is {PORT} if left out.",
        ),
        click.option("--fleet", required=True, metavar="NAME", help="The name of the fleet."),
        click.option("--client", required=True, metavar="NAME", help="The name in the certificate of this client."),
        click.option(
            "--certificates",
            metavar="DIR",
            default=Path(),
            type=click.Path(path_type=Path, exists=True, file_okay=False),
            help="The folder with ca.crt, NAME.crt and NAME.key, as `tinyfleet pki issue client` writes them.",
        ),
    )
    for option in reversed(options):
        command = option(command)
    return command


def broker_address(broker: str, option: str = "--broker") -> tuple[str, int]:
    """Read HOST[:PORT]."""
    host, _, port = broker.partition(":")
    if port and not port.isdecimal():
        raise click.BadParameter(f"{port!r} is not a port", param_hint=option)
    return host, int(port or PORT)


@contextmanager
def connected_client(broker: str, fleet: str, client: str, certificates: Path) -> Iterator[OperationClient]:
    """Connect; a failed operation is a failure of the command."""
    host, port = broker_address(broker)
    files = (certificates / name for name in ("ca.crt", f"{client}.crt", f"{client}.key"))
    try:
        with OperationClient(ClientSettings(host, fleet, client, port, *files)) as connected:
            yield connected
    except OperationFailed as failure:
        raise RequestFailed(str(failure)) from failure
