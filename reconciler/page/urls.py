# SPDX-License-Identifier: Apache-2.0
"""URLs of pages: served by the daemon, written to a folder, or committed next to the status files."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol
from urllib.parse import parse_qsl, quote, urlencode

SORTS = ("state", "name", "model", "since")
_MAX_LENGTH = 100
_MAX_FIELDS = 10


@dataclass(frozen=True, slots=True)
class Query:
    """Which devices to show, and in which order."""

    reason: str = ""
    rollout: str = ""
    name: str = ""  # a substring
    sort: str = SORTS[0]
    page: int = 1

    @classmethod
    def parsed(cls, text: str) -> Query:
        """Parse a query string; invalid fields count as absent."""
        try:
            fields = dict(parse_qsl(text, max_num_fields=_MAX_FIELDS))
        except ValueError:
            return cls()
        page = fields.get("page", "")
        sort = fields.get("sort", "")
        return cls(
            fields.get("reason", "")[:_MAX_LENGTH],
            fields.get("rollout", "")[:_MAX_LENGTH],
            fields.get("name", "").strip()[:_MAX_LENGTH],
            sort if sort in SORTS else SORTS[0],
            min(max(int(page), 1), 10**6) if page.isascii() and page.isdigit() and len(page) <= _MAX_FIELDS else 1,
        )

    def __str__(self) -> str:
        fields = {"reason": self.reason, "rollout": self.rollout, "name": self.name}
        fields |= {"sort": self.sort if self.sort != SORTS[0] else "", "page": str(self.page) if self.page > 1 else ""}
        return urlencode({key: value for key, value in fields.items() if value})

    def on(self, page: int) -> Query:
        """Return the same query for another page."""
        return replace(self, page=page)


EVERY = Query()


class PageUrls(Protocol):
    """The URLs from one page to the others. None: there is no such page."""

    @property
    def accepts_queries(self) -> bool:
        """Return whether the list of devices accepts a query."""

    @property
    def home(self) -> str:
        """Return the URL of the overview."""

    def devices(self, query: Query = EVERY) -> str | None:
        """Return the URL of a list of devices."""

    def device(self, name: str) -> str:
        """Return the URL of a device."""

    def rollout(self, name: str) -> str:
        """Return the URL of a rollout."""

    def contest(self, name: str) -> str:
        """Return the URL of a contest."""


class ServedUrls:
    """Served by the daemon."""

    accepts_queries = True
    home = "/"

    def devices(self, query: Query = EVERY) -> str | None:
        """Return the path of the list with its query."""
        return f"/devices?{query}" if str(query) else "/devices"

    def device(self, name: str) -> str:
        """Return a device's path."""
        return f"/devices/{quote(name, safe='')}"

    def rollout(self, name: str) -> str:
        """Return a rollout's path."""
        return f"/rollouts/{quote(name, safe='')}"

    def contest(self, name: str) -> str:
        """Return a contest's path."""
        return f"/contests/{quote(name, safe='')}"


@dataclass(frozen=True, slots=True)
class FileUrls:
    """Files in a folder; `up` is the path from the page to that folder."""

    up: str = ""

    @property
    def accepts_queries(self) -> bool:
        """Return False: files cannot filter."""
        return False

    @property
    def home(self) -> str:
        """Return the first file."""
        return f"{self.up}index.html"

    def devices(self, query: Query = EVERY) -> str | None:
        """Return the file of one page of the list; the rest of the query does not apply to files."""
        return f"{self.up}devices{'' if query.page == 1 else f'-{query.page}'}.html"

    def device(self, name: str) -> str:
        """Return a device's file."""
        return f"{self.up}devices/{quote(quote(name, safe=''), safe='')}.html"

    def rollout(self, name: str) -> str:
        """Return a rollout's file."""
        return f"{self.up}rollouts/{quote(quote(name, safe=''), safe='')}.html"

    def contest(self, name: str) -> str:
        """Return a contest's file."""
        return f"{self.up}contests/{quote(quote(name, safe=''), safe='')}.html"


class CommittedUrls:
    """Next to the status files, which serve as the pages of devices and rollouts."""

    accepts_queries = False
    home = "index.html"

    def devices(self, query: Query = EVERY) -> str | None:  # noqa: ARG002 - a list of ten thousand would change with each
        """Return None: the folder of status files is the list."""
        return None

    def device(self, name: str) -> str:
        """Return a device's status file."""
        return f"devices/{quote(name, safe='')}.yaml"

    def rollout(self, name: str) -> str:
        """Return a rollout's status file."""
        return f"rollouts/{quote(name, safe='')}.yaml"

    def contest(self, name: str) -> str:
        """Return a contest's status file."""
        return f"contests/{quote(name, safe='')}.yaml"
