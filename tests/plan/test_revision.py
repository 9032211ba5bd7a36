# SPDX-License-Identifier: Apache-2.0
"""The revision of a rollout."""

from __future__ import annotations

from reconciler.model import (
    FailureBudget,
)
from reconciler.plan.revision import revision_of
from tests.plan.example_fleet import EVERYWHERE
from tests.plan.gated_fleet import desired_of


def test_a_revision_depends_on_content_and_not_on_scheduling() -> None:
    base = revision_of(desired_of(), EVERYWHERE.name)
    assert revision_of(desired_of(9, suspend=True, priority=3, critical=True), EVERYWHERE.name) == base
    for changed in (
        {"gates": ()},
        {"failure_budget": FailureBudget(2)},
        {"parameters": {"threshold": 0.9}},
        {"labels": {"a": "b"}},
    ):
        assert revision_of(desired_of(3, **changed), EVERYWHERE.name) != base
