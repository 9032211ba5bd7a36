# SPDX-License-Identifier: Apache-2.0
"""Requests to receivers: no redirects, a time limit, every failure as one error, and secrets from private files."""

from __future__ import annotations

import contextlib
import json
import stat
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from reconciler.errors import Transient, Unusable

OTHERS = stat.S_IRWXG | stat.S_IRWXO
JSON = {"Content-Type": "application/json", "User-Agent": "tinyfleet"}


class SecretUnusable(Unusable):
    """A secret for a receiver is missing, unsuitable or readable by other users."""

    reason: ClassVar[str] = "SecretUnusable"


class WebhookRejected(Transient):
    """The receiver did not accept a request; `status` is its answer, or None if there was none."""

    reason: ClassVar[str] = "WebhookRejected"
    status: int | None = None


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """One request with a JSON body."""

    url: str
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)
    method: str = "POST"


def json_request(
    url: str, content: object, headers: Mapping[str, str] | None = None, *, method: str = "POST"
) -> HttpRequest:
    """Make a request from anything that JSON can hold."""
    body = json.dumps(content, ensure_ascii=False, sort_keys=True).encode()
    return HttpRequest(url, body, {**JSON, **(headers or {})}, method)


def send(request: HttpRequest, timeout_s: float) -> None:
    """Send a request, or raise `WebhookRejected`. No error names the URL, which can be a secret."""
    # The schema of gateway.toml and `secret_url` allow only http and https.
    made = urllib.request.Request(  # noqa: S310 - as above
        request.url, data=request.body, headers=dict(request.headers), method=request.method
    )
    opener = urllib.request.build_opener(_NoRedirect)
    try:
        with contextlib.closing(opener.open(made, timeout=timeout_s)):
            return
    except urllib.error.HTTPError as error:
        error.close()
        rejected = WebhookRejected(f"the receiver answered {error.code}")
        rejected.status = error.code
        raise rejected from error
    except (OSError, ValueError) as error:
        raise WebhookRejected(f"can't reach the receiver: {error}") from error


def secret(path: Path, owner: str) -> bytes:
    """Read a secret that no other user can read."""
    try:
        mode = path.stat().st_mode
        content = path.read_bytes().strip()
    except OSError as error:
        raise SecretUnusable(f"can't read the {owner} {path}: {error.strerror}") from error
    if mode & OTHERS:
        raise SecretUnusable(f"other users can read the {owner} {path}: chmod 600 it")
    return content


def secret_line(path: Path, owner: str) -> str:
    """Read a secret that is one line of printable ASCII: a token, for example."""
    content = secret(path, owner)
    if not content or not all(0x21 <= byte <= 0x7E for byte in content):  # noqa: PLR2004 - the printable characters
        raise SecretUnusable(f"the {owner} {path} must be one line of printable ASCII without spaces")
    return content.decode("ascii")


def secret_url(path: Path, owner: str) -> str:
    """Read a URL that is a secret."""
    url = secret_line(path, owner)
    parts = urllib.parse.urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise SecretUnusable(f"the {owner} {path} must hold a URL that starts with `https://` or `http://`")
    return url


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Follows no redirects: an event or a token goes only to the configured URL."""

    def redirect_request(self, *_: object) -> None:
        return None
