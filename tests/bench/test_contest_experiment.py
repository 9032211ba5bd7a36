# SPDX-License-Identifier: Apache-2.0
"""The experiment in its short form: on the same windows, the paper's rule replaces champions more often than ours."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest

from bench.bearings.dataset import BearingRun, generated
from bench.bearings.schedule import FILES
from bench.contest.experiment import Experiment, experiment, votes_on
from bench.contest.forests import BenchForest, Bools, all_forests
from bench.contest.our_rules import CONTEST, play_by_our_rules
from bench.contest.play import Setting
from bench.contest.pool_speed import pool_votes

pytestmark = pytest.mark.usefixtures("host_build")
ONE_IN = 8  # files
FEWER_FILES = replace(CONTEST, collect=replace(CONTEST.collect, normal=2))  # so nearly as many normals travel


@pytest.fixture(scope="module")
def short_run() -> BearingRun:
    return generated(range(0, FILES, ONE_IN))


@pytest.fixture(scope="module")
def packs(short_run: BearingRun) -> dict[BenchForest, bytes]:
    return all_forests(short_run)


@pytest.fixture(scope="module")
def votes(host_build: object, short_run: BearingRun, packs: dict[BenchForest, bytes]) -> list[dict[BenchForest, Bools]]:
    del host_build
    return [dict(on_bearing) for on_bearing in votes_on(short_run, packs)]


@pytest.fixture(scope="module")
def played(short_run: BearingRun, votes: list[dict[BenchForest, Bools]]) -> Experiment:
    return experiment(short_run, votes, FEWER_FILES)


def test_the_literal_rule_flaps_and_ours_does_not(played: Experiment) -> None:
    literal, ours = ([play.replacements for play in plays] for plays in (played.literal, played.ours))
    assert sum(literal) > sum(ours) > 0
    assert max(literal) > max(ours)


def test_ours_lowers_false_alarms_and_makes_fewer_champions_worse(played: Experiment) -> None:
    figures = played.figures()
    assert figures["false_alarms_per_1000_after"] < figures["false_alarms_per_1000_before"] / 2
    assert figures["ours_worse"] < figures["literal_worse"]


def test_last_champions_find_failing_bearings(played: Experiment) -> None:
    figures = played.figures()
    assert figures["detects_failing_b3"] > 0.95
    assert figures["detects_failing_b4"] > 0.95


def test_forests_know_their_own_bearing(votes: list[dict[BenchForest, Bools]]) -> None:
    healthy = slice(0, len(votes[0][BenchForest(0, 50)]) // 2)
    own = [votes[forest.bearing][forest][healthy].mean() for forest in votes[0]]
    all_bearings = [on_bearing[forest][healthy].mean() for on_bearing in votes for forest in on_bearing]
    assert np.mean(own) < np.mean(all_bearings) / 2


def test_nothing_is_replaced_while_the_tenure_lasts(
    short_run: BearingRun, votes: list[dict[BenchForest, Bools]]
) -> None:
    setting = Setting(short_run, 1, votes[1], BenchForest(0, 10))
    for days in (1, 4):
        rules = replace(FEWER_FILES, replace=replace(CONTEST.replace, tenure_s=days * 86_400))
        play = play_by_our_rules(setting, rules)
        assert play.replacements > 0
        begins = [short_run.minutes[part.first - 1] for part in play.rounds]
        assert all(later - earlier >= days * 1440 for earlier, later in itertools.pairwise(begins))


def test_votes_depend_on_the_windows(short_run: BearingRun, votes: list[dict[BenchForest, Bools]]) -> None:
    """Votes come from the engine: a failing bearing is called anomalous, and the same bearing before is not."""
    own = votes[2][BenchForest(2, 50)]
    failing, healthy = short_run.life > 0.95, short_run.life < 0.5
    assert own[failing].mean() > 0.9
    assert own[healthy].mean() < 0.1


def test_the_pool_of_a_gateway_votes_as_the_engine_of_a_device_decides(
    short_run: BearingRun, packs: dict[BenchForest, bytes], votes: list[dict[BenchForest, Bools]]
) -> None:
    some = slice(0, None, 9)
    cast, _ = pool_votes(packs, short_run.windows[2][some])
    assert cast.keys() == votes[2].keys()
    assert all((cast[forest] == votes[2][forest][some]).all() for forest in cast)
    assert 0 < np.mean([vote.mean() for vote in cast.values()]) < 1
