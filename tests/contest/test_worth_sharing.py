# SPDX-License-Identifier: Apache-2.0
"""When a forest that a device has grown does better than the champion."""

from __future__ import annotations

import pytest

from reconciler.contest.eligibility import worth_sharing
from reconciler.contest.evidence import CandidateComparison
from reconciler.model import ReplacementRules

RULES = ReplacementRules(decided=50, normals=20, margin=20.0)


def comparison(
    *, mine: tuple[int, int], champion: tuple[int, int], decided: int = 50, normals: int = 20
) -> CandidateComparison:
    """Return a comparison; pairs are false alarms and missed windows."""
    return CandidateComparison(0, decided, normals, 1000, *mine, *champion)


@pytest.mark.parametrize(
    ("found", "worth"),
    [
        (comparison(mine=(8, 1), champion=(10, 1)), True),
        (comparison(mine=(9, 1), champion=(10, 1)), False),  # not by the margin
        (comparison(mine=(0, 2), champion=(10, 1)), False),  # it misses more
        (comparison(mine=(10, 0), champion=(10, 5)), True),
        (comparison(mine=(11, 0), champion=(10, 5)), False),  # more false alarms
        (comparison(mine=(0, 0), champion=(0, 0)), False),  # nothing to gain
        (comparison(mine=(0, 0), champion=(10, 1), decided=49), False),
        (comparison(mine=(0, 0), champion=(10, 1), normals=19), False),
    ],
)
def test_it_is_better_by_the_margin_and_nowhere_worse(found: CandidateComparison, worth: bool) -> None:  # noqa: FBT001
    assert worth_sharing(found, RULES) is worth
