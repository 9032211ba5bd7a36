# SPDX-License-Identifier: Apache-2.0
"""Which change of a rollout's status is urgent. tests/page and tests/system test the rendered files."""

from __future__ import annotations

from dataclasses import replace

from reconciler.engine.status.renderer import has_stopped
from reconciler.model import Commit, RolloutId, RolloutReport
from reconciler.report.device_status import PassStamp
from reconciler.report.rollout_status import RolloutFacts, RolloutStatus, rollout_status
from tests.engine.reports import NOON


def status(stopped: str) -> RolloutStatus:
    facts = RolloutFacts(RolloutId("wear"), "wear@2", RolloutReport("ab"), (), complete=False)
    facts = replace(facts, report=replace(facts.report, stopped=stopped))
    return rollout_status(facts, PassStamp(NOON, Commit("c")), None)


def test_a_rollout_that_has_just_stopped_is_noticed_once() -> None:
    name, progressing, stopped = RolloutId("wear"), status(""), status("stopped: 1 failed, 0 allowed")
    assert has_stopped({name: progressing}, {name: stopped})
    assert has_stopped({}, {name: stopped})
    assert not has_stopped({name: stopped}, {name: stopped})
    assert not has_stopped({name: stopped}, {name: progressing})
