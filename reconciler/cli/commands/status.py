# SPDX-License-Identifier: Apache-2.0
"""`tinyfleet status`: the devices of this gateway, read from its database while the daemon runs or not."""

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
from reconciler.cli.status_page import write_pages
from reconciler.cli.views.status_json import as_dict
from reconciler.cli.views.status_text import device_text, fleet_text
from reconciler.daemon.gateway_overview import GatewayOverview, read_overview
from reconciler.model import DeviceId
from reconciler.review.formatting import counted

WATCH_S = 1.0


@click.command()
@click.argument("device", required=False)
@config_option
@output_option
@click.option("--watch", "-w", is_flag=True, help="Refresh every second until Ctrl-C.")
@click.option(
    "--page",
    type=click.Path(path_type=Path, file_okay=False),
    help="Write HTML pages to this folder instead; start with index.html.",
)
def command(device: str | None, config_path: Path, output: str, page: Path | None, *, watch: bool) -> None:
    """Show the devices of this gateway, or everything that is known about DEVICE.

    Works whether the daemon runs or not, and changes nothing. Exits with 1 if there is no such device, or if the
    daemon has not run yet.
    """
    state_dir = config.read(config_path).state_dir
    if page is not None:
        if device is not None or watch:
            raise click.UsageError("--page writes the whole fleet once; it cannot be combined with DEVICE or --watch")
        click.echo(
            f"wrote {counted(write_pages(page, read_overview(state_dir)), 'page')}, start with {page / 'index.html'}"
        )
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
    """Refresh in place on a terminal; elsewhere print again after each change."""
    if not sys.stdout.isatty():
        before = ""
        while True:
            if (now := view()) != before:
                click.echo(now)
            before = now
            time.sleep(WATCH_S)  # nothing signals a change of a database that another process writes
    with Live(Text(view()), auto_refresh=False) as shown:
        while True:
            time.sleep(WATCH_S)  # nothing signals a change of a database that another process writes
            shown.update(Text(view()), refresh=True)


def _view(state_dir: Path, only: DeviceId | None, output: str) -> str:
    overview = read_overview(state_dir, only)
    if only is not None and not overview.devices:
        raise click.ClickException(_unknown_device(only, overview))
    if output == "json":
        return json.dumps(as_dict(overview), indent=2, ensure_ascii=False)
    now = datetime.now(UTC)
    return device_text(overview.devices[0], overview, now) if only is not None else fleet_text(overview, now)


def _unknown_device(device: DeviceId, overview: GatewayOverview) -> str:
    unknown = {
        name for link in (overview.live or {}).get("links", {}).values() for name in link.get("unknownDevices", ())
    }
    if device in unknown:
        return f"{device} reports on a link but is not in Git; add a Device document, or find out what it is"
    return f"this gateway serves no device named {device}"
