# SPDX-License-Identifier: Apache-2.0
"""Trials come from the seed alone, and not from each other, so their order and number at a time change nothing."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import yaml

from reconciler.model import CLASSIFIERS, FeatureOf, SearchSpace, TrainingMethod
from reconciler.training.trials import draw_trials
from tests.training.documents import FEATURES, FOREST, training

BOTH = (FOREST, replace(FOREST, method=TrainingMethod.EXTRA_TREES, max_depth=(3, 7)))


def test_the_same_seed_draws_the_same_trials_and_another_one_others() -> None:
    one = draw_trials(training(trials=20))
    assert one == draw_trials(training(trials=20))
    assert one[:7] == draw_trials(training(trials=7))
    assert one != draw_trials(training(trials=20, seed=2))
    assert [trial.number for trial in one] == list(range(1, 21))


def test_the_first_draws_are_the_same_in_every_release() -> None:
    """What a training made in another release must be made again by this one: the draws are part of that."""
    first = draw_trials(training(trials=1))[0]
    assert (first.trees, first.samples, first.features, first.seed) == PINNED


def test_each_setting_is_one_of_its_choices_and_all_are_drawn() -> None:
    trials = draw_trials(training(try_=BOTH, trials=300))
    assert {trial.method for trial in trials} == {space.method for space in BOTH}
    assert {trial.trees for trial in trials} == set(FOREST.trees)
    assert {trial.samples for trial in trials} == set(FOREST.samples)
    assert {trial.max_depth for trial in trials if trial.method in CLASSIFIERS} == {3, 7}
    assert {len(trial.features) for trial in trials} == {2, 3}
    assert len({trial.seed for trial in trials}) == 300
    counts = Counter(feature for trial in trials for feature in trial.features)
    assert counts.keys() == set(FEATURES.of)
    assert max(counts.values()) < 2 * min(counts.values())


def test_features_are_chosen_without_repetition_and_in_their_order() -> None:
    for trial in draw_trials(training(trials=100)):
        places = [FEATURES.of.index(feature) for feature in trial.features]
        assert places == sorted(set(places))


def test_without_a_number_all_features_are_used_and_without_features_none() -> None:
    everything = replace(FOREST, features=replace(FEATURES, choose=()))
    assert draw_trials(training(try_=(everything,)))[0].features == FEATURES.of
    assert draw_trials(training(try_=(SearchSpace(TrainingMethod.ISOLATION_FOREST),)))[0].features == ()


def test_settings_name_only_what_has_an_effect() -> None:
    forest, classifier = (draw_trials(training(try_=(space,), trials=1))[0] for space in BOTH)
    assert forest.settings.keys() == {"method", "trees", "samples", "scheme", "seed", "features"}
    assert classifier.settings.keys() == {"method", "trees", "maxDepth", "scheme", "seed", "features"}
    assert yaml.safe_load(yaml.dump(dict(forest.settings), Dumper=yaml.CSafeDumper)) == forest.settings
    with_channel = replace(forest, features=(FeatureOf("rms", 2), FeatureOf("std")))
    assert with_channel.settings["features"] == ["rms:2", "std"]


PINNED = (10, 32, (FeatureOf("std"), FeatureOf("kurtosis")), 3_032_207_232)
