# SPDX-License-Identifier: Apache-2.0
"""`tinyfleet run`: the daemon."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

import click

from reconciler import config
from reconciler.daemon.assemble import assembled
from reconciler.daemon.logs import set_up
from reconciler.daemon.service import Service
from reconciler.git.cadence import Cadence
from reconciler.git.remote import Remote

log = logging.getLogger(__name__)


@click.command()
@click.option(
    "--config",
    "config_path",
    type=click.Path(path_type=Path, dir_okay=False),
    default=Path("/etc/tinyfleet/gateway.toml"),
    show_default=True,
    help="The gateway's configuration.",
)
@click.option("--log-format", type=click.Choice(["text", "json"]), default="text", show_default=True)
@click.option("--verbose", "-v", is_flag=True, help="Log every step.")
def command(config_path: Path, log_format: str, *, verbose: bool) -> None:
    """Keep the devices of this gateway as Git says, until SIGTERM or Ctrl-C.

    Updates that are under way when it stops go on where they were when it is started again.
    """
    set_up(log_format, verbose=verbose)
    settings = config.read(config_path)
    watched = Remote(settings.repository.url).local_path
    cadence = Cadence(interval_s=settings.repository.poll_s)

    async def serve() -> None:
        with assembled(settings) as assembly:
            await Service(assembly, cadence, watched).run()

    asyncio.run(serve())
