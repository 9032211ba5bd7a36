# SPDX-License-Identifier: Apache-2.0
"""The model of a pipeline in one piece, for this machine: what its stages together have to equal."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

from reconciler import config
from reconciler.cli.inputs.fleet_source import open_context
from reconciler.cli.inputs.known_names import require_known
from reconciler.compiler.artifact_store import ArtifactStore
from reconciler.compiler.pack.operators import NAMES
from reconciler.compiler.recipe import BuildTarget, Recipe, recipe_of
from reconciler.compiler.service import BuildService
from reconciler.compiler.source_fetcher import fetcher
from reconciler.load import CheckCache
from reconciler.model import PipelineId

ROOMY = 1 << 30  # bytes: no device has them, so the network is never cut


class WholeModel:
    """Builds the network in one piece as the gateway's commit has it, and runs inputs through it."""

    def __init__(self, name: str, config_path: Path) -> None:
        from reconciler.compiler.reference.interpreter import ReferenceInterpreter  # noqa: PLC0415 - imports numpy

        settings = config.read(config_path)
        store = settings.build.store or str(settings.state_dir / "artifacts")
        service = BuildService(ArtifactStore(store))
        with open_context(None, config_path, CheckCache()) as context:
            desired = context.desired
            require_known("pipeline", name, desired.pipelines)
            model = desired.models[desired.pipelines[PipelineId(name)].model]
            bare = replace(model, inputs=(), outputs=(), decide=None, gates=(), parameters={})
            kind = next(iter(desired.types.values()))
            recipe = _for_this_machine(recipe_of(bare, kind))
            with context.repository.tree(desired.commit) as tree:
                built = service.build(recipe, fetcher(bare, tree))
        service.close()
        self._reference = ReferenceInterpreter(built.pack)

    def run(self, data: bytes) -> tuple[bytes, float]:
        """Return the outputs, one after the other, and how many seconds they took."""
        given, at = [], 0
        for item in self._reference.inputs:
            given.append(data[at : at + item.nbytes])
            at += item.nbytes
        began_s = time.monotonic()
        outputs = b"".join(self._reference.run(given).outputs)
        return outputs, time.monotonic() - began_s


def _for_this_machine(recipe: Recipe) -> Recipe:
    target = BuildTarget("this-machine", "host", ROOMY, ROOMY, tuple(sorted(NAMES.values())), recipe.target.pack_format)
    return replace(recipe, target=target)
