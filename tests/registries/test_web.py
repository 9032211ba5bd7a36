# SPDX-License-Identifier: Apache-2.0
"""Requests to registries: redirects, credentials, bounds."""

from __future__ import annotations

import pytest

from reconciler.registries.web import RegistryUnavailable, get, is_loopback
from tests.loopback import QuietHandler, serving


class Redirecting(QuietHandler):
    """Redirects /to?URL, loops at /loop, and echoes the credentials that it got elsewhere."""

    def do_GET(self) -> None:  # noqa: N802 - the name that http.server calls
        path, _, query = self.path.partition("?")
        if path in {"/to", "/loop"}:
            self.send_response(302)
            self.send_header("Location", query or "/loop")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        body = (self.headers.get("Authorization") or "none").encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def test_credentials_follow_no_redirect_to_another_host() -> None:
    with serving(Redirecting) as one, serving(Redirecting) as other:
        headers = {"authorization": "Bearer t0ken"}
        assert get(f"{one}/to?/here", headers).body == b"Bearer t0ken"
        assert get(f"{one}/to?{other}/there", headers).body == b"none"


@pytest.mark.parametrize("target", ["http://registry.example/x", "file:///etc/passwd", "ftp://127.0.0.1/x"])
def test_a_redirect_leads_nowhere_without_tls(target: str) -> None:
    with serving(Redirecting) as url, pytest.raises(RegistryUnavailable, match="only https"):
        get(f"{url}/to?{target}")


def test_redirects_and_answers_are_bounded() -> None:
    with serving(Redirecting) as url:
        with pytest.raises(RegistryUnavailable, match="more than 5 redirects"):
            get(f"{url}/loop")
        with pytest.raises(RegistryUnavailable, match="more than 3 bytes"):
            get(f"{url}/here", max_bytes=3)


def test_a_server_that_is_not_there_is_tried_again() -> None:
    with serving(Redirecting) as url:
        pass
    with pytest.raises(RegistryUnavailable, match="refused"):
        get(f"{url}/here?signature=secret")


@pytest.mark.parametrize(
    ("host", "here"),
    [
        ("127.0.0.1:5000", True),
        ("[::1]:5000", True),
        ("localhost", True),
        ("10.0.0.1", False),
        ("localhost.example", False),
    ],
)
def test_only_this_machine_is_reached_without_tls(host: str, here: bool) -> None:  # noqa: FBT001 - a parameter
    assert is_loopback(host) is here
