# SPDX-License-Identifier: Apache-2.0
"""What a report means for planning."""

from __future__ import annotations

from dataclasses import replace

from reconciler.devices.reports import DecisionReason, ModelLocation
from reconciler.engine.observed.interpret import Facts, observed_device, taken
from reconciler.model import Phase
from tests.engine.test_drift import NOON, PUMP, report

NEW = bytes([1] * 16)


def test_a_lost_trial_is_none_yet_won_while_the_device_is_yet_to_restart() -> None:
    for phase in (Phase.IDLE, Phase.CONFIRMED):
        leaving = replace(report(1), phase=phase, running=NEW, failed=NEW, why=DecisionReason.ON_TRIAL)
        heard = taken(None, PUMP, leaving, NOON)
        assert heard.confirmed_since is None
        seen = observed_device(heard, Facts())
        assert (seen.phase, seen.confirmed_since) == (Phase.TRIAL, None)


def test_a_prebaked_model_that_nothing_replaced_is_confirmed() -> None:
    baked = replace(report(1), phase=Phase.IDLE, place=ModelLocation.PREBAKED, why=DecisionReason.FELL_BACK_TO_PREBAKED)
    seen = observed_device(taken(None, PUMP, baked, NOON), Facts())
    assert (seen.phase, seen.confirmed_since) == (Phase.CONFIRMED, NOON)
