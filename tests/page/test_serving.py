# SPDX-License-Identifier: Apache-2.0
"""The page over HTTP, on the daemon's own server: who is answered, and with which headers."""

from __future__ import annotations

import http.client
from urllib.parse import urlsplit

import pytest

from reconciler.page.page_model import PageModel
from tests.page.fleets import gateway
from tests.page.server import serving


def asked(address: str, method: str, path: str, host: str | None = None) -> http.client.HTTPResponse:
    """Ask, in a name of one's choice."""
    place = urlsplit(address).netloc
    connection = http.client.HTTPConnection(place, timeout=10)
    connection.putrequest(method, path, skip_host=True)
    connection.putheader("Host", place if host is None else host)
    connection.endheaders()
    answer = connection.getresponse()
    answer.body = answer.read()  # type: ignore[attr-defined]
    connection.close()
    return answer


def test_a_page_comes_with_headers_that_allow_it_nothing_else(address: str) -> None:
    answer = asked(address, "GET", "/")
    assert answer.status == 200
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    policy = dict(part.strip().split(" ", 1) for part in answer.headers["Content-Security-Policy"].split(";"))
    assert policy.pop("style-src").startswith("'sha256-")
    assert policy == {
        "default-src": "'none'",
        "img-src": "data:",
        "form-action": "'self'",
        "base-uri": "'none'",
        "frame-ancestors": "'none'",
    }
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["Referrer-Policy"] == "no-referrer"


@pytest.mark.parametrize("path", ["/", "/devices?page=2", "/healthz", "/nothing"])
def test_head_says_what_get_would(address: str, path: str) -> None:
    get, head = asked(address, "GET", path), asked(address, "HEAD", path)
    assert (get.status, get.headers["Content-Length"]) == (head.status, head.headers["Content-Length"])
    assert head.body == b""  # type: ignore[attr-defined]
    assert "Content-Security-Policy" in head.headers


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "get", "TRACE"])
def test_nothing_can_be_changed(address: str, method: str) -> None:
    answer = asked(address, method, "/")
    assert (answer.status, answer.headers["Allow"]) == (405, "GET, HEAD")


@pytest.mark.parametrize("path", ["/", "/devices/pump-2003", "/healthz", "/metrics"])
@pytest.mark.parametrize("host", ["evil.example", "evil.example:9155", "127.0.0.1.evil.example", "localhost.evil", ""])
def test_rebinding_a_name_to_this_address_gains_nothing(address: str, path: str, host: str) -> None:
    answer = asked(address, "GET", path, host)
    assert answer.status == 421
    assert b"pump" not in answer.body  # type: ignore[attr-defined]


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost:9155", "LOCALHOST", "[::1]:9155", "[::1]", "192.0.2.7:80"])
def test_addresses_and_localhost_are_our_names(address: str, host: str) -> None:
    assert asked(address, "GET", "/healthz", host).status == 200


def test_a_name_can_be_given() -> None:
    with serving(PageModel(gateway(), [], ()), "gw.example") as address:
        assert asked(address, "GET", "/", "GW.example:9155").status == 200
        assert asked(address, "GET", "/", "other.example").status == 421


def test_one_host_is_named(address: str) -> None:
    place = urlsplit(address).netloc
    for hosts, status in ((("127.0.0.1", "evil.example"), 400), ((), 400), (("127.0.0.1",), 200)):
        connection = http.client.HTTPConnection(place, timeout=10)
        connection.putrequest("GET", "/healthz", skip_host=True)
        for host in hosts:
            connection.putheader("Host", host)
        connection.endheaders()
        assert connection.getresponse().status == status
        connection.close()


def test_what_is_not_there_says_what_is(address: str) -> None:
    answer = asked(address, "GET", "/favicon.ico")
    assert (answer.status, answer.body) == (404, b"not found; try / /healthz\n")  # type: ignore[attr-defined]
