# SPDX-License-Identifier: Apache-2.0
"""What a status costs, and which change of a rollout is urgent. tests/page and tests/system test the rendered files."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import ClassVar

from reconciler.engine.status.renderer import PassOutcome, StatusRenderer, has_stopped
from reconciler.model import (
    Action,
    Commit,
    DeviceId,
    GatewayId,
    NoChange,
    Observed,
    ObservedDevice,
    Phase,
    RolloutId,
    RolloutReport,
)
from reconciler.report.device_status import PassStamp
from reconciler.report.gateway_status import GatewayFacts, SourceState
from reconciler.report.rollout_status import RolloutFacts, RolloutStatus, rollout_status
from tests.engine.reports import NOON
from tests.report.test_contest_status import GOOD
from tests.report.test_model_status import RUNNING


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


class CountedActions(tuple[Action, ...]):
    """Actions that count how often any of them are walked over."""

    __slots__ = ()
    walks: ClassVar[int] = 0

    def __iter__(self) -> Iterator[Action]:
        CountedActions.walks += 1
        return super().__iter__()


def test_a_pass_with_nothing_new_looks_at_no_device() -> None:
    renderer = StatusRenderer(GatewayId("north"), {})
    names = [DeviceId(f"pump-{number}") for number in range(20)]
    facts = GatewayFacts("north", SourceState(good=True, reason="Fetched", message="up to date"))
    seen = {name: ObservedDevice(NOON, Phase.CONFIRMED, None) for name in names}
    observed, actions = Observed(seen), CountedActions(NoChange(name, "as wanted") for name in names)
    outcome = PassOutcome(facts, PassStamp(NOON, Commit("c")), actions, observed)
    files, gone = renderer.render(outcome)
    assert (len(files), gone, renderer.ready) == (22, set(), 20)  # with README.md and gateway.yaml
    walks = CountedActions.walks
    assert renderer.render(outcome) == ({}, set())
    assert CountedActions.walks == walks
    changed = replace(observed, devices={**seen, names[3]: ObservedDevice(NOON, Phase.TRIAL, None)})
    files, _ = renderer.render(replace(outcome, observed=changed))
    assert {path for path in files if path.startswith("devices/")} == {"devices/pump-3.yaml"}
    fewer = CountedActions(actions[1:])
    assert renderer.render(replace(outcome, actions=fewer, observed=changed))[1] == {"devices/pump-0.yaml"}
    assert (renderer.ready, renderer.device_count) == (19, 19)


def test_statuses_of_contests_and_models_are_written_when_they_change_and_removed_with_them() -> None:
    facts = GatewayFacts("north", SourceState(good=True, reason="Fetched", message="up to date"))
    good = PassOutcome(facts, PassStamp(NOON, Commit("c")), contest_reports=(GOOD,), model_facts=(RUNNING,))
    paths = {"contests/pumps.yaml", "models/forest/1.2.0.yaml"}
    renderer = StatusRenderer(GatewayId("north"), {})
    files, gone = renderer.render(good)
    assert (files.keys() - {"gateway.yaml", "README.md"}, gone) == (paths, set())
    assert b"| pumps | forest@a at 0.6 | Watching | 2026-" in files["README.md"]
    counted = replace(GOOD, figures=replace(GOOD.figures, decided=99))
    assert renderer.render(replace(good, contest_reports=(counted,))) == ({}, set())
    again = StatusRenderer(GatewayId("north"), files)
    assert again.render(good) == ({}, set())
    opened = replace(GOOD, figures=replace(GOOD.figures, state="Open", successor="forest@b at 0.6"))
    files, _ = again.render(replace(good, contest_reports=(opened,)))
    assert files.keys() == {"contests/pumps.yaml", "gateway.yaml", "README.md"}
    assert b"propose/hall/pumps proposes forest@b at 0.6" in files["README.md"]
    files, gone = again.render(replace(good, contest_reports=(), model_facts=()))
    assert gone == {*paths, "evidence/pumps.yaml"}
    assert (again.contests, again.models) == ({}, {})
