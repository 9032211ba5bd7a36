# SPDX-License-Identifier: Apache-2.0
"""Where a command's fleet comes from: a directory as it is, or a commit of the Git repository around it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
import git

from reconciler.git.confined import ConfinedGit
from reconciler.git.tree import CommitTree
from reconciler.load import DirectoryTree
from reconciler.model import Commit
from reconciler.tree import Tree

LIMIT_S = 60.0


@contextmanager
def opened(path: Path, revision: str | None) -> Iterator[tuple[Tree, Commit]]:
    """Open what is to be loaded, and name its commit (empty for a directory)."""
    if revision is None:
        yield DirectoryTree(path), Commit("")
        return
    try:
        with git.Repo(path, search_parent_directories=True) as found:
            git_dir, top = Path(found.git_dir), found.working_tree_dir
    except (git.InvalidGitRepositoryError, git.NoSuchPathError) as error:
        raise click.UsageError(f"{path} is not in a Git repository") from error
    runner = ConfinedGit(path)
    runner.confine(git_dir)
    below = "" if top is None else path.resolve().relative_to(Path(top).resolve()).as_posix()
    commit = _commit(runner, revision)
    with CommitTree(runner, commit, "" if below == "." else below, limit_s=LIMIT_S) as tree:
        yield tree, commit


def _commit(runner: ConfinedGit, revision: str) -> Commit:
    asked = ("rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
    result = runner.step(*asked, limit_s=LIMIT_S)
    if result.status != 0:
        raise click.UsageError(f"{revision!r} is no commit of this repository")
    return Commit(result.out.decode("ascii").strip())
