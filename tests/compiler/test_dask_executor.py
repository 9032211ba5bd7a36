# SPDX-License-Identifier: Apache-2.0
"""Builds on a Dask cluster produce the same bytes."""

from __future__ import annotations

from pathlib import Path

import pytest

from reconciler.compiler.artifact_store import ArtifactStore
from reconciler.compiler.errors import BuildGateFailed
from reconciler.compiler.recipe import GateSpec
from reconciler.compiler.sandbox import BuildJob, run_job
from reconciler.compiler.service import BuildService
from tests.compiler.recipes import Files, forest_recipe

distributed = pytest.importorskip("distributed", reason="needs the extra `dask`")


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_dask_cluster_builds_the_same_bytes(tmp_path: Path) -> None:
    files = Files()
    recipe = forest_recipe(files)
    with (
        distributed.LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=None, processes=True) as cluster,
        distributed.Client(cluster) as client,
    ):
        service = BuildService(ArtifactStore(str(tmp_path)), executor=client.get_executor())
        built = service.build(recipe, files)
        with pytest.raises(BuildGateFailed, match="instructions"):
            service.build(forest_recipe(files, gates=(GateSpec("instructions", at_most=1),)), files)
        service.close()
    assert built == run_job(BuildJob(recipe, files.by_digest))
