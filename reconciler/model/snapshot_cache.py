# SPDX-License-Identifier: Apache-2.0
"""Snapshots: immutable values for which the same object means that nothing changed.

A pass over ten thousand devices must not compare ten thousand values to learn that nothing happened.
So the values that travel from one step of a pass to the next follow one convention:

* A snapshot is never changed in place. `Desired`, `Observed`, `PeerReport` and everything in them are snapshots.
* A step that computes a snapshot again returns the previous object when the new one is equal: `reuse_if_equal`.
* A step that receives snapshots compares them with `is`. If all of them are the objects of the previous pass,
  its result is still valid: `SnapshotCache`.

A step that breaks the second rule costs time, for its readers work when they need not. A step that breaks the
first rule is a bug: its readers miss the change.
"""

from __future__ import annotations

from typing import Generic, TypeVar

T = TypeVar("T")


def reuse_if_equal(previous: T | None, new: T) -> T:
    """Return the previous object when the new one equals it, so that readers see that nothing changed."""
    return previous if previous is not None and previous == new else new


class SnapshotCache(Generic[T]):
    """The last result of a step, valid while every snapshot that it was computed from is the same object.

    The cache keeps references to these snapshots. An object that is freed can therefore not be mistaken for
    a new one at the same address.
    """

    __slots__ = ("_snapshots", "_value")

    def __init__(self) -> None:
        self._snapshots: tuple[object, ...] = ()
        self._value: T | None = None

    def get(self, *snapshots: object) -> T | None:
        """Return the last result if it was computed from these very objects, else None."""
        if len(snapshots) != len(self._snapshots):
            return None
        for known, given in zip(self._snapshots, snapshots, strict=True):
            if known is not given:
                return None
        return self._value

    def put(self, value: T, *snapshots: object) -> T:
        """Keep a result and the snapshots that it was computed from; return the result."""
        self._snapshots, self._value = snapshots, value
        return value

    def clear(self) -> None:
        """Forget the last result."""
        self._snapshots, self._value = (), None
