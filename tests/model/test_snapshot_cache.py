# SPDX-License-Identifier: Apache-2.0
"""The same object means unchanged: reuse of equal values, and results that last as long as their inputs."""

from __future__ import annotations

from reconciler.model.snapshot_cache import SnapshotCache, reuse_if_equal


def test_an_equal_value_is_replaced_by_the_previous_object() -> None:
    previous, equal, different = {"pump": 1}, {"pump": 1}, {"pump": 2}
    assert reuse_if_equal(previous, equal) is previous
    assert reuse_if_equal(previous, different) is different
    assert reuse_if_equal(None, equal) is equal


def test_a_result_is_valid_only_for_the_very_objects_it_was_computed_from() -> None:
    cache: SnapshotCache[str] = SnapshotCache()
    desired, observed = {"pump": 1}, {"pump": 2}
    assert cache.get(desired, observed) is None
    assert cache.put("plan", desired, observed) == "plan"
    assert cache.get(desired, observed) == "plan"
    assert cache.get(dict(desired), observed) is None
    assert cache.get(desired) is None
    cache.clear()
    assert cache.get(desired, observed) is None
