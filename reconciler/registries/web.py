# SPDX-License-Identifier: Apache-2.0
"""Requests to registries: https except on this machine, few redirects, bounded answers, and every failure as one error.

Credentials stay with the host that they are for: a redirect to another host goes without them.
"""

from __future__ import annotations

import contextlib
import ipaddress
import json
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final

from reconciler.errors import Transient
from reconciler.foreign_text import printable_line

MAX_JSON_BYTES: Final = 4 << 20
MAX_REDIRECTS: Final = 5
TIMEOUT_S: Final = 30.0
_SHOWN = 200
_MOVED = frozenset({301, 302, 303, 307, 308})
_PRIVATE = frozenset({"authorization", "cookie"})


class RegistryUnavailable(Transient):
    """A registry does not answer, has no such file, or does not permit it; `status` is its answer."""

    reason: ClassVar[str] = "RegistryUnavailable"
    status: int | None = None


@dataclass(frozen=True, slots=True)
class RegistryAnswer:
    """What a registry answered."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)  # names in lower case
    body: bytes = b""

    def json(self, what: str) -> Any:  # noqa: ANN401 - any JSON value
        """Return the JSON in it."""
        try:
            return json.loads(self.body)
        except ValueError as error:
            raise RegistryUnavailable(f"{what}: the answer is not JSON") from error


def base_url(host: str) -> str:
    """Return where a host is reached: by https, or by http on this machine itself."""
    return f"{'http' if is_loopback(host) else 'https'}://{host}"


def is_loopback(host: str) -> bool:
    """Return whether a host with an optional port is this machine."""
    name = urllib.parse.urlsplit(f"//{host}").hostname or ""
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return name == "localhost"


def get(
    url: str,
    headers: Mapping[str, str] | None = None,
    *,
    body: bytes | None = None,
    max_bytes: int = MAX_JSON_BYTES,
    accept: frozenset[int] = frozenset({200}),
) -> RegistryAnswer:
    """Send a request, follow redirects, and return the answer; raise `RegistryUnavailable` for any other status."""
    sent = dict(headers or {})
    for _ in range(MAX_REDIRECTS + 1):
        answer = _once(url, sent, body, max_bytes)
        if answer.status in accept:
            return answer
        if answer.status not in _MOVED or "location" not in answer.headers:
            raise _refusal(url, answer)
        target = urllib.parse.urljoin(url, answer.headers["location"])
        if urllib.parse.urlsplit(target).netloc != urllib.parse.urlsplit(url).netloc:
            sent = {name: value for name, value in sent.items() if name.lower() not in _PRIVATE}
        url = target
    raise RegistryUnavailable(f"{_place(url)}: more than {MAX_REDIRECTS} redirects")


def _once(url: str, headers: Mapping[str, str], body: bytes | None, max_bytes: int) -> RegistryAnswer:
    parts = urllib.parse.urlsplit(url)
    if parts.scheme != "https" and not (parts.scheme == "http" and is_loopback(parts.netloc)):
        raise RegistryUnavailable(f"{_place(url)}: only https is used, except on this machine")
    made = urllib.request.Request(url, data=body, headers={"User-Agent": "tinyfleet", **headers})  # noqa: S310 - as above
    opener = urllib.request.build_opener(_NoRedirects)
    try:
        with contextlib.closing(opener.open(made, timeout=TIMEOUT_S)) as answer:
            content = answer.read(max_bytes + 1)
            found = {name.lower(): value for name, value in answer.headers.items()}
            status = answer.status
    except urllib.error.HTTPError as error:
        with error:
            found = {name.lower(): value for name, value in error.headers.items()}
            return RegistryAnswer(error.code, found, error.read(MAX_JSON_BYTES))
    except (OSError, ValueError) as error:
        raise RegistryUnavailable(f"{_place(url)}: {printable_line(str(error))[:_SHOWN]}") from error
    if len(content) > max_bytes:
        raise RegistryUnavailable(f"{_place(url)}: the answer has more than {max_bytes} bytes")
    return RegistryAnswer(status, found, content)


def _refusal(url: str, answer: RegistryAnswer) -> RegistryUnavailable:
    text = printable_line(answer.body.decode("utf-8", "replace"))[:_SHOWN]
    failure = RegistryUnavailable(f"{_place(url)} answered {answer.status}" + (f": {text}" if text else ""))
    failure.status = answer.status
    return failure


def _place(url: str) -> str:
    """Return a URL without its query, which can hold a signature."""
    parts = urllib.parse.urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}{parts.path}"


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """Leaves redirects to `get`, which drops credentials when the host changes."""

    def redirect_request(self, *_: object) -> None:
        return None
