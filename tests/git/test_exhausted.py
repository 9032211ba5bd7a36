# SPDX-License-Identifier: Apache-2.0
"""A process that has no descriptors left: git can't be started for now, and is tried again."""

from __future__ import annotations

import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from reconciler.errors import ResourcesExhausted, Transient
from reconciler.git.mirror import Mirror
from reconciler.git.signatures import CommitVerifier, SignaturePolicy
from reconciler.git.source import Advanced, CommitSource, Kept
from tests.git.forge import Forge, SshKey


@contextmanager
def without_descriptors() -> Iterator[None]:
    """Leave this process no descriptor for the block."""
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    highest = max(int(each.name) for each in Path("/proc/self/fd").iterdir())
    resource.setrlimit(resource.RLIMIT_NOFILE, (highest + 1, limits[1]))
    taken = []
    try:
        with suppress(OSError):
            while True:
                taken.append(os.open("/dev/null", os.O_RDONLY))
        yield
    finally:
        for descriptor in taken:
            os.close(descriptor)
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)


def test_git_without_descriptors_is_transient_and_works_again(
    forge: Forge, source: CommitSource, mirror: Mirror, keys: dict[str, SshKey]
) -> None:
    base = forge.commit(key=keys["ada"])
    assert isinstance(source.poll(None), Advanced)
    forge.commit(key=keys["ada"])
    with without_descriptors():
        kept = source.poll(base)
    assert isinstance(kept, Kept)
    assert (kept.commit, kept.reason, kept.transient) == (base, ResourcesExhausted.reason, True)
    assert isinstance(source.poll(base), Advanced)
    with without_descriptors(), pytest.raises(Transient), mirror.exclusive():
        pass


def test_an_unreadable_file_of_signers_for_lack_of_descriptors_is_transient(
    every: SignaturePolicy, tmp_path: Path
) -> None:
    verifier = CommitVerifier(every, tmp_path)
    with without_descriptors(), pytest.raises(ResourcesExhausted):
        verifier.fingerprint()
