# SPDX-License-Identifier: Apache-2.0
"""A folder for the processes of a test, which end with it."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from demo.world import World


@pytest.fixture
def world() -> Iterator[World]:
    with tempfile.TemporaryDirectory(prefix="site") as folder, World(Path(folder)) as made:  # a socket's path is short
        yield made
