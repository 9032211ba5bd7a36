# SPDX-License-Identifier: Apache-2.0
"""Proposes a change as a commit on its own branch, without touching the index or the work tree.

The repository belongs to the person who runs the command, so their configuration applies: their name and
their signing key. The gateway's own mirror ignores all configuration (docs/adr/0020).
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import git

from reconciler.errors import Unusable

SIGN_SETTING: Final = "commit.gpgsign"


class ProposalFailed(Unusable):
    """The repository does not accept the commit."""

    reason = "ProposalFailed"


class ProposalRepository:
    """The Git repository that contains a folder of fleet files."""

    def __init__(self, folder: Path) -> None:
        try:
            self._repository = git.Repo(folder, search_parent_directories=True)
        except (git.InvalidGitRepositoryError, git.NoSuchPathError) as error:
            raise ProposalFailed(f"{folder} is not in a Git repository") from error
        top = self._repository.working_tree_dir
        if top is None:
            raise ProposalFailed(f"{folder} is in a bare Git repository")
        self._below = folder.resolve().relative_to(Path(top).resolve())

    def read_committed(self, path: str) -> bytes:
        """Return a file as of the last commit."""
        name = (self._below / path).as_posix()
        try:
            data: bytes = self._repository.head.commit.tree[name].data_stream.read()
        except (KeyError, ValueError) as error:
            raise ProposalFailed(f"{path} is not committed yet") from error
        return data

    def propose(self, branch: str, message: str, files: Mapping[str, bytes]) -> str:
        """Commit these changes on top of HEAD, to this branch. An earlier proposal there is replaced."""
        head = self._repository.head
        if not head.is_detached and head.ref.name == branch:
            raise ProposalFailed(f"{branch} is checked out: switch to the branch that it will be merged into")
        try:
            return self._propose(branch, message, files)
        except git.GitCommandError as error:
            raise ProposalFailed(f"{branch}: {_last_line(error)}") from error

    def _propose(self, branch: str, message: str, files: Mapping[str, bytes]) -> str:
        run = self._repository.git
        parent = self._repository.head.commit.hexsha
        with tempfile.TemporaryDirectory(prefix="tinyfleet-") as folder:
            with run.custom_environment(GIT_INDEX_FILE=str(Path(folder) / "index")):
                run.read_tree(parent)
                for path, data in files.items():
                    name, blob = (self._below / path).as_posix(), Path(folder) / "blob"
                    blob.write_bytes(data)
                    mode = format(self._repository.commit(parent).tree[name].mode, "o")
                    identity = run.hash_object("-w", "--no-filters", str(blob))
                    run.update_index("--cacheinfo", f"{mode},{identity},{name}")
                tree = run.write_tree()
            signs = run.config("--bool", "--default", "false", "--get", SIGN_SETTING) == "true"
            commit: str = run.commit_tree(tree, "-p", parent, "-m", message, *(["-S"] if signs else []))
        run.update_ref("-m", "tinyfleet provision", f"refs/heads/{branch}", commit)
        return commit


def _last_line(error: git.GitCommandError) -> str:
    lines = str(error.stderr).strip().strip("'").splitlines()
    return lines[-1].strip() if lines else str(error)
