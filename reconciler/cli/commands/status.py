# SPDX-License-Identifier: Apache-2.0
"""`tinyfleet status`: what this gateway knows of its devices, read beside the daemon."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import click
from rich.live import Live
from rich.text import Text

from reconciler import config
from reconciler.cli.inputs.options import config_option, output_option
from reconciler.cli.views.page_files import written
from reconciler.cli.views.status_text import as_dict, device_text, fleet_text
from reconciler.daemon.state_reader import GatewayOverview, read_overview
from reconciler.model import DeviceId

WATCH_S = 1.0


@click.command(short_help="Show what this gateway knows of its devices")
@click.argument("device", required=False)
@config_option
@output_option
@click.option("--watch", "-w", is_flag=True, help="Show it anew each second, until Ctrl-C.")
@click.option(
    "--page",
    type=click.Path(path_type=Path, file_okay=False),
    help="Write it to this folder, as pages for a browser; index.html is the first.",
)
def command(device: str | None, config_path: Path, output: str, page: Path | None, *, watch: bool) -> None:
    """Show all devices of this gateway, or everything about DEVICE.

    Works beside a running daemon and without one; nothing is changed. Exits with 1 if there is no such device, or
    nothing is known yet.
    """
    state_dir = config.read(config_path).state_dir
    if page is not None:
        if device is not None or watch:
            raise click.UsageError("--page writes the whole fleet, once")
        click.echo(f"{written(page, read_overview(state_dir))} pages: {page / 'index.html'}")
        return
    only = DeviceId(device) if device is not None else None
    if not watch:
        click.echo(_view(state_dir, only, output))
        return
    try:
        _watch(lambda: _view(state_dir, only, output))
    except KeyboardInterrupt:
        return


def _watch(view: Callable[[], str]) -> None:
    """Show it in place on a terminal; elsewhere write it again whenever it is another."""
    if not sys.stdout.isatty():
        before = ""
        while True:
            if (now := view()) != before:
                click.echo(now)
            before = now
            time.sleep(WATCH_S)  # a database that another process writes tells nobody
    with Live(Text(view()), auto_refresh=False) as shown:
        while True:
            time.sleep(WATCH_S)  # a database that another process writes tells nobody
            shown.update(Text(view()), refresh=True)


def _view(state_dir: Path, only: DeviceId | None, output: str) -> str:
    overview = read_overview(state_dir, only)
    if only is not None and not overview.devices:
        raise click.ClickException(_nobody(only, overview))
    if output == "json":
        return json.dumps(as_dict(overview), indent=2, ensure_ascii=False)
    now = datetime.now(UTC)
    return device_text(overview.devices[0], overview, now) if only is not None else fleet_text(overview, now)


def _nobody(device: DeviceId, overview: GatewayOverview) -> str:
    strangers = {
        name for link in (overview.live or {}).get("links", {}).values() for name in link.get("unknownDevices", ())
    }
    if device in strangers:
        return f"{device} speaks on a link but is not in Git: add a Device document, or find out who that is"
    return f"this gateway serves no device {device}"
