# SPDX-License-Identifier: Apache-2.0
"""A gateway with false but validly signed reports can misreport its own devices, but no others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from reconciler.model import (
    Action,
    DeviceId,
    FailureBudget,
    Gateway,
    GatewayId,
    Hold,
    HoldReason,
    Install,
    PeerReport,
    Rollout,
    RolloutReport,
    Selector,
    Wave,
)
from reconciler.plan import DetailedPlan, detailed_plan
from reconciler.plan.revision import revision_of
from tests.plan.example_fleet import BUILT, ESP32, EVERYWHERE, NOW, V1, V2, device, digest_of, fleet, observe, seen

WANTED, OLD = digest_of(V2, ESP32.name), digest_of(V1, ESP32.name)
OURS, HONEST, DISHONEST = (GatewayId(name) for name in ("ours", "honest", "dishonest"))
OF = {
    gateway: tuple(DeviceId(f"d{number:03}") for number in range(first, first + 4))
    for gateway, first in ((OURS, 0), (HONEST, 4), (DISHONEST, 8))
}
ALL_DEVICES = [name for names in OF.values() for name in names]
CANARIES = Rollout(
    EVERYWHERE.name,
    V2,
    Selector(),
    waves=(Wave("few", count=3), Wave("half", percent=50)),
    failure_budget=FailureBudget(9),
)
Said = Mapping[str, frozenset[DeviceId]]
CLAIMS = ("done", "begun", "soaking", "due", "failed", "missing", "out")
some = st.frozensets(st.sampled_from(ALL_DEVICES))
false_reports = st.fixed_dictionaries(dict.fromkeys(CLAIMS, some))
truths = st.dictionaries(st.sampled_from(OF[HONEST]), st.sampled_from(CLAIMS))


def report(current: str, said: Said, stopped: str = "") -> RolloutReport:
    done, begun, soaking, due, failed, missing, out = (said[claim] for claim in CLAIMS)
    return RolloutReport(current, done, begun, soaking, due, failed, missing, out, stopped)


def planned(
    rollout: Rollout,
    done: frozenset[DeviceId],
    truth: dict[DeviceId, str],
    lie: Said,
    stopped: str = "",
) -> DetailedPlan:
    """Plan at our gateway: our devices in `done` are done, and the other gateways report as given."""
    gateways = [Gateway(name, Selector(devices=devices)) for name, devices in OF.items()]
    desired = fleet([device(number) for number in range(12)], [rollout], gateways=gateways)
    current = revision_of(desired, rollout.name)
    settled = seen(WANTED, parameters={"threshold": 0.5}, confirmed_since=NOW - timedelta(hours=1))
    devices = {str(name): settled if name in done else seen(OLD) for name in OF[OURS]}
    said = {claim: frozenset(name for name, what in truth.items() if what == claim) for claim in CLAIMS}
    peers = {
        HONEST: PeerReport({rollout.name: report(current, said)}),
        DISHONEST: PeerReport({rollout.name: report(current, lie, stopped)}),
    }
    return detailed_plan(desired, replace(observe(devices, *BUILT), gateway=OURS, peers=peers), NOW)


def actions_at(gateway: GatewayId, found: DetailedPlan) -> list[Action]:
    return [action for action in found.actions if action.device in OF[gateway]]


@given(done=st.frozensets(st.sampled_from(OF[OURS])), truth=truths, lie=false_reports)
def test_a_dishonest_peer_opens_no_wave_with_an_unfinished_device_of_another_gateway(
    done: frozenset[DeviceId], truth: dict[DeviceId, str], lie: Said
) -> None:
    """Whatever it reports, only the gateway that serves a device decides whether that device is done."""
    evaluation = planned(CANARIES, done, truth, lie).evaluations[CANARIES.name]
    for step in evaluation.steps[: evaluation.progress.opened - 1]:
        for name in step.members:
            if name in OF[OURS]:
                assert name in done
            elif name in OF[HONEST]:
                assert truth.get(name) in {"done", "failed", "missing"}  # the budget allows all of these


@given(done=st.frozensets(st.sampled_from(OF[OURS])), truth=truths, lie=false_reports)
def test_a_peers_report_about_devices_of_others_is_ignored(
    done: frozenset[DeviceId], truth: dict[DeviceId, str], lie: Said
) -> None:
    own = {claim: names.intersection(OF[DISHONEST]) for claim, names in lie.items()}
    assert planned(CANARIES, done, truth, lie) == planned(CANARIES, done, truth, own)


def test_a_dishonest_peer_can_report_its_own_devices_done_and_open_a_wave_of_those_alone() -> None:
    """No other gateway reaches those devices, so none can know better. A review warns about such a first wave."""
    theirs = Wave("theirs", selector=Selector(devices=OF[DISHONEST]))
    alone = replace(CANARIES, waves=(theirs,), failure_budget=FailureBudget(1))
    nothing = dict.fromkeys(CLAIMS, frozenset[DeviceId]())
    held = planned(alone, frozenset(), {}, nothing)
    assert {each.reason for each in actions_at(OURS, held) if isinstance(each, Hold)} == {HoldReason.WAVE}
    proven = dict.fromkeys(OF[HONEST], "done")
    lied_to = planned(alone, frozenset(), proven, {**nothing, "done": frozenset(OF[DISHONEST])})
    begun = [each for each in actions_at(OURS, lied_to) if isinstance(each, Install)]
    assert 1 <= len(begun) <= 2  # the number of devices at risk stays within the budget
    watched = replace(alone, waves=(replace(theirs, selector=Selector(devices=(*OF[DISHONEST], OF[HONEST][0]))),))
    still = planned(watched, frozenset(), {}, {**nothing, "done": frozenset(OF[DISHONEST])})
    assert not [each for each in actions_at(OURS, still) if isinstance(each, Install)]


def test_a_dishonest_peer_can_stop_a_rollout_everywhere() -> None:
    found = planned(CANARIES, frozenset(), {}, dict.fromkeys(CLAIMS, frozenset[DeviceId]()), stopped="stopped: a lie")
    assert {each.reason for each in actions_at(OURS, found) if isinstance(each, Hold)} == {HoldReason.BUDGET}
    assert all("(at gateway dishonest)" in each.why for each in actions_at(OURS, found) if isinstance(each, Hold))
