# SPDX-License-Identifier: Apache-2.0
"""Checks the files of a large fleet on several cores, for commands that load a repository once and exit.

The daemon does not need this: it checks each blob once in its lifetime.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

from reconciler.load.check_cache import CheckCache
from reconciler.load.document_check import CheckedFile, check_file
from reconciler.load.file_filter import filter_files
from reconciler.tree import Tree

MIN_BYTES = 4 << 20  # of YAML, about 25,000 devices; with less, starting a process costs more than it saves
MAX_PROCESSES = 4


def check_in_parallel(tree: Tree, cache: CheckCache, *, min_bytes: int = MIN_BYTES) -> None:
    """Check all YAML files that the cache does not know yet, so that `load` finds them in the cache.

    Forks, so call it before the process starts any thread.
    """
    entries = [entry for entry in filter_files(tree.entries()).yaml if cache.checked(entry.blob) is None]
    cores = min(MAX_PROCESSES, len(os.sched_getaffinity(0)))
    if cores < 2 or sum(entry.size for entry in entries) < min_bytes:  # noqa: PLR2004 - one core cannot share work
        return
    import multiprocessing  # noqa: PLC0415 - slow to import, and only a large fleet needs it
    from concurrent.futures import ProcessPoolExecutor  # noqa: PLC0415 - as above

    data_of = {entry.blob: tree.read(entry) for entry in entries}
    blobs = sorted(data_of, key=lambda blob: len(data_of[blob]))
    shares = [blobs[first::cores] for first in range(cores)]
    own_share, other_shares = shares[0], shares[1:]
    # A forked child inherits the compiled schemas.
    with ProcessPoolExecutor(len(other_shares), mp_context=multiprocessing.get_context("fork")) as pool:
        futures = [pool.submit(_check_all, [data_of[blob] for blob in share]) for share in other_shares]
        _hold(cache, own_share, _check_all([data_of[blob] for blob in own_share]))
        for share, future in zip(other_shares, futures, strict=True):
            _hold(cache, share, future.result())


def _check_all(files: Sequence[bytes]) -> list[CheckedFile]:
    return [check_file(data)[0] for data in files]


def _hold(cache: CheckCache, blobs: Sequence[str], results: Sequence[CheckedFile]) -> None:
    for blob, checked in zip(blobs, results, strict=True):
        cache.hold(blob, checked)
