# SPDX-License-Identifier: Apache-2.0
"""What is looked at before a model starts, and what it starts with: the real core on a flash model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from reconciler.compiler.pack.pack_format import SectionId, assemble, disassemble
from reconciler.compiler.pack.tunable_parameters_section import Parameter, decode_parameters, encode_parameters
from reconciler.model import Phase
from tests.firmware.bench import Bench, Made, make_pack
from tests.firmware.host import Geometry, HostAgent
from tests.firmware.learning import learning_pack, starter_pack
from tests.firmware.orders import NEW, PREBAKED, SMALL, Delivery, deliver, digest, install, report, stage
from tests.firmware.stages import HALF, stage_pack

OPERATOR = -85
ROWS, FOREST = 4 * SMALL.erase, 8 * SMALL.erase
MakeCore = Callable[..., HostAgent]


def changed(pack: bytes, section: SectionId, content: bytes) -> bytes:
    """Replace a section."""
    parts = disassemble(pack)
    return assemble(type(parts)(parts.kind, parts.arena_bytes, {**parts.sections, section: content}))


def with_unknown_statistic(pack: bytes) -> bytes:
    """Return a well-formed pack that only its engine refuses."""
    features = bytearray(disassemble(pack).sections[SectionId.FEATURES])
    features[4] = 99
    return changed(pack, SectionId.FEATURES, bytes(features))


@pytest.fixture
def learner(make_core: MakeCore, made: Made) -> HostAgent:
    layout: Geometry = replace(SMALL, rows=ROWS, forest=FOREST)
    return make_core(made.region(PREBAKED), layout)


def assert_refused_before_a_trial(agent: HostAgent, bench: Bench, made: Made, pack: bytes) -> int:
    """Deliver a pack; return the code of the result."""
    before = report(agent, made)
    code = deliver(agent, install(bench, made, pack, 1)).code
    after = report(agent, made)
    assert (after.boots, after.running) == (before.boots, digest(PREBAKED)[:16])
    return code


@pytest.mark.parametrize("pack", [starter_pack(), learning_pack()], ids=["fixed", "learning"])
def test_a_pack_that_its_engine_refuses_never_starts(learner: HostAgent, bench: Bench, made: Made, pack: bytes) -> None:
    assert assert_refused_before_a_trial(learner, bench, made, with_unknown_statistic(pack)) < 0
    assert deliver(learner, install(bench, made, pack, 2)).code == 0


@pytest.mark.parametrize("leave_out", [HostAgent.leave_out_learning, HostAgent.leave_out_samples])
def test_a_pack_that_learns_is_refused_by_firmware_that_does_not(
    learner: HostAgent, bench: Bench, made: Made, leave_out: Callable[[HostAgent], None]
) -> None:
    leave_out(learner)
    learner.boot()
    assert assert_refused_before_a_trial(learner, bench, made, learning_pack()) == OPERATOR
    assert deliver(learner, install(bench, made, starter_pack(), 2)).code == 0


def test_parameters_of_one_model_do_not_apply_to_another(updated: HostAgent, bench: Bench, made: Made) -> None:
    decision, score = updated.infer(bytes(1500))
    assert (decision, updated.running()) == (0, digest(NEW))
    assert deliver(updated, Delivery(bench.configure(made, NEW, 3, {0: score - 1}))).code == 0
    for slot in ("slot0", "slot1"):
        region = updated.geometry.regions()[slot]
        updated.write_flash(region.offset, bytes(64))
    updated.boot()
    assert updated.running() == digest(PREBAKED)
    assert updated.infer(bytes(32)) == (0, 0)


def test_the_values_that_an_order_names_are_the_only_ones(make_core: MakeCore, bench: Bench, made: Made) -> None:
    """Memory behind them has zeros, and parameter 0 can not be 0."""
    first, *_ = decode_parameters(disassemble(make_pack(1)).sections[SectionId.PARAMETERS])
    table = [replace(first, minimum=1), Parameter(1, 7, 5, 9)]
    pack = changed(make_pack(1), SectionId.PARAMETERS, encode_parameters(table))
    agent = make_core(made.region(pack))
    assert deliver(agent, Delivery(bench.configure(made, pack, 1, {1: 6}))).code == 0
    assert deliver(agent, Delivery(bench.configure(made, pack, 2, {}))).code == 0


def test_flash_of_another_device_of_the_fleet_is_not_run(updated: HostAgent, make_core: MakeCore, bench: Bench) -> None:
    """The envelope in it is genuine, and for the other device."""
    copy = make_core(bench.device("pump-2").region(PREBAKED))
    start, end = copy.geometry.provisioned, copy.geometry.bytes
    copy.write_flash(start, updated.read_flash(start, end - start))
    copy.boot()
    assert copy.running() == digest(PREBAKED)
    updated.boot()
    assert updated.running() == digest(NEW)


def test_a_stage_is_confirmed_without_windows_of_a_sensor(make_core: MakeCore, bench: Bench, made: Made) -> None:
    agent = make_core(made.region(PREBAKED), replace(SMALL, slot=0x8000, marks=0x4000))
    agent.set_trial_inferences(1)
    stage(agent, install(bench, made, stage_pack(0, HALF).data, 1))
    agent.boot()
    for _ in range(50):
        agent.poll_bits(0)  # no time passes, so a trial that waits for windows does not end
    assert report(agent, made).phase is Phase.CONFIRMED
