# SPDX-License-Identifier: Apache-2.0
"""Layouts of the arena: no overlaps, and no more memory than needed."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.compiler.tflite.arena_layout import BufferLifetime, lay_out_arena, lower_bound

LIVES = st.lists(
    st.tuples(st.integers(1, 300), st.integers(-1, 12), st.integers(0, 6)).map(
        lambda t: BufferLifetime(t[0], t[1], t[1] + t[2])
    ),
    min_size=1,
    max_size=14,
)


@settings(max_examples=300, deadline=None)
@given(LIVES)
def test_live_buffers_do_not_overlap_and_no_layout_beats_the_bound(lifetimes: list[BufferLifetime]) -> None:
    layout = lay_out_arena(lifetimes)
    for i, a in enumerate(lifetimes):
        assert layout.offsets[i] % 4 == 0
        assert layout.offsets[i] + a.size <= layout.size
        for j in range(i):
            apart = (
                layout.offsets[i] + a.size <= layout.offsets[j]
                or layout.offsets[j] + lifetimes[j].size <= layout.offsets[i]
            )
            assert apart or not a.overlaps(lifetimes[j])
    assert layout.size >= lower_bound(lifetimes)
