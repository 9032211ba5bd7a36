# SPDX-License-Identifier: Apache-2.0
"""How many bytes a model's payload has, from the packs in a build store; where they are not there, nothing is said."""

from __future__ import annotations

from collections.abc import Iterable

from reconciler.compiler.artifact_store import ArtifactStore
from reconciler.compiler.build_result import BuildResult
from reconciler.compiler.payload.codec import smallest
from reconciler.compiler.recipe import recipe_of
from reconciler.model import Artifact, ArtifactKey, Desired, ModelRef, PayloadEncoding, TypeId
from reconciler.review.transfer_volume import PayloadEstimate, TransferKind

WORDS = {PayloadEncoding.RAW: "raw", PayloadEncoding.HEATSHRINK: "compressed", PayloadEncoding.PATCH: "packed"}


class PayloadSizes:
    """Asks a store what was built of each model, each thing once."""

    def __init__(self, store: str, before: Desired, after: Desired) -> None:
        self._store = ArtifactStore(store)
        self._before = before
        self._after = after
        self._known: dict[str, BuildResult | None] = {}  # by the digest of its recipe

    def artifacts(self, pairs: Iterable[ArtifactKey]) -> dict[ArtifactKey, Artifact]:
        """Return what is built of these."""
        found = {}
        for ref, kind in pairs:
            built = self._built(self._after, ref, kind)
            if built is not None:
                found[ref, kind] = built.artifact
        return found

    def of(self, sort: TransferKind) -> PayloadEstimate | None:
        """Work out the smallest payload, against what the device holds where that is there too."""
        wanted = self._built(self._after, sort.wanted, sort.type)
        if wanted is None:
            return None
        held = self._built(self._before, sort.held, sort.type) if sort.held is not None else None
        base = held.pack if held is not None else None
        payload = smallest(wanted.pack, base, slot_bytes=self._after.types[sort.type].slot_bytes)
        kind = f"patch against {sort.held}" if payload.against_base else WORDS[payload.encoding]
        return PayloadEstimate(kind, len(payload.data), exact=True)

    def _built(self, desired: Desired, ref: ModelRef, kind: TypeId) -> BuildResult | None:
        model, target = desired.models.get(ref), desired.types.get(kind)
        if model is None or target is None:
            return None
        recipe = recipe_of(model, target)
        if recipe.digest not in self._known:
            self._known[recipe.digest] = self._store.get(recipe.digest)
        return self._known[recipe.digest]
