# SPDX-License-Identifier: Apache-2.0
"""Trials in their caged process: what they make, that it is the same everywhere, and that nothing is done twice."""

from __future__ import annotations

import hashlib
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from reconciler.compiler.pack.checker import check_pack
from reconciler.compiler.pack.io_section import decode_io
from reconciler.compiler.pack.pack_format import SectionId, disassemble
from reconciler.compiler.pool.forest_evaluation import ForestEvaluation
from reconciler.compiler.pool.messages import SampleRows, WindowLayout
from reconciler.compiler.sandbox import BuildLimits
from reconciler.compiler.training.messages import TrialJob, TrialOutcome
from reconciler.compiler.training.run_folder import RunFolder
from reconciler.compiler.training.trainer import Trainer
from reconciler.compiler.training.trial_process import run_trials
from reconciler.model import (
    FeatureChoice,
    FeatureOf,
    SearchSpace,
    Training,
    TrainingData,
    TrainingMethod,
    WindowLabel,
)
from reconciler.training.objective import exposure_of
from reconciler.training.selection import RowUse
from reconciler.training.trials import ForestSettings, draw_trials
from tests.training.documents import FOREST, SAMPLES, TRAINING, snapshot, training

pytest.importorskip("sklearn", reason="needs the extra `build`")
pytestmark = pytest.mark.build

WINDOWS = snapshot()


def trained(folder: Path, wanted: Training = TRAINING) -> Mapping[int, TrialOutcome]:
    kept = RunFolder(folder, wanted.name)
    kept.path.mkdir(parents=True)
    assert Trainer(kept, wanted, BuildLimits()).run(WINDOWS.encoded)
    return kept.outcomes()


def contents(outcomes: Mapping[int, TrialOutcome]) -> dict[int, tuple[object, str]]:
    return {number: (each.score, hashlib.sha256(each.pack).hexdigest()) for number, each in outcomes.items()}


def test_every_trial_makes_a_pack_that_decides_as_its_score_says(tmp_path: Path) -> None:
    outcomes = trained(tmp_path)
    assert [each.trial for each in outcomes.values()] == list(draw_trials(TRAINING))
    layout = WindowLayout(2, samples=SAMPLES, channels=1)
    every = SampleRows(layout, len(WINDOWS.rows), b"", WINDOWS.windows)
    weight = np.array([row.weight for row in WINDOWS.rows])
    anomalous = np.array([row.anomalous for row in WINDOWS.rows])
    evaluated = np.array([row.use is RowUse.EVALUATE for row in WINDOWS.rows])
    exposure = exposure_of(WINDOWS.rows)
    for outcome in outcomes.values():
        score = outcome.score
        assert score is not None, outcome.error
        check_pack(outcome.pack)
        called = ForestEvaluation(outcome.pack).vote(every, [None])[0] == 1
        assert score.pack_bytes == len(outcome.pack)
        assert score.false_alarms == pytest.approx(
            1000 * weight[evaluated & ~anomalous & called].sum() / exposure.windows
        )
        assert score.detection == pytest.approx(100 * called[evaluated & anomalous].mean())
        assert score.detection is not None
        assert score.reached == (score.detection >= TRAINING.objective.detection)
    assert sum(each.score is not None and each.score.reached for each in outcomes.values()) >= 2


def test_the_scale_of_the_windows_is_that_of_the_pack(tmp_path: Path) -> None:
    scaled = replace(WINDOWS, layout=replace(WINDOWS.layout, scale=0.125))
    one = run_trials(TrialJob(scaled.encoded, draw_trials(training(trials=1)), TRAINING.objective))[0]
    assert decode_io(disassemble(one.pack).section(SectionId.IO))[0][0].scale == 0.125
    assert one.score == trained(tmp_path)[1].score


def test_a_training_that_was_killed_goes_on_and_ends_the_same(tmp_path: Path) -> None:
    whole = contents(trained(tmp_path / "whole"))
    kept = RunFolder(tmp_path, TRAINING.name)
    kept.path.mkdir(parents=True)
    first = Trainer(kept, TRAINING, BuildLimits())
    first.run(WINDOWS.encoded, lambda outcome: first.cancelled.set() if outcome.trial.number == 2 else None)
    begun = kept.outcomes()
    assert 2 <= len(begun) < TRAINING.trials
    (kept.path / ".trial-0006.json.new").write_bytes(b"{")  # half a file
    (kept.path / "trial-0001.pack").write_bytes(b"damaged")
    ran: list[int] = []
    assert Trainer(kept, TRAINING, BuildLimits()).run(WINDOWS.encoded, lambda outcome: ran.append(outcome.trial.number))
    assert contents(kept.outcomes()) == whole
    assert set(ran) == {1, *whole.keys() - begun.keys()}


