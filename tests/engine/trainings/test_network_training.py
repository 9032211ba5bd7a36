# SPDX-License-Identifier: Apache-2.0
"""A network from the windows of a contest to a proposal, and from there to a vote in the pool."""

from __future__ import annotations

import asyncio
import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

from reconciler.compiler.build_pipeline import BuildPipeline
from reconciler.compiler.pool.evaluation import PackEvaluation
from reconciler.compiler.pool.messages import SampleRows, WindowLayout
from reconciler.compiler.recipe import recipe_of
from reconciler.knowledge.records import LogPosition, SampleBatch
from reconciler.load.document_check import check_file
from reconciler.model import Decide, DeviceType, Digest, Model, ModelSource, SearchSpace, TrainingMethod
from reconciler.model.samples import SampleLog
from reconciler.training.decision import TrainingState
from tests.compiler.training.keras_networks import NAMES, networks
from tests.engine.trainings.test_training_station import TRAINING, Passes
from tests.knowledge.knowledge_samples import CONTEST, CONTEXT, PUMP, STEP, sample
from tests.plan.example_fleet import ESP32
from tests.training.documents import INT8, int8_windows, rows, training

pytest.importorskip("tensorflow", reason="needs the extra `build`")
pytestmark = [pytest.mark.build, pytest.mark.timeout(600)]
LAYOUT = WindowLayout(INT8.element_type, INT8.scale, INT8.zero_point)
EVERY = rows(normal=120, anomalous=24)
WINDOWS = int8_windows(EVERY)


def collect(passes: Passes) -> None:
    """Store windows as devices keep them that run a network: int8, and without features."""
    passes.contests.layouts = {CONTEXT: LAYOUT}
    windows = np.frombuffer(WINDOWS, "<i1").reshape(len(EVERY), -1)
    for log, kind in ((SampleLog.NORMALS, False), (SampleLog.ANOMALIES, True)):
        chosen = [window.tobytes() for row, window in zip(EVERY, windows, strict=True) if row.anomalous is kind]
        made = [
            sample(place, log, window=window, element_type=INT8.element_type, features=())
            for place, window in enumerate(chosen)
        ]
        passes.knowledge.ingest(SampleBatch(CONTEST, PUMP, log, 0, LogPosition(len(made) * STEP), tuple(made)))
    passes.vote()


def test_a_network_is_proposed_as_a_pack_that_builds_and_votes(tmp_path: Path) -> None:
    name = NAMES[0]
    data = networks()[name]
    source = ModelSource(Digest(hashlib.sha256(data).hexdigest()), path=f"models/{name}")
    space = SearchSpace(
        TrainingMethod.KERAS, source=source, decide=Decide.RECONSTRUCTION, epochs=(60,), learning_rate=(0.01,)
    )
    wanted = training(contest=CONTEST, try_=(space,), trials=1, when=TRAINING.when)

    async def run() -> dict[str, bytes]:
        passes = Passes(tmp_path / "state")
        passes.files[f"models/{name}"] = data
        collect(passes)
        assert passes.decide(wanted) is TrainingState.DUE
        await passes.finish()
        passes.decide(wanted)
        (proposal,) = passes.station.wanted()
        return dict(proposal.files)

    files = asyncio.run(run())
    (folder,) = {path.rpartition("/")[0] for path in files}
    provenance = json.loads(files[f"{folder}/provenance.json"])
    assert provenance["trial"]["sha256"] == source.sha256
    assert provenance["versions"].keys() >= {"tensorflow", "keras"}

    checked, _ = check_file(files[f"{folder}/model.yaml"])
    (document,) = checked.documents
    model = document.value
    assert isinstance(model, Model)
    kind = DeviceType(ESP32.name, ESP32.architecture, 65_536, 16_384, operators=model.needs.operators)
    pack = files[f"{folder}/model.pack"]
    built = BuildPipeline(recipe_of(model, kind), {model.source.sha256: pack}, lambda _step: None).build()
    samples = SampleRows(LAYOUT, len(EVERY), b"", WINDOWS)
    called = PackEvaluation(built.pack).vote(samples, [model.parameters["threshold"]])[0] == 1
    assert [row.anomalous for row in EVERY] == called.tolist()
