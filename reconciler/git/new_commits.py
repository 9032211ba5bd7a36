# SPDX-License-Identifier: Apache-2.0
"""Finds the commits between the last applied commit and a new head, in a shallow history.

A shallow mirror hides parents, so a walk may stop early, or continue into commits that were applied long
ago. Both show as a new commit without parents. The answer is then "unknown, fetch more", never a guess.
"""

from __future__ import annotations

from reconciler.git.confined_git import ConfinedGit, last_line
from reconciler.git.errors import MirrorDamaged
from reconciler.model import Commit

_OLDEST_FIRST = ("--topo-order", "--reverse")


class MoreHistoryNeeded(Exception):
    """The history in the mirror is too shallow to answer."""


class NotDescended(Exception):
    """The whole history is in the mirror, and the base is not part of it."""


def shallow_boundary(git: ConfinedGit) -> frozenset[bytes]:
    """Return the commits whose parents were not fetched; empty if the history is complete."""
    try:
        return frozenset((git.git_dir / "shallow").read_bytes().split())
    except FileNotFoundError:
        return frozenset()


def has_commit(git: ConfinedGit, commit: Commit, *, limit_s: float) -> bool:
    """Return whether the mirror has the commit."""
    return git.step("cat-file", "-e", f"{commit}^{{commit}}", limit_s=limit_s).status == 0


def new_commits(
    git: ConfinedGit, base: Commit | None, head: Commit, *, limit_s: float, limit: int
) -> tuple[Commit, ...]:
    """Return all commits that are reachable from `head` but not from `base`, parents first.

    Without a base, return only the head. At most `limit + 1` commits are returned, so that the caller can
    detect that the limit is exceeded.
    """
    if base is None:
        return (head,)
    here = has_commit(git, base, limit_s=limit_s)
    cut = _is_cut(git, (head, base) if here else (head,), limit_s=limit_s)
    if not here or not _is_ancestor(git, base, head, limit_s=limit_s):
        raise MoreHistoryNeeded if cut else NotDescended
    count = f"--max-count={limit + 1}"
    lines = git.local("rev-list", "--parents", count, *_OLDEST_FIRST, head, f"^{base}", limit_s=limit_s).split(b"\n")
    walked = [line.split() for line in lines if line]
    if cut and any(len(names) == 1 for names in walked):
        raise MoreHistoryNeeded
    return tuple(Commit(names[0].decode("ascii")) for names in walked)


def _is_cut(git: ConfinedGit, heads: tuple[Commit, ...], *, limit_s: float) -> bool:
    """Return whether the history of these commits is incomplete. Other refs of the mirror do not matter."""
    ends = shallow_boundary(git)
    return bool(ends) and not ends.isdisjoint(git.local("rev-list", *heads, limit_s=limit_s).split())


def _is_ancestor(git: ConfinedGit, base: Commit, head: Commit, *, limit_s: float) -> bool:
    result = git.step("merge-base", "--is-ancestor", base, head, limit_s=limit_s)
    if result.status not in {0, 1}:
        raise MirrorDamaged(f"cannot read the history from {base[:12]} to {head[:12]}: {last_line(result.err)}")
    return result.status == 0
