# SPDX-License-Identifier: Apache-2.0
"""What a report means to the planner."""

from __future__ import annotations

from dataclasses import replace

from reconciler.devices.reports import DecisionReason, ModelLocation
from reconciler.engine.observed.interpret import PackDefaults, observed_device, updated_record
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
