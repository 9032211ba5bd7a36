# SPDX-License-Identifier: Apache-2.0
"""The change that adds a version of a followed model, and moves the rollouts that run the version before."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import yaml

from reconciler.engine.proposals.champion_change import rollout_file
from reconciler.git.commit_tree import CommitTree
from reconciler.git.errors import NotProposable
from reconciler.git.proposal_outcomes import Edit
from reconciler.load.file_filter import filter_files
from reconciler.load.scalar_edit import LOADER, with_scalars
from reconciler.model import Desired, Model, ModelRef, ModelSource, RolloutId
from reconciler.report.followed_files import followed_document


@dataclass(frozen=True, slots=True)
class WantedVersion:
    """A version of a followed model that is proposed."""

    model: Model  # the version that follows
    ref: ModelRef
    source: ModelSource
    rollouts: tuple[RolloutId, ...]  # that run it
    message: str

    @property
    def target(self) -> str:
        """What the proposal would bring about, in one line."""
        return f"model {self.ref}"


def version_change(tree: CommitTree, desired: Desired, wanted: WantedVersion) -> Mapping[str, Edit]:
    """Return the edits, by path."""
    added = followed_document(_document(tree, wanted.model.ref), wanted.ref, wanted.source)
    edits: dict[str, Edit] = {f"models/{wanted.ref.name}/{wanted.ref.version}/model.yaml": lambda _before: added}
    for name in wanted.rollouts:
        path = rollout_file(tree, desired.rollouts[name])
        edits[path] = partial(_moved, edits.get(path), name, wanted.ref)
    return edits


def _moved(earlier: Edit | None, rollout: RolloutId, ref: ModelRef, data: bytes | None) -> bytes:
    if data is None:
        raise NotProposable(f"the file of rollout {rollout} is gone")
    before = data if earlier is None else earlier(data)
    return with_scalars(before, "Rollout", rollout, {("spec", "model", "version"): str(ref.version)})


def _document(tree: CommitTree, ref: ModelRef) -> Mapping[str, Any]:
    for entry in filter_files(tree.entries()).yaml:
        data = tree.read(entry)
        if ref.name.encode() not in data:
            continue
        for document in yaml.load_all(data, LOADER):
            if (
                isinstance(document, dict)
                and document.get("kind") == "Model"
                and document["metadata"]["name"] == ref.name
                and document["spec"]["version"] == ref.version
            ):
                return document
    raise NotProposable(f"no file of commit {tree.commit[:12]} has the model {ref}")
