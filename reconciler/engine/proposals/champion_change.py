# SPDX-License-Identifier: Apache-2.0
"""The change of one file that makes a candidate the champion of a rollout."""

from __future__ import annotations

from collections.abc import Mapping

from reconciler.candidates import with_champion
from reconciler.git.commit_tree import CommitTree
from reconciler.git.errors import NotProposable
from reconciler.git.proposal_outcomes import Edit
from reconciler.load.file_filter import filter_files
from reconciler.load.scalar_edit import FieldPath, Scalar, defines, with_scalars
from reconciler.model import THRESHOLD, Candidate, Desired, Rollout


def champion_change(tree: CommitTree, desired: Desired, rollout: Rollout, candidate: Candidate) -> Mapping[str, Edit]:
    """Return the edit of the rollout's file, by path."""
    values = _values(with_champion(rollout, candidate, desired.models))

    def edit(data: bytes | None) -> bytes:
        if data is None:
            raise NotProposable(f"the file of rollout {rollout.name} is gone")
        return with_scalars(data, "Rollout", rollout.name, values)

    return {rollout_file(tree, rollout): edit}


def _values(rollout: Rollout) -> dict[FieldPath, Scalar | None]:
    return {
        ("spec", "model", "name"): rollout.model.name,
        ("spec", "model", "version"): rollout.model.version,
        ("spec", "parameters", THRESHOLD): rollout.parameters.get(THRESHOLD),
    }


def rollout_file(tree: CommitTree, rollout: Rollout) -> str:
    """Return the path of the file that has a rollout."""
    for entry in filter_files(tree.entries()).yaml:
        data = tree.read(entry)
        if rollout.name.encode() in data and defines(data, "Rollout", rollout.name):
            return entry.path
    raise NotProposable(f"no file of commit {tree.commit[:12]} has the rollout {rollout.name}")
