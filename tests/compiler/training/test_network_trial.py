# SPDX-License-Identifier: Apache-2.0
"""Networks are trained from a file and a seed, quantized as the windows are, and evaluated as packs."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest

from reconciler.compiler.pack.checker import check_pack
from reconciler.compiler.pack.io_section import ElementType, decode_io
from reconciler.compiler.pack.pack_format import SectionId, disassemble
from reconciler.compiler.pool.evaluation import PackEvaluation
from reconciler.compiler.pool.messages import SampleRows, WindowLayout
from reconciler.compiler.training.messages import TrialJob, TrialOutcome
from reconciler.compiler.training.snapshot import Snapshot
from reconciler.compiler.training.trial_process import run_trials
from reconciler.model import Decide, TrainingMethod
from reconciler.training.objective import exposure_of
from reconciler.training.selection import RowUse
from reconciler.training.trials import NetworkSettings, Trial, draw_trials
from tests.compiler.training.keras_networks import NAMES, networks
from tests.training.documents import INT8, TRAINING, int8_snapshot, snapshot

pytest.importorskip("tensorflow", reason="needs the extra `build`")
pytestmark = [pytest.mark.build, pytest.mark.timeout(600)]

AUTOENCODER, CLASSIFIER = NAMES
LEARNED_BOTH = int8_snapshot(learn_anomalies=True)


def trial(number: int, name: str, decide: Decide, rate: float = 0.01) -> Trial:
    settings = NetworkSettings(name, hashlib.sha256(networks()[name]).hexdigest(), decide, 60, 16, rate)
    return Trial(number, TrainingMethod.KERAS, settings, seed=7)


def outcomes(windows: Snapshot, *trials: Trial) -> dict[int, TrialOutcome]:
    files = {hashlib.sha256(data).hexdigest(): data for data in networks().values()}
    found = run_trials(TrialJob(windows.encoded, trials, TRAINING.objective, files=files))
    return {each.trial.number: each for each in found}


@pytest.fixture(scope="module")
def trained() -> Mapping[int, TrialOutcome]:
    return outcomes(
        LEARNED_BOTH,
        trial(1, CLASSIFIER, Decide.THRESHOLD),
        trial(2, CLASSIFIER, Decide.RECONSTRUCTION),
        trial(3, AUTOENCODER, Decide.RECONSTRUCTION, rate=1e30),
        trial(4, AUTOENCODER, Decide.RECONSTRUCTION),
        replace(draw_trials(TRAINING)[0], number=5),
    )


@pytest.mark.parametrize("number", [1, 4])
def test_a_pack_decides_as_its_score_says_and_reads_the_windows_as_they_are(
    number: int, trained: Mapping[int, TrialOutcome]
) -> None:
    outcome = trained[number]
    score = outcome.score
    assert score is not None, outcome.error
    check_pack(outcome.pack)
    source = decode_io(disassemble(outcome.pack).section(SectionId.IO))[0][0]
    assert (source.type, source.zero_point) == (ElementType.INT8, INT8.zero_point)
    assert source.scale == pytest.approx(INT8.scale, rel=1e-5)
    every = LEARNED_BOTH.rows
    samples = SampleRows(
        WindowLayout(ElementType.INT8, INT8.scale, INT8.zero_point), len(every), b"", LEARNED_BOTH.windows
    )
    called = PackEvaluation(outcome.pack).vote(samples, [score.threshold])[0] == 1
    assert (PackEvaluation(outcome.pack).vote(samples, [None])[0] == called).all()  # the threshold is the pack's own
    evaluated = np.array([row.use is RowUse.EVALUATE for row in every])
    anomalous = np.array([row.anomalous for row in every])
    weight = np.array([row.weight for row in every])
    alarms = weight[evaluated & ~anomalous & called].sum()
    assert score.false_alarms == pytest.approx(1000 * alarms / exposure_of(every).windows)
    assert score.detection == pytest.approx(100 * called[evaluated & anomalous].mean())
    assert score.detection is not None
    assert score.reached == (score.detection >= TRAINING.objective.detection)


def test_an_autoencoder_finds_the_faults(trained: Mapping[int, TrialOutcome]) -> None:
    score = trained[4].score
    assert score is not None
    assert (score.reached, score.detection, score.false_alarms) == (True, 100.0, 0.0)


def test_a_trial_that_cannot_be_trained_says_why(trained: Mapping[int, TrialOutcome]) -> None:
    assert "`decide: reconstruction` needs as many outputs as inputs, 32" in trained[2].error
    assert "did not converge: set a smaller `learningRate` than 1e+30" in trained[3].error
    assert "a forest reads int16: set `method: keras`" in trained[5].error


def test_the_same_seed_gives_the_same_bytes_whatever_ran_before(trained: Mapping[int, TrialOutcome]) -> None:
    again = outcomes(LEARNED_BOTH, trial(4, AUTOENCODER, Decide.RECONSTRUCTION))[4]
    assert again.pack == trained[4].pack
    assert again.score == trained[4].score


def test_a_method_refuses_the_windows_of_another() -> None:
    one = trial(1, AUTOENCODER, Decide.RECONSTRUCTION)
    assert "train networks for a contest whose champion is a network" in outcomes(snapshot(), one)[1].error


def test_int8_windows_have_a_part_in_the_digest_and_int16_ones_keep_theirs() -> None:
    made = int8_snapshot()
    assert made.sha256 != replace(made, layout=replace(INT8, zero_point=0)).sha256
    assert b"element_type" not in snapshot().encoded.split(b"\n")[0]
