# SPDX-License-Identifier: Apache-2.0
"""How long a device may take follows the slowest of its last runs, above a minimum."""

from __future__ import annotations

import pytest

from reconciler.pipeline.patience import FIRST_S, TIMES, patience_s


@pytest.mark.parametrize(("runs_s", "wanted_s"), [((), 3.0), ((0.001,), 0.25), ((0.1, 0.5, 0.2), 1.5)])
def test_patience_follows_the_slowest_run(runs_s: tuple[float, ...], wanted_s: float) -> None:
    assert patience_s(runs_s) == wanted_s


def test_a_slow_line_is_given_more_time_for_its_first_run() -> None:
    assert patience_s((), expected_s=4.0) == FIRST_S + TIMES * 4.0
    assert patience_s((5.0,), expected_s=4.0) == TIMES * 5.0
