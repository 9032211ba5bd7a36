# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from reconciler.model import ProposalMode
from tests.engine.proposals.repository import Gateway, opened


@pytest.fixture
def gateway(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Gateway]:
    with opened(tmp_path, getattr(request, "param", ProposalMode.BRANCH)) as made:
        yield made
