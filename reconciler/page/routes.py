# SPDX-License-Identifier: Apache-2.0
"""Which pages there are: by path for the daemon, all at once as files, and the one that is committed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from urllib.parse import quote, unquote

from reconciler.model import DeviceId
from reconciler.page.device import device
from reconciler.page.devices import devices, pages_of
from reconciler.page.overview import overview
from reconciler.page.page_model import Detail, PageModel
from reconciler.page.rollouts import rollout
from reconciler.page.urls import Committed, Filed, Query, Served

INDEX = "index.html"
Details = Callable[[DeviceId], Detail | None]


def served(path: str, query: str, fleet: PageModel, details: Details) -> bytes | None:
    """Draw what a path names; None: nothing."""
    at = Served()
    if path == "/":
        return overview(fleet, at)
    if path == "/devices":
        return devices(fleet, at, Query.parsed(query))
    folder, _, quoted = path.removeprefix("/").partition("/")
    name = unquote(quoted)
    if folder == "devices":
        detail = details(DeviceId(name))
        return device(detail, fleet, at) if detail is not None else None
    if folder == "rollouts":
        found = next((each for each in fleet.rollouts if each.facts.rollout == name), None)
        return rollout(found, fleet, at) if found is not None else None
    return None


def exists(path: str) -> bool:
    """Tell whether a path is one of ours at all, so that nothing is gathered for others."""
    return path == "/" or path.startswith(("/devices", "/rollouts/"))


def files(fleet: PageModel, details: Details) -> Iterator[tuple[str, bytes]]:
    """Draw every page as a file of a folder."""
    top, below = Filed(), Filed("../")
    yield INDEX, overview(fleet, top)
    for page in range(1, pages_of(len(fleet.devices)) + 1):
        yield f"devices{'' if page == 1 else f'-{page}'}.html", devices(fleet, top, Query(page=page))
    for each in fleet.devices:
        detail = details(each.device)
        if detail is not None:
            yield f"devices/{quote(each.device, safe='')}.html", device(detail, fleet, below)
    for status in fleet.rollouts:
        yield f"rollouts/{quote(status.facts.rollout, safe='')}.html", rollout(status, fleet, below)


def committed(fleet: PageModel) -> bytes:
    """Draw the page that lies beside the status README. Nothing in it moves unless a status file does."""
    if fleet.present is not None:
        raise ValueError("the moment would make a commit of every pass")
    return overview(fleet, Committed())
