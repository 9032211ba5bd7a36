# SPDX-License-Identifier: Apache-2.0
"""Repositories of the Hugging Face Hub, or of a server with the same API that HF_ENDPOINT names."""

from __future__ import annotations

import os
import re
from typing import Final
from urllib.parse import quote

from reconciler.registries.addresses import HubFile
from reconciler.registries.web import RegistryUnavailable, get

HUB: Final = "https://huggingface.co"
_COMMIT = re.compile(r"[0-9a-f]{40}")


def commit_of(file: HubFile) -> str:
    """Return the commit that a branch or tag names now."""
    if file.is_pinned:
        return file.revision
    url = f"{_endpoint()}/api/models/{quote(file.repository)}/revision/{quote(file.revision, safe='')}"
    found = get(url, _credentials()).json(str(file))
    commit = found.get("sha") if isinstance(found, dict) else None
    if not isinstance(commit, str) or _COMMIT.fullmatch(commit) is None:
        raise RegistryUnavailable(f"{file}: the hub named no commit")
    return commit


def fetch(file: HubFile, max_bytes: int) -> bytes:
    """Return the content of a file."""
    url = f"{_endpoint()}/{quote(file.repository)}/resolve/{quote(file.revision, safe='')}/{quote(file.file)}"
    return get(url, _credentials(), max_bytes=max_bytes).body


def _endpoint() -> str:
    return os.environ.get("HF_ENDPOINT", HUB).rstrip("/")


def _credentials() -> dict[str, str]:
    token = os.environ.get("HF_TOKEN")
    return {"Authorization": f"Bearer {token}"} if token else {}
