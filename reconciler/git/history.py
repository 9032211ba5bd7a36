# SPDX-License-Identifier: Apache-2.0
"""Which commits are new between the last applied commit and a new head, in a history that is cut short.

A shallow mirror hides parents, so a walk may stop early or walk into what was applied long ago. Both show as a
new commit without parents; then the answer is "unknown, fetch more" and never a guess.
"""

from __future__ import annotations

from reconciler.git.confined_git import ConfinedGit, last_line
from reconciler.git.errors import MirrorDamaged
from reconciler.model import Commit

_OLDEST_FIRST = ("--topo-order", "--reverse")


class MoreHistoryNeeded(Exception):
    """The mirror's history is cut off too near to answer."""


class NotDescended(Exception):
    """The whole history is here, and the base is not in it."""


def boundary(git: ConfinedGit) -> frozenset[bytes]:
    """Return the commits whose parents were not fetched; empty if the whole history is here."""
    try:
        return frozenset((git.git_dir / "shallow").read_bytes().split())
    except FileNotFoundError:
        return frozenset()


def has_commit(git: ConfinedGit, commit: Commit, *, limit_s: float) -> bool:
    """Tell whether the commit is here."""
    return git.step("cat-file", "-e", f"{commit}^{{commit}}", limit_s=limit_s).status == 0


def new_commits(
    git: ConfinedGit, base: Commit | None, head: Commit, *, limit_s: float, most: int
) -> tuple[Commit, ...]:
    """Return every commit reachable from `head` and not from `base`, parents first; without a base, the head alone.

    At most one more than `most` are returned, so that the caller can tell.
    """
    if base is None:
        return (head,)
    here = has_commit(git, base, limit_s=limit_s)
    cut = _is_cut(git, (head, base) if here else (head,), limit_s=limit_s)
    if not here or not _is_ancestor(git, base, head, limit_s=limit_s):
        raise MoreHistoryNeeded if cut else NotDescended
    count = f"--max-count={most + 1}"
    lines = git.local("rev-list", "--parents", count, *_OLDEST_FIRST, head, f"^{base}", limit_s=limit_s).split(b"\n")
    walked = [line.split() for line in lines if line]
    if cut and any(len(names) == 1 for names in walked):
        raise MoreHistoryNeeded
    return tuple(Commit(names[0].decode("ascii")) for names in walked)


def _is_cut(git: ConfinedGit, heads: tuple[Commit, ...], *, limit_s: float) -> bool:
    """Tell whether the history of these commits lacks a part; other refs of the mirror may be cut as they like."""
    ends = boundary(git)
    return bool(ends) and not ends.isdisjoint(git.local("rev-list", *heads, limit_s=limit_s).split())


def _is_ancestor(git: ConfinedGit, base: Commit, head: Commit, *, limit_s: float) -> bool:
    result = git.step("merge-base", "--is-ancestor", base, head, limit_s=limit_s)
    if result.status not in {0, 1}:
        raise MirrorDamaged(f"the history between {base[:12]} and {head[:12]} can't be read: {last_line(result.err)}")
    return result.status == 0
