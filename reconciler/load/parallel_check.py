# SPDX-License-Identifier: Apache-2.0
"""Checking the files of a large fleet on several cores, for commands that load it once and end.

A daemon has no use for this: it checks a blob once in its life.
"""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor

from reconciler.load.check_cache import CheckCache
from reconciler.load.document_check import CheckedFile, check
from reconciler.load.file_filter import sort
from reconciler.tree import Tree

LEAST_BYTES = 256 * 1024  # of YAML: below, starting a process costs more than it brings
MOST_PROCESSES = 4


def check_in_parallel(tree: Tree, cache: CheckCache) -> None:
    """Check every file of YAML that the cache does not know, on all cores; loading then finds them known."""
    entries = [entry for entry in sort(tree.entries()).yaml if cache.checked(entry.blob) is None]
    cores = min(MOST_PROCESSES, len(os.sched_getaffinity(0)))
    if cores < 2 or sum(entry.size for entry in entries) < LEAST_BYTES:  # noqa: PLR2004 - several are two
        return
    read = {entry.blob: tree.read(entry) for entry in entries}
    blobs = sorted(read, key=lambda blob: len(read[blob]))
    shares = [blobs[first::cores] for first in range(cores)]
    ours, theirs = shares[0], shares[1:]
    # Forked, a child has the schemas already; nothing here has begun a thread.
    with ProcessPoolExecutor(len(theirs), mp_context=multiprocessing.get_context("fork")) as pool:
        waiting = [pool.submit(_check_all, [read[blob] for blob in share]) for share in theirs]
        _hold(cache, ours, _check_all([read[blob] for blob in ours]))
        for share, future in zip(theirs, waiting, strict=True):
            _hold(cache, share, future.result())


def _check_all(files: Sequence[bytes]) -> list[CheckedFile]:
    return [check(data)[0] for data in files]


def _hold(cache: CheckCache, blobs: Sequence[str], checked: Sequence[CheckedFile]) -> None:
    for blob, found in zip(blobs, checked, strict=True):
        cache.hold(blob, found)
