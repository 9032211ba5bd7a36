# SPDX-License-Identifier: Apache-2.0
"""Snapshots: the same windows are the same bytes, and damage is found."""

from __future__ import annotations

from dataclasses import replace

import pytest

from reconciler.compiler.errors import ModelUnreadable
from reconciler.compiler.training.snapshot import decode_snapshot
from tests.training.documents import snapshot


def test_a_snapshot_is_read_as_it_was_written() -> None:
    made = snapshot()
    read = decode_snapshot(made.encoded)
    assert (read.layout, read.rows, read.windows) == (made.layout, made.rows, made.windows)
    assert (read.sha256, read.newest) == (made.sha256, made.newest)
    assert (read.window_table() == made.window_table()).all()


def test_each_part_of_the_windows_has_a_part_in_the_digest() -> None:
    made = snapshot()
    first = made.rows[0]
    others = [
        replace(made, layout=replace(made.layout, scale=0.5)),
        replace(made, rows=(replace(first, weight=first.weight + 1), *made.rows[1:])),
        replace(made, rows=(replace(first, anomalous=not first.anomalous), *made.rows[1:])),
        replace(made, windows=made.windows[:-1] + bytes([made.windows[-1] ^ 1])),
    ]
    assert len({made.sha256, *(each.sha256 for each in others)}) == 5


@pytest.mark.parametrize("cut", [1, 10, 500])
def test_a_snapshot_that_is_cut_off_is_refused(cut: int) -> None:
    with pytest.raises(ModelUnreadable, match="snapshot"):
        decode_snapshot(snapshot().encoded[:-cut])


def test_another_format_is_refused() -> None:
    with pytest.raises(ModelUnreadable, match="reads tinyfleet-snapshot/1"):
        decode_snapshot(snapshot().encoded.replace(b"snapshot/1", b"snapshot/2", 1))
    with pytest.raises(ModelUnreadable, match="damaged"):
        decode_snapshot(b"{}\n")
