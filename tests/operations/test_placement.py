# SPDX-License-Identifier: Apache-2.0
"""Holders are the same for everyone, and few functions move when nodes come and go."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from reconciler.operations.placement import holders

NODES = st.sets(st.sampled_from([f"gw-{number}" for number in range(8)]), min_size=1)


@given(NODES, st.integers(1, 4), st.randoms(use_true_random=False))
def test_the_order_of_the_nodes_does_not_matter(nodes: set[str], replicas: int, shuffle: object) -> None:
    listed = sorted(nodes)
    shuffle.shuffle(listed)  # type: ignore[attr-defined]
    found = holders("rms", listed, replicas)
    assert found == holders("rms", sorted(nodes), replicas)
    assert len(set(found)) == len(found) == min(replicas, len(nodes))


@given(NODES, st.integers(1, 4), st.data())
def test_when_a_node_leaves_only_its_functions_move(nodes: set[str], replicas: int, data: st.DataObject) -> None:
    gone = data.draw(st.sampled_from(sorted(nodes)))
    for function in ("rms", "fft", "kurtosis"):
        before, after = holders(function, nodes, replicas), holders(function, nodes - {gone}, replicas)
        assert [each for each in before if each != gone] == list(after[: len(before) - (gone in before)])
        if gone not in before:
            assert before == after


def test_functions_are_spread() -> None:
    nodes = [f"gw-{number}" for number in range(4)]
    counts = Counter(holders(f"function-{number}", nodes, 1)[0] for number in range(400))
    assert min(counts[node] for node in nodes) > 60