def test_a_gateway_that_is_killed_leaves_no_windows_and_goes_on_to_the_same_end(tmp_path: Path) -> None:
    whole = contents(trained(tmp_path / "whole"))
    kept = RunFolder(tmp_path, TRAINING.name)
    kept.path.mkdir(parents=True)
    command = [sys.executable, "-m", "tests.compiler.training.gateway_that_trains", str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as gateway:
        assert gateway.stdout is not None
        assert gateway.stdout.readline() == "1\n"
        gateway.kill()
    assert gateway.returncode == -signal.SIGKILL
    assert 1 in kept.outcomes()
    assert list(kept.path.glob("*/snapshot"))  # what the trials worked on
    ran: list[int] = []
    assert Trainer(kept, TRAINING, BuildLimits()).run(WINDOWS.encoded, lambda outcome: ran.append(outcome.trial.number))
    assert contents(kept.outcomes()) == whole
    assert 1 not in ran
    assert not list(kept.path.glob("*/snapshot"))


def test_a_dask_cluster_trains_the_same(tmp_path: Path) -> None:
    dask = pytest.importorskip("distributed", reason="needs the extra `dask`")
    whole = contents(trained(tmp_path / "whole", training(trials=10)))
    kept = RunFolder(tmp_path, TRAINING.name)
    kept.path.mkdir(parents=True)
    with (
        dask.LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None) as cluster,
        dask.Client(cluster) as client,
    ):
        spread = Trainer(kept, training(trials=10), BuildLimits())
        assert spread.run(WINDOWS.encoded, executor=client.get_executor())
    assert contents(kept.outcomes()) == whole


def test_a_classifier_learns_the_difference() -> None:
    both = replace(
        WINDOWS,
        rows=tuple(
            replace(row, use=RowUse.TRAIN if index < 90 else RowUse.EVALUATE) for index, row in enumerate(WINDOWS.rows)
        ),
    )
    wanted = training(
        try_=(replace(FOREST, method=TrainingMethod.EXTRA_TREES),),
        data=TrainingData(labels=tuple(WindowLabel)),
        trials=2,
    )
    for outcome in run_trials(TrialJob(both.encoded, draw_trials(wanted), wanted.objective)):
        assert outcome.score is not None, outcome.error
        assert (outcome.score.threshold, outcome.score.detection) == (None, 100.0)


@pytest.mark.parametrize(
    ("features", "message"),
    [
        (None, "a window has 32 samples: name `features`"),
        (FeatureChoice((FeatureOf("std", 3),)), "unknown feature std of channel 3"),
    ],
)
def test_a_trial_that_cannot_be_trained_says_why(features: FeatureChoice | None, message: str) -> None:
    space = SearchSpace(TrainingMethod.ISOLATION_FOREST, trees=(5,), features=features)
    (outcome,) = run_trials(
        TrialJob(WINDOWS.encoded, draw_trials(training(try_=(space,), trials=1)), TRAINING.objective)
    )
    assert outcome.score is None
    assert message in outcome.error


def test_a_trial_that_ends_the_process_fails_alone() -> None:
    """A forest that needs more memory than the limit: the trials before and after it are not lost."""
    trials = draw_trials(training(trials=3))
    settings = trials[1].made_of
    assert isinstance(settings, ForestSettings)
    huge = replace(trials[1], made_of=replace(settings, trees=1_000_000))
    job = TrialJob(
        WINDOWS.encoded,
        (trials[0], huge, trials[2]),
        TRAINING.objective,
        BuildLimits(wall_s=60, cpu_s=6, memory_bytes=1 << 30),
    )
    outcomes = {outcome.trial.number: outcome for outcome in run_trials(job)}
    assert [number for number, outcome in outcomes.items() if outcome.score is None] == [2]
    assert "memory" in outcomes[2].error or "processor time" in outcomes[2].error
