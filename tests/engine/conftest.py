# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from reconciler.engine.observed.inventory import Inventory
from reconciler.engine.state.writer import StateWriter


@pytest.fixture
def state(tmp_path: Path) -> Iterator[StateWriter]:
    """A new state database."""
    opened = StateWriter(tmp_path / "state.db")
    yield opened
    opened.close()


@pytest.fixture
def inventory(state: StateWriter) -> Inventory:
    return Inventory(state)
