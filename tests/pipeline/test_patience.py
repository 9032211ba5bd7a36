# SPDX-License-Identifier: Apache-2.0
"""How long a device may take follows the slowest of its last runs, above a minimum."""

from __future__ import annotations

import pytest

from reconciler.pipeline.patience import patience_s


@pytest.mark.parametrize(("runs_s", "wanted_s"), [((), 3.0), ((0.001,), 0.25), ((0.1, 0.5, 0.2), 1.5)])
def test_patience_follows_the_slowest_run(runs_s: tuple[float, ...], wanted_s: float) -> None:
    assert patience_s(runs_s) == wanted_s
