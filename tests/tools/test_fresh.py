# SPDX-License-Identifier: Apache-2.0
"""The parts of `make fresh` that need no system of their own."""

from __future__ import annotations

from pathlib import Path

from tools.fresh import USERS, User, network, pip_configuration, summary


def test_only_how_packages_are_reached_is_passed_on() -> None:
    here = {"SSL_CERT_FILE": "/ca.crt", "https_proxy": "http://localhost:1", "HOME": "/home/ada", "PYTHONPATH": "/x"}
    assert network(here) == {"SSL_CERT_FILE": "/ca.crt", "https_proxy": "http://localhost:1"}


def test_pip_reaches_there_what_it_reaches_here() -> None:
    listed = """\
:env:.default-timeout='180'
:env:.find-links='/opt/wheels'
global.index-url='https://mirror.example.org/simple'
global.extra-index-url='file:///opt/here https://more.example.org/simple'
global.require-virtualenv='true'
"""
    assert pip_configuration(listed).splitlines() == [
        "[global]",
        "default-timeout = 180",
        "index-url = https://mirror.example.org/simple",
        "extra-index-url = https://more.example.org/simple",
    ]


def test_nothing_is_configured_where_nothing_is() -> None:
    assert pip_configuration("") == "[global]\n"


def test_each_clones_into_their_own_home() -> None:
    assert [user.home for user in USERS] == [Path("/root"), Path("/home/ada")]


def test_the_last_line_has_name_and_value() -> None:
    assert summary(User("root"), {"demo": 0, "test": 2}) == "user=root demo_rc=0 test_rc=2"
