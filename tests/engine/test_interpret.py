# SPDX-License-Identifier: Apache-2.0
"""What a report means to the planner."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from reconciler.devices.reports import DecisionReason, ModelLocation
from reconciler.engine.observed.interpret import PackDefaults, is_newer, observed_device, updated_record
from reconciler.model import Phase
from tests.engine.reports import NOON, PUMP, report

NEW = bytes([1] * 16)


def test_a_pack_that_failed_its_trial_is_on_trial_until_the_device_restarts() -> None:
    for phase in (Phase.IDLE, Phase.CONFIRMED):
        leaving = replace(report(1), phase=phase, running=NEW, failed=NEW, why=DecisionReason.ON_TRIAL)
        record = updated_record(None, PUMP, leaving, NOON)
        assert record.confirmed_since is None
        seen = observed_device(record, PackDefaults())
        assert (seen.phase, seen.confirmed_since) == (Phase.TRIAL, None)


def test_a_prebaked_model_that_nothing_replaced_is_confirmed() -> None:
    prebaked = replace(
        report(1), phase=Phase.IDLE, location=ModelLocation.PREBAKED, why=DecisionReason.FELL_BACK_TO_PREBAKED
    )
    seen = observed_device(updated_record(None, PUMP, prebaked, NOON), PackDefaults())
    assert (seen.phase, seen.confirmed_since) == (Phase.CONFIRMED, NOON)


def test_a_report_is_newer_than_none_and_than_one_with_a_lower_counter() -> None:
    record = updated_record(None, PUMP, report(5), NOON)
    assert [is_newer(None, report(1)), is_newer(record, report(6))] == [True, True]
    assert [is_newer(record, report(5)), is_newer(record, report(4))] == [False, False]


def test_a_pack_is_confirmed_since_the_first_report_with_it_and_its_parameters() -> None:
    later = NOON + timedelta(minutes=5)
    first = updated_record(None, PUMP, report(1), NOON)
    assert updated_record(first, PUMP, report(2), later).confirmed_since == NOON
    for changed in (replace(report(2), running=NEW), replace(report(2), parameters=7)):
        assert updated_record(first, PUMP, changed, later).confirmed_since == later
    trying = replace(report(2), phase=Phase.TRIAL)
    assert updated_record(first, PUMP, trying, later).confirmed_since is None
    on_trial = updated_record(None, PUMP, replace(report(1), phase=Phase.TRIAL), NOON)
    assert on_trial.confirmed_since is None
    assert updated_record(on_trial, PUMP, report(2), later).confirmed_since == later


def test_what_a_device_is_otherwise_known_for_stays() -> None:
    record = replace(updated_record(None, PUMP, report(1), NOON), parameters={"threshold": 1}, parameters_crc32=9)
    after = updated_record(record, PUMP, report(2), NOON)
    assert (after.parameters, after.parameters_crc32, after.report) == ({"threshold": 1}, 9, report(2))


def test_a_device_on_which_nothing_runs_has_confirmed_nothing() -> None:
    assert updated_record(None, PUMP, replace(report(1), running=None), NOON).confirmed_since is None


@pytest.mark.parametrize("phase", [Phase.RECEIVING, Phase.STAGED, Phase.TRIAL])
def test_a_device_that_receives_another_pack_while_one_is_on_trial_says_so(phase: Phase) -> None:
    found = replace(report(1), phase=phase, why=DecisionReason.ON_TRIAL)
    assert observed_device(updated_record(None, PUMP, found, NOON), PackDefaults()).phase is phase


@pytest.mark.parametrize("phase", [Phase.IDLE, Phase.RECEIVING, Phase.STAGED])
@pytest.mark.parametrize("location", [ModelLocation.PREBAKED, ModelLocation.SLOT_A, ModelLocation.NOWHERE])
def test_only_an_idle_device_with_a_prebaked_model_has_nothing_left_to_prove(
    phase: Phase, location: ModelLocation
) -> None:
    found = replace(report(1), phase=phase, location=location)
    seen = observed_device(updated_record(None, PUMP, found, NOON), PackDefaults())
    proven = phase is Phase.IDLE and location is ModelLocation.PREBAKED
    assert seen.phase is (Phase.CONFIRMED if proven else phase)
