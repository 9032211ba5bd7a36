# SPDX-License-Identifier: Apache-2.0
"""What a gateway writes into Git when a followed reference points to another file: the document and the message."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from reconciler.model import GatewayId, Model, ModelRef, ModelSource, RolloutId
from reconciler.report.quoted_yaml import quoted_yaml


@dataclass(frozen=True, slots=True)
class MovedRollout:
    """A rollout that a proposal moves to the new version, and how many devices it selects."""

    name: RolloutId
    devices: int


def followed_document(document: Mapping[str, Any], ref: ModelRef, source: ModelSource) -> bytes:
    """Render the document of the new version: a copy of the one that follows, with another version and source."""
    spec = {**document["spec"], "version": str(ref.version), "source": {"url": source.url, "sha256": source.sha256}}
    return b"# Proposed by a gateway, from the registry that the version before follows.\n" + quoted_yaml(
        {**document, "spec": spec}
    )


def followed_message(
    model: Model, ref: ModelRef, source: ModelSource, moved: Sequence[MovedRollout], gateway: GatewayId
) -> str:
    """Write the message of the commit, with trailers for programs. A forge shows it as the text of the review."""
    reference = model.follow.url if model.follow is not None else ""
    plan = [
        f"    {each.name}: {model.ref} -> {ref} on {each.devices} device{'' if each.devices == 1 else 's'}"
        for each in moved
    ] or [f"    no rollout runs {model.ref}: merging changes no device"]
    return "\n".join((
        f"{ref.name}: follow {model.ref.version} with {ref.version}",
        "",
        f"{reference} points to another file:",
        "",
        f"    {source.url}",
        f"    sha256 {source.sha256}",
        "",
        "Plan:",
        "",
        *plan,
        "",
        f"Follows: {reference}",
        f"Gateway: {gateway}",
    ))  # fmt: skip
