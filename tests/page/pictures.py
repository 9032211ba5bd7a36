# SPDX-License-Identifier: Apache-2.0
"""The screenshots in the documents, and the size and content of a PNG."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from pathlib import Path

from tests.page.browser import DESKTOP, PHONE

ROOT = Path(__file__).parents[2]
BUILT = ROOT / "build" / "pictures"  # from the test run
SHOWN = ROOT / "docs" / "pictures"  # from `make pictures`
MAX_BYTES = 150_000


@dataclass(frozen=True)
class View:
    """One screenshot."""

    name: str
    path: str
    size: tuple[int, int]
    scheme: str
    at: str = ""  # id of the section to scroll to


VIEWS = (
    View("overview", "/", DESKTOP, "light"),
    View("links-and-scores", "/", DESKTOP, "dark", "links"),
    View("phone", "/", PHONE, "light"),
)


def size_of(png: bytes) -> tuple[int, int]:
    """Read a picture's width and height."""
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    width, height = struct.unpack(">II", png[16:24])
    return width, height


def colours(png: bytes) -> int:
    """Count the distinct bytes of the uncompressed picture: a blank one has few."""
    data, at = b"", 8
    while at < len(png):
        (length,) = struct.unpack(">I", png[at : at + 4])
        if png[at + 4 : at + 8] == b"IDAT":
            data += png[at + 8 : at + 8 + length]
        at += length + 12
    return len(set(zlib.decompress(data)))
