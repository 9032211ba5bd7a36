# SPDX-License-Identifier: Apache-2.0
"""Builds the agent and the engine for Linux once per session."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.firmware.conftest import build


@pytest.fixture(scope="session")
def host_build() -> Path:
    return build("host")
