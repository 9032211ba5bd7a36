# SPDX-License-Identifier: Apache-2.0
"""`tinyfleet status --output html`: the page as files, for a web server, a share or an archive."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import click

from reconciler.daemon.fleet_page import detail_of, fleet_of
from reconciler.daemon.gateway_overview import GatewayOverview
from reconciler.model import DeviceId
from reconciler.page.layout import MARK
from reconciler.page.page_model import DeviceDetail
from reconciler.page.routes import files

_SUFFIX = ".new"


def write_pages(folder: Path, overview: GatewayOverview) -> int:
    """Write every page, remove stale pages of an earlier run, and return the number of pages."""
    known = {device.status.device: device for device in overview.devices}

    def details(device: DeviceId) -> DeviceDetail:
        return detail_of(known[device])

    try:
        written = _replace(folder, files(fleet_of(overview), details))
        for old in _own_pages(folder):
            if old not in written:
                old.unlink()
    except OSError as error:
        raise click.ClickException(f"{folder}: {error.strerror}") from error
    return len(written)


def _replace(folder: Path, pages: Iterator[tuple[str, bytes]]) -> set[Path]:
    """Replace each file atomically: a web server may be reading it."""
    written = set()
    for name, data in pages:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        new = path.with_name(path.name + _SUFFIX)
        new.write_bytes(data)
        new.replace(path)
        written.add(path)
    return written


def _own_pages(folder: Path) -> Iterator[Path]:
    """Find the pages that an earlier run wrote; other files in the folder are left alone."""
    for pattern in ("*.html", "devices/*.html", "rollouts/*.html", "contests/*.html"):
        for path in folder.glob(pattern):
            with suppress(IsADirectoryError), path.open("rb") as file:
                if MARK in file.read(len(MARK) * 20):
                    yield path
