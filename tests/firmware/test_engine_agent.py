# SPDX-License-Identifier: Apache-2.0
"""Models of every kind, all the way: delivered, tried on their golden vectors, confirmed, and run by the agent."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from reconciler.compiler.pack.checker import operator_numbers
from reconciler.compiler.pack.decision_head import DecisionMode
from reconciler.compiler.pack.operators import CALLS, STAGE
from reconciler.compiler.reference.interpreter import ReferenceInterpreter, generate_inputs
from reconciler.compiler.tflite.network_pack import Decision, build_network
from reconciler.devices.conversation import Confirmed, TrialFailed
from reconciler.devices.messages import ReportKind
from reconciler.devices.reports import CapabilitiesBody
from tests.compiler.make_vectors import good_packs, models_with_state
from tests.firmware.bench import Bench, Made, make_pack
from tests.firmware.host import HostAgent
from tests.firmware.talk import ask, digest16, job, report_of, update

PACKS = good_packs()
RUN = ("head largest", "head reconstruction", "forest isolation", "forest classification with jumps", "conv same")
MakeAgent = Callable[[bytes], HostAgent]


@pytest.fixture
def made(bench: Bench) -> Made:
    return bench.device("pump-1")


@pytest.mark.parametrize("name", RUN)
def test_a_model_is_installed_and_runs(make_agent: MakeAgent, bench: Bench, made: Made, name: str) -> None:
    agent, pack = make_agent(made.region(make_pack(1))), PACKS[name]
    before = report_of(agent, made)
    outcome, _ = update(agent, made, job(made, bench.install(made, pack, before.sequence + 1), pack, before))
    assert isinstance(outcome, Confirmed), outcome
    assert report_of(agent, made).running == digest16(pack)
    reference = ReferenceInterpreter(pack)
    for seed in (5, 77):
        inputs = generate_inputs(seed, reference.inputs)
        wanted = reference.run(inputs)
        assert agent.infer(b"".join(inputs)) == (wanted.decision, wanted.score)


def test_state_lasts_between_inferences_until_the_input_has_a_gap(
    make_agent: MakeAgent, bench: Bench, made: Made
) -> None:
    model = dict(models_with_state())["window over time"]
    pack = build_network(model, decision=Decision(DecisionMode.LARGEST)).data
    agent, reference = make_agent(made.region(make_pack(1))), ReferenceInterpreter(pack)
    before = report_of(agent, made)
    outcome, _ = update(agent, made, job(made, bench.install(made, pack, before.sequence + 1), pack, before))
    assert isinstance(outcome, Confirmed), outcome
    steps = [generate_inputs(seed, reference.inputs) for seed in range(1, 12)]
    fresh = [reference.run(inputs) for inputs in steps]
    assert [agent.infer(b"".join(inputs)) for inputs in steps] == [(r.decision, r.score) for r in fresh]
    continued = [reference.run(inputs).score for inputs in steps]
    assert continued != [r.score for r in fresh]
    agent.input_missing()
    assert [agent.infer(b"".join(inputs)) for inputs in steps] == [(r.decision, r.score) for r in fresh]


def test_a_model_that_fails_its_golden_vectors_is_not_kept(make_agent: MakeAgent, bench: Bench, made: Made) -> None:
    agent = make_agent(made.region(make_pack(1)))
    pack = bytearray(PACKS["dense per tensor"])
    pack[pack.rfind(ReferenceInterpreter(bytes(pack)).golden[0].outputs[0])] ^= 1
    bad, before = bytes(pack), report_of(agent, made)
    outcome, _ = update(agent, made, job(made, bench.install(made, bad, before.sequence + 1), bad, before))
    assert isinstance(outcome, TrialFailed), outcome
    assert report_of(agent, made).running == digest16(make_pack(1))


def test_capabilities_list_the_operators_of_the_engines(make_agent: MakeAgent, made: Made) -> None:
    reported = ask(make_agent(made.region(make_pack(1))), made, ReportKind.CAPABILITIES)
    assert isinstance(reported, CapabilitiesBody)
    able = int.from_bytes(reported.operators, "little")
    needed = {number for pack in PACKS.values() for number in operator_numbers(pack)}
    assert needed == {*range(18), 21}
    assert able == sum(1 << number for number in needed | {STAGE, CALLS})
