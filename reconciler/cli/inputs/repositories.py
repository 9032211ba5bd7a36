# SPDX-License-Identifier: Apache-2.0
"""A Git repository around a folder, and what gateways committed to it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import click
import git

from reconciler.git.commit_tree import CommitTree
from reconciler.git.confined_git import ConfinedGit
from reconciler.git.status_reader import files_at, status_branches
from reconciler.load import CheckCache, LoadResult, load
from reconciler.model import Commit, GatewayId
from reconciler.review.reported_state import ReportedState, told_by

LIMIT_S = 120.0


@dataclass(frozen=True, slots=True)
class Found:
    """A repository, and where in it the fleet lies."""

    git: ConfinedGit
    below: str  # empty: the whole repository

    def resolve(self, revision: str) -> Commit:
        """Find the commit that is meant."""
        asked = ("rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
        result = self.git.step(*asked, limit_s=LIMIT_S)
        if result.status != 0:
            raise click.UsageError(f"{revision!r} is no commit of this repository; is the clone deep enough?")
        return Commit(result.out.decode("ascii").strip())

    def tree(self, commit: Commit) -> CommitTree:
        """Open the fleet's files at a commit. Close what is returned."""
        return CommitTree(self.git, commit, self.below, limit_s=LIMIT_S)

    def load(self, commit: Commit, cache: CheckCache) -> LoadResult:
        """Load the fleet as it is at a commit."""
        with self.tree(commit) as tree:
            return load(tree, commit=commit, cache=cache)


def find(path: Path) -> Found:
    """Find the repository that a folder lies in."""
    try:
        with git.Repo(path, search_parent_directories=True) as found:
            git_dir, top = Path(found.git_dir), found.working_tree_dir
    except (git.InvalidGitRepositoryError, git.NoSuchPathError) as error:
        raise click.UsageError(f"{path} is not in a Git repository") from error
    runner = ConfinedGit(path)
    runner.confine(git_dir.absolute())
    runner.require()
    below = "" if top is None else path.resolve().relative_to(Path(top).resolve()).as_posix()
    return Found(runner, "" if below == "." else below)


def evidence_in(found: Found) -> ReportedState:
    """Read what every gateway committed."""
    branches = status_branches(found.git, limit_s=LIMIT_S)
    told = {}
    for name, branch in sorted(branches.items()):
        files = files_at(found.git, branch.commit, limit_s=LIMIT_S)
        told[GatewayId(name)] = told_by(GatewayId(name), files, at=branch.at)
    return ReportedState(told)
