# SPDX-License-Identifier: Apache-2.0
"""The pages: by path for the HTTP server, all of them as files, and the one that is committed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from urllib.parse import quote, unquote

from reconciler.model import DeviceId
from reconciler.page.contests import contest
from reconciler.page.device import device
from reconciler.page.devices import devices, pages_of
from reconciler.page.overview import overview
from reconciler.page.page_model import DeviceDetail, PageModel
from reconciler.page.rollouts import rollout
from reconciler.page.urls import CommittedUrls, FileUrls, Query, ServedUrls

INDEX = "index.html"
Details = Callable[[DeviceId], DeviceDetail | None]


def served(path: str, query: str, fleet: PageModel, details: Details) -> bytes | None:
    """Render the page at a path; None: there is none."""
    at = ServedUrls()
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
    if folder == "contests":
        one = next((each for each in fleet.contests if each.name == name), None)
        return contest(one, fleet, at) if one is not None else None
    return None


def exists(path: str) -> bool:
    """Return whether a path can be a page, so that nothing is collected for other paths."""
    return path == "/" or path.startswith(("/devices", "/rollouts/", "/contests/"))


def files(fleet: PageModel, details: Details) -> Iterator[tuple[str, bytes]]:
    """Render every page as a file."""
    top, below = FileUrls(), FileUrls("../")
    yield INDEX, overview(fleet, top)
    for page in range(1, pages_of(len(fleet.devices)) + 1):
        yield f"devices{'' if page == 1 else f'-{page}'}.html", devices(fleet, top, Query(page=page))
    for each in fleet.devices:
        detail = details(each.device)
        if detail is not None:
            yield f"devices/{quote(each.device, safe='')}.html", device(detail, fleet, below)
    for status in fleet.rollouts:
        yield f"rollouts/{quote(status.facts.rollout, safe='')}.html", rollout(status, fleet, below)
    for each_contest in fleet.contests:
        yield f"contests/{quote(each_contest.name, safe='')}.html", contest(each_contest, fleet, below)


def committed(fleet: PageModel) -> bytes:
    """Render the page next to the README of the status branch. It changes only when a status file does."""
    if fleet.live is not None:
        raise ValueError("live state in the committed page would cause a commit on every pass")
    return overview(fleet, CommittedUrls())
