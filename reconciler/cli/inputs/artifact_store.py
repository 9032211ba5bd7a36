# SPDX-License-Identifier: Apache-2.0
"""Where artifacts are kept on a developer's machine."""

from __future__ import annotations

import os
from pathlib import Path

import click

store_option = click.option("--store", metavar="URL", help="Artifact store: a folder or any fsspec URL.")


def default_store() -> str:
    """Return TINYFLEET_STORE, or a folder in the user's cache."""
    cache = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return os.environ.get("TINYFLEET_STORE") or str(Path(cache) / "tinyfleet" / "artifacts")
