# SPDX-License-Identifier: Apache-2.0
"""Trials come from the seed alone, and not from each other, so their order and number at a time change nothing."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import yaml

from reconciler.model import CLASSIFIERS, Decide, Digest, FeatureOf, ModelSource, SearchSpace, TrainingMethod
from reconciler.training.trials import ForestSettings, Trial, draw_trials
from tests.training.documents import FEATURES, FOREST, training

BOTH = (FOREST, replace(FOREST, method=TrainingMethod.EXTRA_TREES, max_depth=(3, 7)))


def forest(trial: Trial) -> tuple[int, int, tuple[FeatureOf, ...]]:
    assert isinstance(trial.made_of, ForestSettings)
    return trial.made_of.trees, trial.made_of.samples, trial.made_of.features


def test_the_same_seed_draws_the_same_trials_and_another_one_others() -> None:
    one = draw_trials(training(trials=20))
    assert one == draw_trials(training(trials=20))
    assert one[:7] == draw_trials(training(trials=7))
    assert one != draw_trials(training(trials=20, seed=2))
    assert [trial.number for trial in one] == list(range(1, 21))


def test_the_first_draws_are_the_same_in_every_release() -> None:
    """What a training made in another release must be made again by this one: the draws are part of that."""
    (first,) = draw_trials(training(trials=1))
    assert (*forest(first), first.seed) == PINNED


def test_each_setting_is_one_of_its_choices_and_all_are_drawn() -> None:
    trials = draw_trials(training(try_=BOTH, trials=300))
    assert {trial.method for trial in trials} == {space.method for space in BOTH}
    forests = [trial.made_of for trial in trials if isinstance(trial.made_of, ForestSettings)]
    assert len(forests) == 300
    assert {each.trees for each in forests} == set(FOREST.trees)
    assert {each.samples for each in forests} == set(FOREST.samples)
    depths = zip(trials, forests, strict=True)
    assert {each.max_depth for trial, each in depths if trial.method in CLASSIFIERS} == {3, 7}
    assert {len(each.features) for each in forests} == {2, 3}
    assert len({trial.seed for trial in trials}) == 300
    counts = Counter(feature for each in forests for feature in each.features)
    assert counts.keys() == set(FEATURES.of)
    assert max(counts.values()) < 2 * min(counts.values())


def test_features_are_chosen_without_repetition_and_in_their_order() -> None:
    for trial in draw_trials(training(trials=100)):
        places = [FEATURES.of.index(feature) for feature in forest(trial)[2]]
        assert places == sorted(set(places))


def test_without_a_number_all_features_are_used_and_without_features_none() -> None:
    everything = replace(FOREST, features=replace(FEATURES, choose=()))
    assert forest(draw_trials(training(try_=(everything,)))[0])[2] == FEATURES.of
    assert forest(draw_trials(training(try_=(SearchSpace(TrainingMethod.ISOLATION_FOREST),)))[0])[2] == ()


def test_networks_have_settings_of_their_own() -> None:
    source = ModelSource(Digest("ab" * 32), path="models/pump/ae.keras")
    space = SearchSpace(
        TrainingMethod.KERAS, source=source, decide=Decide.RECONSTRUCTION, epochs=(5, 9), learning_rate=(0.1, 0.01)
    )
    networks = draw_trials(training(try_=(space,), trials=30))
    assert {each.settings["epochs"] for each in networks} == {5, 9}
    assert {each.settings["learningRate"] for each in networks} == {0.1, 0.01}
    first = networks[0].settings
    assert (first["source"], first["sha256"], first["decide"]) == ("ae.keras", source.sha256, "reconstruction")
    assert "trees" not in first
    assert yaml.safe_load(yaml.dump(dict(first), Dumper=yaml.CSafeDumper)) == first
    assert draw_trials(training(try_=(FOREST,), trials=5)) == draw_trials(training(trials=5))


def test_settings_name_only_what_has_an_effect() -> None:
    isolation, classifier = (draw_trials(training(try_=(space,), trials=1))[0] for space in BOTH)
    assert isolation.settings.keys() == {"method", "trees", "samples", "scheme", "seed", "features"}
    assert classifier.settings.keys() == {"method", "trees", "maxDepth", "scheme", "seed", "features"}
    assert yaml.safe_load(yaml.dump(dict(isolation.settings), Dumper=yaml.CSafeDumper)) == isolation.settings
    assert isinstance(isolation.made_of, ForestSettings)
    two = replace(isolation.made_of, features=(FeatureOf("rms", 2), FeatureOf("std")))
    with_channel = replace(isolation, made_of=two)
    assert with_channel.settings["features"] == ["rms:2", "std"]


PINNED = (10, 32, (FeatureOf("std"), FeatureOf("kurtosis")), 3_032_207_232)
