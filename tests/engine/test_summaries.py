# SPDX-License-Identifier: Apache-2.0
"""Summaries are added up per pack, the last one of each device."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from reconciler.devices.reports import Score, Summary
from reconciler.engine.observed.summaries import Summaries, labelled
from reconciler.engine.state.writer import StateWriter
from reconciler.model import DeviceId, ShortDigest

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
OLD, NEW = b"\x01" * 16, b"\x02" * 16
LOW = Score(2, -4, 4, 0, (1, 1, 0, 0, 0, 0, 0, 0))
HIGH = Score(4, 10, 90, 200, (0, 0, 1, 1, 0, 0, 1, 1))


@pytest.fixture
def summaries(state: StateWriter) -> Summaries:
    return Summaries(state)


def summary(running: bytes | None, inferences: int, score: Score | None = None) -> Summary:
    return Summary(running, inferences, inferences // 10, 1, 2, score)


def test_the_last_summary_of_each_device_counts_once_per_pack(summaries: Summaries) -> None:
    summaries.record(DeviceId("a"), summary(OLD, 100), NOON)
    summaries.record(DeviceId("a"), summary(OLD, 150), NOON)
    summaries.record(DeviceId("a"), summary(NEW, 10), NOON)  # the old pack's total keeps what the device did with it
    summaries.record(DeviceId("b"), summary(OLD, 50), NOON)
    summaries.record(DeviceId("c"), summary(None, 99), NOON)
    old, new = summaries.totals()
    assert (old.running, old.devices, old.inferences, old.anomalies, old.faults) == (OLD.hex(), 2, 200, 20, 2)
    assert (new.running, new.devices, new.inferences, new.resets) == (NEW.hex(), 1, 10, 2)


def test_scores_are_merged(summaries: Summaries) -> None:
    summaries.record(DeviceId("a"), summary(OLD, 1, LOW), NOON)
    summaries.record(DeviceId("b"), summary(OLD, 1, HIGH), NOON)
    summaries.record(DeviceId("c"), summary(OLD, 1, Score(0, 0, 0, 0, (0,) * 8)), NOON)
    summaries.record(DeviceId("d"), summary(OLD, 1), NOON)
    (total,) = summaries.totals()
    assert total.score == Score(6, -4, 90, 200, (1, 1, 1, 1, 0, 0, 1, 1))
    score = total.as_dict()["score"]
    assert isinstance(score, dict)
    assert score["mean"] == pytest.approx(200 / 6)


def test_without_scores_the_field_is_left_out(summaries: Summaries) -> None:
    summaries.record(DeviceId("a"), summary(OLD, 1), NOON)
    assert "score" not in summaries.totals()[0].as_dict()


def test_a_model_built_for_two_device_types_has_two_labels(summaries: Summaries) -> None:
    for device, running in (("a", OLD), ("b", NEW), ("c", b"\x03" * 16), ("d", b"\x04" * 16)):
        summaries.record(DeviceId(device), summary(running, 10), NOON)
    names = {
        ShortDigest(digest.hex()): model
        for digest, model in ((OLD, "wear@1"), (NEW, "wear@1"), (b"\x03" * 16, "sound@2"))
    }
    assert labelled(summaries.totals(), names).keys() == {
        f"wear@1 ({'01' * 6})",
        f"wear@1 ({'02' * 6})",
        "sound@2",
        "04" * 16,
    }


def test_a_total_says_how_old_its_figures_are(summaries: Summaries) -> None:
    for minutes, device in enumerate("abc"):
        summaries.record(DeviceId(device), summary(OLD, 1), NOON + timedelta(minutes=minutes))
    summaries.record(DeviceId("a"), summary(OLD, 2), NOON + timedelta(hours=1))
    (total,) = summaries.totals()
    assert (total.oldest, total.newest) == (NOON + timedelta(minutes=1), NOON + timedelta(hours=1))
    assert total.as_dict()["oldestAt"] == "2026-05-01T12:01:00+00:00"
