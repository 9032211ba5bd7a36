# SPDX-License-Identifier: Apache-2.0
"""What a gateway can do by lying, its words being signed well: about itself much, about others nothing."""

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
from reconciler.plan import detailed_plan
from reconciler.plan.reference import DetailedPlan
from reconciler.plan.revision import revision_of
from tests.plan.fleets import BUILT, ESP32, EVERYWHERE, NOW, V1, V2, device, digest_of, fleet, observe, seen

WANTED, OLD = digest_of(V2, ESP32.name), digest_of(V1, ESP32.name)
OURS, HONEST, LIAR = (GatewayId(name) for name in ("ours", "honest", "liar"))
OF = {
    gateway: tuple(DeviceId(f"d{number:03}") for number in range(first, first + 4))
    for gateway, first in ((OURS, 0), (HONEST, 4), (LIAR, 8))
}
EVERYBODY = [name for names in OF.values() for name in names]
CANARIES = Rollout(
    EVERYWHERE.name, V2, Selector(), waves=(Wave("few", count=3), Wave("half", percent=50)), budget=FailureBudget(9)
)
Said = Mapping[str, frozenset[DeviceId]]
CLAIMS = ("done", "begun", "soaking", "due", "failed", "missing", "out")
some = st.frozensets(st.sampled_from(EVERYBODY))
lies = st.fixed_dictionaries(dict.fromkeys(CLAIMS, some))
truths = st.dictionaries(st.sampled_from(OF[HONEST]), st.sampled_from(CLAIMS))


def word(current: str, said: Said, stopped: str = "") -> RolloutReport:
    done, begun, soaking, due, failed, missing, out = (said[claim] for claim in CLAIMS)
    return RolloutReport(current, done, begun, soaking, due, failed, missing, out, stopped)


def planned(
    rollout: Rollout,
    done: frozenset[DeviceId],
    truth: dict[DeviceId, str],
    lie: Said,
    stopped: str = "",
) -> DetailedPlan:
    """Plan at our gateway: `done` of ours are done, and the others say what they say."""
    gateways = [Gateway(name, Selector(devices=devices)) for name, devices in OF.items()]
    desired = fleet([device(number) for number in range(12)], [rollout], gateways=gateways)
    current = revision_of(desired, rollout.name)
    settled = seen(WANTED, parameters={"threshold": 0.5}, confirmed_since=NOW - timedelta(hours=1))
    devices = {str(name): settled if name in done else seen(OLD) for name in OF[OURS]}
    said = {claim: frozenset(name for name, what in truth.items() if what == claim) for claim in CLAIMS}
    peers = {
        HONEST: PeerReport({rollout.name: word(current, said)}),
        LIAR: PeerReport({rollout.name: word(current, lie, stopped)}),
    }
    return detailed_plan(desired, replace(observe(devices, *BUILT), gateway=OURS, peers=peers), NOW)


def actions_at(gateway: GatewayId, found: DetailedPlan) -> list[Action]:
    return [action for action in found.actions if action.device in OF[gateway]]


@given(done=st.frozensets(st.sampled_from(OF[OURS])), truth=truths, lie=lies)
def test_a_lie_opens_no_wave_in_which_a_device_of_another_gateway_is_not_done(
    done: frozenset[DeviceId], truth: dict[DeviceId, str], lie: Said
) -> None:
    """Whatever it says, and of whomever: what is over is over by the words of those whose devices they are."""
    course = planned(CANARIES, done, truth, lie).courses[CANARIES.name]
    for step in course.steps[: course.progress.opened - 1]:
        for name in step.members:
            if name in OF[OURS]:
                assert name in done
            elif name in OF[HONEST]:
                assert truth.get(name) in {"done", "failed", "missing"}  # of which the budget bears all


@given(done=st.frozensets(st.sampled_from(OF[OURS])), truth=truths, lie=lies)
def test_what_it_says_of_the_devices_of_others_counts_for_nothing(
    done: frozenset[DeviceId], truth: dict[DeviceId, str], lie: Said
) -> None:
    own = {claim: names.intersection(OF[LIAR]) for claim, names in lie.items()}
    assert planned(CANARIES, done, truth, lie) == planned(CANARIES, done, truth, own)


def test_its_own_devices_it_can_call_done_and_a_wave_of_those_alone_is_over_by_its_word() -> None:
    """The limit of what can be known: nobody else hears those devices. A review tells of such a first wave."""
    theirs = Wave("theirs", selector=Selector(devices=OF[LIAR]))
    alone = replace(CANARIES, waves=(theirs,), budget=FailureBudget(1))
    nothing = dict.fromkeys(CLAIMS, frozenset[DeviceId]())
    held = planned(alone, frozenset(), {}, nothing)
    assert {each.reason for each in actions_at(OURS, held) if isinstance(each, Hold)} == {HoldReason.WAVE}
    proven = dict.fromkeys(OF[HONEST], "done")
    lied_to = planned(alone, frozenset(), proven, {**nothing, "done": frozenset(OF[LIAR])})
    begun = [each for each in actions_at(OURS, lied_to) if isinstance(each, Install)]
    assert 1 <= len(begun) <= 2  # and the budget holds: no more are at risk than it bears
    watched = replace(alone, waves=(replace(theirs, selector=Selector(devices=(*OF[LIAR], OF[HONEST][0]))),))
    still = planned(watched, frozenset(), {}, {**nothing, "done": frozenset(OF[LIAR])})
    assert not [each for each in actions_at(OURS, still) if isinstance(each, Install)]


def test_it_can_stop_a_rollout_for_all() -> None:
    found = planned(CANARIES, frozenset(), {}, dict.fromkeys(CLAIMS, frozenset[DeviceId]()), stopped="stopped: a lie")
    assert {each.reason for each in actions_at(OURS, found) if isinstance(each, Hold)} == {HoldReason.BUDGET}
    assert all("(at gateway liar)" in each.why for each in actions_at(OURS, found) if isinstance(each, Hold))
