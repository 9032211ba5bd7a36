# SPDX-License-Identifier: Apache-2.0
"""The parts of `make fresh` that need no system of their own."""

from __future__ import annotations

from pathlib import Path

from tools.fresh import USERS, User, network, summary


def test_only_how_packages_are_reached_is_passed_on() -> None:
    here = {
        "PIP_CERT": "/ca.crt",
        "https_proxy": "http://localhost:1",
        "HOME": "/home/ada",
        "PYTHONPATH": "/x",
        "CI": "true",
    }
    assert network(here) == {"PIP_CERT": "/ca.crt", "https_proxy": "http://localhost:1"}


def test_each_clones_into_their_own_home() -> None:
    assert [user.home for user in USERS] == [Path("/root"), Path("/home/ada")]


def test_the_last_line_has_name_and_value() -> None:
    assert summary(User("root"), {"demo": 0, "test": 2}) == "user=root demo_rc=0 test_rc=2"
