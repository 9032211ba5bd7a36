# SPDX-License-Identifier: Apache-2.0
"""A whole site: signed commits, the daemon, the real agent. Everything a test starts ends with it."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from demo.site import SerialLine, Site
from demo.world import World

ROOT = Path(__file__).parents[2]
FAST_BAUD = 115200


@pytest.fixture(scope="session")
def firmware() -> None:
    """Build the Linux port; the build itself knows when there is nothing to do, and waits for another one."""
    command = ["flock", "firmware/build/.lock", "make", "-s", "firmware-host"]
    (ROOT / "firmware" / "build").mkdir(exist_ok=True)
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)


@pytest.fixture
def site(firmware: None) -> Iterator[Site]:  # noqa: ARG001 - must have been built
    with tempfile.TemporaryDirectory(prefix="site") as folder, World(Path(folder)) as world:  # a socket's path is short
        made = Site(world, ("pump-1", "pump-2", "pump-3"), SerialLine(FAST_BAUD))
        made.set_up()
        yield made
