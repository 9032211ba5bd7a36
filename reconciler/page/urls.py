# SPDX-License-Identifier: Apache-2.0
"""Where pages lie: served by the daemon, written to a folder, or committed beside the status files."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol
from urllib.parse import parse_qsl, quote, urlencode

SORTS = ("state", "name", "model", "since")
_LONGEST = 100
_FIELDS = 10


@dataclass(frozen=True, slots=True)
class Query:
    """Which devices are shown, and in which order."""

    reason: str = ""
    rollout: str = ""
    name: str = ""  # a part of it
    sort: str = SORTS[0]
    page: int = 1

    @classmethod
    def parsed(cls, text: str) -> Query:
        """Read what stands behind the question mark; what makes no sense counts as not said."""
        try:
            told = dict(parse_qsl(text, max_num_fields=_FIELDS))
        except ValueError:
            return cls()
        page = told.get("page", "")
        sort = told.get("sort", "")
        return cls(
            told.get("reason", "")[:_LONGEST],
            told.get("rollout", "")[:_LONGEST],
            told.get("name", "").strip()[:_LONGEST],
            sort if sort in SORTS else SORTS[0],
            min(max(int(page), 1), 10**6) if page.isascii() and page.isdigit() and len(page) <= _FIELDS else 1,
        )

    def __str__(self) -> str:
        told = {"reason": self.reason, "rollout": self.rollout, "name": self.name}
        told |= {"sort": self.sort if self.sort != SORTS[0] else "", "page": str(self.page) if self.page > 1 else ""}
        return urlencode({key: value for key, value in told.items() if value})

    def on(self, page: int) -> Query:
        """Return the same on another page."""
        return replace(self, page=page)


EVERY = Query()


class Addresses(Protocol):
    """How one page names another. None: there is none."""

    @property
    def asks(self) -> bool:
        """Tell whether the list of devices can be asked for a part of it."""

    @property
    def home(self) -> str:
        """Return where the overview is."""

    def devices(self, query: Query = EVERY) -> str | None:
        """Return where a list of devices is."""

    def device(self, name: str) -> str:
        """Return where one device is."""

    def rollout(self, name: str) -> str:
        """Return where one rollout is."""


class Served:
    """By the daemon."""

    asks = True
    home = "/"

    def devices(self, query: Query = EVERY) -> str | None:
        """Return the list's path with its question."""
        return f"/devices?{query}" if str(query) else "/devices"

    def device(self, name: str) -> str:
        """Return a device's path."""
        return f"/devices/{quote(name, safe='')}"

    def rollout(self, name: str) -> str:
        """Return a rollout's path."""
        return f"/rollouts/{quote(name, safe='')}"


@dataclass(frozen=True, slots=True)
class Filed:
    """In a folder; `up` leads from where a page lies to the folder."""

    up: str = ""

    @property
    def asks(self) -> bool:
        """Return no: files give no answers."""
        return False

    @property
    def home(self) -> str:
        """Return the first file."""
        return f"{self.up}index.html"

    def devices(self, query: Query = EVERY) -> str | None:
        """Return the file of one page of the list; files can't be asked, so of a question only that counts."""
        return f"{self.up}devices{'' if query.page == 1 else f'-{query.page}'}.html"

    def device(self, name: str) -> str:
        """Return a device's file."""
        return f"{self.up}devices/{quote(quote(name, safe=''), safe='')}.html"

    def rollout(self, name: str) -> str:
        """Return a rollout's file."""
        return f"{self.up}rollouts/{quote(quote(name, safe=''), safe='')}.html"


class Committed:
    """Beside the status files: those are the pages of devices and rollouts."""

    asks = False
    home = "index.html"

    def devices(self, query: Query = EVERY) -> str | None:  # noqa: ARG002 - a list of ten thousand would change with each
        """Return nothing: the folder of the files is the list."""
        return None

    def device(self, name: str) -> str:
        """Return a device's status file."""
        return f"devices/{quote(name, safe='')}.yaml"

    def rollout(self, name: str) -> str:
        """Return a rollout's status file."""
        return f"rollouts/{quote(name, safe='')}.yaml"
