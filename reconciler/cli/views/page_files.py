# SPDX-License-Identifier: Apache-2.0
"""The page as files of a folder: for a web server, a share, an archive."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import click

from reconciler.daemon.fleet_page import detail_of, fleet_of
from reconciler.daemon.state_reader import GatewayOverview
from reconciler.model import DeviceId
from reconciler.page.layout import MARK
from reconciler.page.page_model import Detail
from reconciler.page.routes import files

_SUFFIX = ".new"


def written(folder: Path, overview: GatewayOverview) -> int:
    """Write every page, take away those of ours that are out of date, and return how many there are."""
    known = {device.status.device: device for device in overview.devices}

    def details(device: DeviceId) -> Detail:
        return detail_of(known[device])

    try:
        there = _replace(folder, files(fleet_of(overview), details))
        for old in _ours(folder):
            if old not in there:
                old.unlink()
    except OSError as error:
        raise click.ClickException(f"{folder}: {error.strerror}") from error
    return len(there)


def _replace(folder: Path, pages: Iterator[tuple[str, bytes]]) -> set[Path]:
    """Write each file whole or not at all: somebody may be reading."""
    there = set()
    for name, data in pages:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        new = path.with_name(path.name + _SUFFIX)
        new.write_bytes(data)
        new.replace(path)
        there.add(path)
    return there


def _ours(folder: Path) -> Iterator[Path]:
    """Find the pages that an earlier run wrote: nothing else in the folder is touched."""
    for pattern in ("*.html", "devices/*.html", "rollouts/*.html"):
        for path in folder.glob(pattern):
            with suppress(IsADirectoryError), path.open("rb") as file:
                if MARK in file.read(len(MARK) * 20):
                    yield path
