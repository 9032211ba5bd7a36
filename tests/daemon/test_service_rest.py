# SPDX-License-Identifier: Apache-2.0
"""The pause between two passes."""

from __future__ import annotations

import pytest

from reconciler.daemon.service import COALESCE_S, MAX_REST_S, REST, rest_s


@pytest.mark.parametrize(
    ("pass_s", "expected_s"),
    [(0.0, COALESCE_S), (COALESCE_S / REST / 2, COALESCE_S), (0.2, 0.2 * REST), (60.0, MAX_REST_S)],
    ids=["nothing to it", "a small fleet", "a large fleet", "a machine that stood still"],
)
def test_passes_take_a_bounded_share_of_the_time(pass_s: float, expected_s: float) -> None:
    assert rest_s(pass_s) == pytest.approx(expected_s)
