# SPDX-License-Identifier: Apache-2.0
"""Which tools pip reads the metadata of third-party C with."""

from __future__ import annotations

import pytest

from firmware.tools.fetch_third_party import isolation


@pytest.mark.parametrize(
    ("installed", "options"),
    [
        ({"setuptools", "wheel"}, ["--no-build-isolation"]),
        ({"setuptools"}, []),  # a fresh virtual environment of Python 3.11
        (set(), []),  # of Python 3.12
    ],
)
def test_tools_that_are_missing_are_fetched(installed: set[str], options: list[str]) -> None:
    assert isolation(lambda tool: tool if tool in installed else None) == options
