# SPDX-License-Identifier: Apache-2.0
"""The same windows and the same document name the same run."""

from __future__ import annotations

from dataclasses import replace

from reconciler.model import (
    Decide,
    Digest,
    ModelSource,
    Objective,
    Persistence,
    SearchSpace,
    TrainingData,
    TrainingMethod,
    TrainingProposal,
    TrainingTrigger,
)
from reconciler.training.identity import run_digest, versions
from tests.training.documents import FOREST, NOON, TRAINING

SNAPSHOT = "ab" * 32


def test_all_that_the_models_depend_on_changes_the_run() -> None:
    first = run_digest(TRAINING, SNAPSHOT)
    others = [
        replace(TRAINING, seed=2),
        replace(TRAINING, trials=7),
        replace(TRAINING, try_=(replace(FOREST, trees=(5,)),)),
        replace(TRAINING, data=TrainingData(holdout=31)),
        replace(TRAINING, objective=Objective(detection=91)),
        replace(TRAINING, model="tree"),
        replace(TRAINING, data=TrainingData(persistence=Persistence(3))),
    ]
    assert len({first, run_digest(TRAINING, "cd" * 32), *(run_digest(each, SNAPSHOT) for each in others)}) == 9


def test_forests_keep_the_name_from_before_there_were_networks() -> None:
    assert run_digest(TRAINING, "00") == "c783d3090221608c46546a889d21814dc51c4f170a610b424e98943ecca9b698"
    source = ModelSource(Digest("ab" * 32), path="a.keras")
    network = SearchSpace(TrainingMethod.KERAS, source=source, decide=Decide.RECONSTRUCTION)
    others = [
        network,
        replace(network, epochs=(5,)),
        replace(network, source=replace(source, sha256=Digest("cd" * 32))),
    ]
    assert len({run_digest(replace(TRAINING, try_=(each,)), SNAPSHOT) for each in others}) == 3


def test_when_it_runs_and_how_it_is_proposed_does_not() -> None:
    later = replace(TRAINING, when=TrainingTrigger(60), propose=TrainingProposal.NEVER, suspend=True, keep=3)
    assert run_digest(later, SNAPSHOT) == run_digest(TRAINING, SNAPSHOT)


def test_versions_name_the_day_of_the_newest_window_and_the_run() -> None:
    found = versions(TRAINING, "0123456789abcdef", NOON, 3)
    assert [str(each) for each in found] == [
        "forest@20261129-01234567",
        "forest@20261129-01234567-2",
        "forest@20261129-01234567-3",
    ]
