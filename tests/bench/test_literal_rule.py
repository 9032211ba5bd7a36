# SPDX-License-Identifier: Apache-2.0
"""The paper's rule on votes that can be checked by hand, and the pictures of what it did."""

from __future__ import annotations

import re

import numpy as np

from bench.bearings.dataset import BearingRun
from bench.contest.chart import RED
from bench.contest.forests import BenchForest
from bench.contest.literal_rule import play_literally
from bench.contest.pictures import course, outcomes
from bench.contest.play import Play, Setting

WINDOWS = 40
CRIES_WOLF, SOUND, LARGER, LATE = BenchForest(0, 10), BenchForest(1, 10), BenchForest(1, 20), BenchForest(2, 10)


def setting(champion: BenchForest) -> Setting:
    """Every window is normal; one forest calls all of them anomalous, and one does from window 20 on."""
    none = np.zeros(WINDOWS, np.bool_)
    late = np.arange(WINDOWS) >= 20
    life = np.linspace(0.1, 1, WINDOWS)
    run = BearingRun("by hand", life * 10_000, life, np.zeros((4, WINDOWS, 1), np.int16))
    return Setting(run, 0, {CRIES_WOLF: ~none, SOUND: none, LARGER: none, LATE: late}, champion)


def test_the_fifth_false_positive_replaces_the_champion_by_the_smallest_of_the_best() -> None:
    play = play_literally(setting(CRIES_WOLF))
    first, second = play.rounds
    assert [window for window, _ in first.ranks] == [0, 1, 2, 3, 4]
    assert first.ranks[-1][1] == {CRIES_WOLF: -5, SOUND: 5, LARGER: 5, LATE: 5}
    assert (second.champion, second.first, second.ranks) == (SOUND, 5, ())
    assert (play.replacements, play.last_champion, play.became_worse) == (1, SOUND, False)
    assert list(play.alarms()) == [0, 1, 2, 3, 4]


def test_a_champion_that_raises_no_false_alarm_stays() -> None:
    play = play_literally(setting(SOUND))
    assert (play.replacements, list(play.alarms())) == (0, [])


def test_false_alarms_count_after_the_run_in_only_and_on_the_healthy_machine() -> None:
    assert setting(SOUND).false_alarms_per_1000(CRIES_WOLF) == 1000
    assert 0 < setting(SOUND).false_alarms_per_1000(LATE) < 1000
    assert setting(SOUND).detected(LATE) == 1


def test_a_picture_shows_each_replacement() -> None:
    play = play_literally(setting(CRIES_WOLF))
    assert _lines(course(play, "by hand"), RED) == 1
    assert _lines(course(Play(play.setting, play.rounds[:1]), "by hand"), RED) == 0
    assert _lines(outcomes([play], [play], [play]), RED) == 1


def _lines(svg: str, colour: str) -> int:
    return len(re.findall(f'<path [^>]*stroke="{colour}"', svg))
