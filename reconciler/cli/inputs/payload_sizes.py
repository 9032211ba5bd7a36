# SPDX-License-Identifier: Apache-2.0
"""The payload sizes of models, measured on the packs in a build store."""

from __future__ import annotations

from collections.abc import Iterable

from reconciler.cli.inputs.stage_builds import forecast_from, stage_results
from reconciler.compiler.artifact_store import ArtifactStore
from reconciler.compiler.build_result import BuildResult
from reconciler.compiler.payload.payload_encodings import smallest
from reconciler.compiler.recipe import Recipe, recipe_of
from reconciler.model import Artifact, ArtifactKey, Desired, ModelRef, PayloadEncoding, Pipeline, TypeId
from reconciler.pipeline.forecast import PipelineForecast
from reconciler.review.transfer_volume import PayloadEstimate, TransferKind

NAMES = {PayloadEncoding.RAW: "raw", PayloadEncoding.HEATSHRINK: "compressed", PayloadEncoding.PATCH: "packed"}


class PayloadSizes:
    """Looks up built models in a store, each once."""

    def __init__(self, store: str, before: Desired, after: Desired) -> None:
        self._store = ArtifactStore(store)
        self._before = before
        self._after = after
        self._known: dict[str, BuildResult | None] = {}  # by the digest of its recipe

    def artifacts(self, pairs: Iterable[ArtifactKey]) -> dict[ArtifactKey, Artifact]:
        """Return the artifacts that exist."""
        found = {}
        for ref, kind in pairs:
            built = self._built(self._after, ref, kind)
            if built is not None:
                found[ref, kind] = built.artifact
        return found

    def of(self, transfer: TransferKind) -> PayloadEstimate | None:
        """Return the smallest payload, a patch if the running pack is in the store; None if nothing is built."""
        desired = self._built(self._after, transfer.desired, transfer.type)
        if desired is None:
            return None
        running = transfer.running and self._built(self._before, transfer.running, transfer.type)
        base = running.pack if running else None
        payload = smallest(desired.pack, base, slot_bytes=self._after.types[transfer.type].slot_bytes)
        kind = f"patch against {transfer.running}" if payload.against_base else NAMES[payload.encoding]
        return PayloadEstimate(kind, len(payload.data), exact=True)

    def forecast(self, pipeline: Pipeline) -> PipelineForecast:
        """Predict a pipeline of the head from the builds of its stages."""
        results = stage_results(self._after, pipeline, lambda _, recipe: self._of(recipe))
        return forecast_from(self._after, pipeline, results)

    def _built(self, desired: Desired, ref: ModelRef, kind: TypeId) -> BuildResult | None:
        model, target = desired.models.get(ref), desired.types.get(kind)
        if model is None or target is None:
            return None
        return self._of(recipe_of(model, target))

    def _of(self, recipe: Recipe) -> BuildResult | None:
        if recipe.digest not in self._known:
            self._known[recipe.digest] = self._store.get(recipe.digest)
        return self._known[recipe.digest]
