# SPDX-License-Identifier: Apache-2.0
"""The parts of `make fresh` that run without a fresh system."""

from __future__ import annotations

from pathlib import Path

from tools.fresh import USERS, User, network, pip_configuration, summary


def test_only_network_settings_are_passed_on() -> None:
    here = {"SSL_CERT_FILE": "/ca.crt", "https_proxy": "http://localhost:1", "HOME": "/home/ada", "PYTHONPATH": "/x"}
    assert network(here) == {"SSL_CERT_FILE": "/ca.crt", "https_proxy": "http://localhost:1"}


def test_pip_in_the_system_uses_the_same_indexes() -> None:
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


def test_pip_without_settings_has_an_empty_configuration() -> None:
    assert pip_configuration("") == "[global]\n"


def test_each_user_has_a_home() -> None:
    assert [user.home for user in USERS] == [Path("/root"), Path("/home/ada")]


def test_the_summary_has_names_and_values() -> None:
    assert summary(User("root"), {"demo": 0, "test": 2}) == "user=root demo_rc=0 test_rc=2"
