# SPDX-License-Identifier: Apache-2.0
"""Where a fleet's files come from: a directory, or a commit of its Git repository; and the status branches there."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import click
import git

from reconciler.cli.inputs.known_names import unknown_name
from reconciler.git.commit_tree import CommitTree
from reconciler.git.confined_git import ConfinedGit
from reconciler.git.status_reader import files_at, status_branches
from reconciler.load import CheckCache, DirectoryTree, LoadResult, load
from reconciler.model import Commit, GatewayId
from reconciler.review.reported_state import ReportedState, parse_gateway_report
from reconciler.tree import Tree

LIMIT_S = 120.0


@dataclass(frozen=True, slots=True)
class FleetRepository:
    """A repository, and the folder in it that holds the fleet."""

    git: ConfinedGit
    below: str  # empty: the whole repository

    def resolve(self, revision: str) -> Commit:
        """Resolve a revision to a commit."""
        command = ("rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
        result = self.git.step(*command, limit_s=LIMIT_S)
        if result.status != 0:
            raise unknown_name("commit, branch or tag", revision, self._refs(), among="branches and tags")
        return Commit(result.out.decode("ascii").strip())

    def _refs(self) -> list[str]:
        command = ("for-each-ref", "--format=%(refname:short)", "refs/heads", "refs/remotes", "refs/tags")
        return self.git.local(*command, limit_s=LIMIT_S).decode("utf-8", "replace").splitlines()

    def tree(self, commit: Commit) -> CommitTree:
        """Open the fleet's files at a commit. The caller closes the tree."""
        return CommitTree(self.git, commit, self.below, limit_s=LIMIT_S)

    def load(self, commit: Commit, cache: CheckCache) -> LoadResult:
        """Load the fleet at a commit."""
        with self.tree(commit) as tree:
            return load(tree, commit=commit, cache=cache)


def find_repository(path: Path) -> FleetRepository:
    """Find the repository that contains a folder."""
    try:
        with git.Repo(path, search_parent_directories=True) as found:
            git_dir, top = Path(found.git_dir), found.working_tree_dir
    except (git.InvalidGitRepositoryError, git.NoSuchPathError) as error:
        raise click.UsageError(f"{path} is not in a Git repository") from error
    runner = ConfinedGit(path)
    runner.confine(git_dir.absolute())
    runner.require()
    below = "" if top is None else path.resolve().relative_to(Path(top).resolve()).as_posix()
    return FleetRepository(runner, "" if below == "." else below)


@contextmanager
def open_tree(path: Path, revision: str | None) -> Iterator[tuple[Tree, Commit]]:
    """Open a directory, or a commit of its repository; yields the tree and its commit (empty for a directory)."""
    if revision is None:
        yield DirectoryTree(path), Commit("")
        return
    repository = find_repository(path)
    commit = repository.resolve(revision)
    with repository.tree(commit) as tree:
        yield tree, commit


def reported_state_in(repository: FleetRepository) -> ReportedState:
    """Read the status branches of all gateways."""
    branches = status_branches(repository.git, limit_s=LIMIT_S)
    reports = {}
    for name, branch in sorted(branches.items()):
        files = files_at(repository.git, branch.commit, limit_s=LIMIT_S)
        reports[GatewayId(name)] = parse_gateway_report(GatewayId(name), files, at=branch.at)
    return ReportedState(reports)
