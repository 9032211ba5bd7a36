# SPDX-License-Identifier: Apache-2.0
"""Files in Git LFS, by the batch API of its server. The login is that of `~/.netrc`, which git-lfs reads, too."""

from __future__ import annotations

import base64
import json
import netrc
from typing import Final
from urllib.parse import urlsplit

from reconciler.registries.pointers import LfsPointer
from reconciler.registries.web import RegistryUnavailable, get

JSON: Final = "application/vnd.git-lfs+json"


def fetch(server: str, pointer: LfsPointer, max_bytes: int) -> bytes:
    """Return the content of the file that a pointer stands for."""
    wanted = {"oid": pointer.sha256, "size": pointer.size}
    request = {"operation": "download", "transfers": ["basic"], "objects": [wanted], "hash_algo": "sha256"}
    headers = {"Accept": JSON, "Content-Type": JSON, **_credentials(server)}
    answer = get(f"{server}/objects/batch", headers, body=json.dumps(request).encode()).json(server)
    try:
        found = answer["objects"][0]
        if "error" in found:
            raise RegistryUnavailable(f"{server} has no {pointer.sha256}: {found['error'].get('message')}")
        action = found["actions"]["download"]
        href, sent = str(action["href"]), {str(name): str(value) for name, value in action.get("header", {}).items()}
    except (KeyError, IndexError, TypeError, AttributeError) as error:
        raise RegistryUnavailable(f"{server}: the answer names no download") from error
    return get(href, sent, max_bytes=max_bytes).body


def _credentials(server: str) -> dict[str, str]:
    try:
        login = netrc.netrc().authenticators(urlsplit(server).hostname or "")
    except (OSError, netrc.NetrcParseError):
        return {}
    if login is None:
        return {}
    return {"Authorization": f"Basic {base64.b64encode(f'{login[0]}:{login[2]}'.encode()).decode()}"}
