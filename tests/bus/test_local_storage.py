# SPDX-License-Identifier: Apache-2.0
"""Buckets keep what they may, and store nothing twice."""

from __future__ import annotations

from pathlib import Path

import pytest

from reconciler.bus.local_storage import BucketFigures, ItemStore, StorageFull
from reconciler.model import Bucket, ItemDescriptor, LocalStorage, Retention, ValueElement

ITEM = ItemDescriptor(dtype=ValueElement.BYTES, shape=(None,))


def opened(folder: Path, *keeps: Retention, limit: int = 1000) -> ItemStore:
    store = ItemStore(folder / "storage.db")
    store.configure(
        LocalStorage(tuple(Bucket(name, ITEM, keep) for name, keep in zip("ab", keeps, strict=False)), limit)
    )
    return store


def put(store: ItemStore, data: bytes, number: int, now: float = 0.0, bucket: str = "a") -> int:
    return store.put(bucket, data, "tool", number.to_bytes(8), now)


def test_the_oldest_items_go_first(tmp_path: Path) -> None:
    store = opened(tmp_path, Retention(age_s=100, bytes=10, items=3))
    assert [put(store, b"xx", number) for number in range(5)] == [1, 2, 3, 4, 5]
    assert [each.number for each in store.items("a", 0)] == [3, 4, 5]  # by their number
    put(store, b"12345678", 5)
    assert [each.number for each in store.items("a", 0)] == [5, 6]  # by their bytes
    put(store, b"y", 6, now=100.5)
    assert store.figures("a") == BucketFigures(1, 1, 7, 7)  # by their age
    assert (store.newest("a", 0), store.newest("a", 1), store.newest("a", -1)) == (b"y", None, None)
    store.close()


def test_a_known_call_stores_nothing_even_after_a_restart(tmp_path: Path) -> None:
    store = opened(tmp_path, Retention())
    assert put(store, b"x", 1) == put(store, b"x", 1) == 1
    store.close()
    again = opened(tmp_path, Retention())
    assert put(again, b"x", 1) == 1
    assert put(again, b"x", 2) == 2
    assert again.figures("a") == BucketFigures(2, 2, 1, 2)
    again.close()


def test_what_fits_nowhere_is_refused_and_costs_nothing(tmp_path: Path) -> None:
    store = opened(tmp_path, Retention(), Retention(), limit=10)
    put(store, b"123456", 1)
    with pytest.raises(StorageFull, match="5 bytes do not fit into the 4"):
        put(store, b"12345", 2, bucket="b")
    assert put(store, b"1234", 3, bucket="b") == 2
    assert store.get("a", 1) == b"123456"
    assert store.get("b", 1) is None
    store.close()


def test_a_bucket_that_git_no_longer_has_is_deleted(tmp_path: Path) -> None:
    store = opened(tmp_path, Retention(), Retention())
    put(store, b"x", 1, bucket="b")
    store.configure(LocalStorage((Bucket("a", ITEM),)))
    assert store.items("b", 0) == ()
    store.close()


def test_a_refusal_is_known_until_the_bucket_takes_an_item(tmp_path: Path) -> None:
    changes: list[dict[str, str]] = []
    store = ItemStore(tmp_path / "storage.db", lambda: changes.append(dict(store.refused)))
    store.configure(LocalStorage((Bucket("a", ITEM, Retention(bytes=4)),), 1000))
    for number in range(2):
        with pytest.raises(StorageFull):
            put(store, b"12345", number)
    put(store, b"1234", 3)
    assert changes == [{"a": "5 bytes do not fit into the 4 that the bucket may have"}, {}]
    store.close()
