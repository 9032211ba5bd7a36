# SPDX-License-Identifier: Apache-2.0
"""The agent feeds the watchdog often enough, whatever it does (firmware/include/tinyfleet/hal.h)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from tests.firmware.bench import Bench, Made, make_pack
from tests.firmware.host import Geometry, HostAgent
from tests.firmware.orders import NEW, OLD, PREBAKED, Outcome, deliver, digest, install, put, stage

ROOMY = Geometry(erase=512)
NO_PACK = bytes(60_000)  # its digest is right, so that all of it is hashed


def test_the_watchdog_is_fed_before_each_flash_operation_and_while_flash_is_read(
    make_core: Callable[..., HostAgent], bench: Bench, made: Made
) -> None:
    agent = make_core(made.region(NO_PACK, PREBAKED), ROOMY)
    assert agent.running() == digest(PREBAKED)
    for sequence, pack in enumerate((OLD, NEW), start=1):
        delivery = replace(install(bench, made, pack, sequence), block_bytes=400)  # many of them in two erase units
        put(agent, delivery.offer)
        for index in reversed(range(delivery.blocks)):  # the first one of a pair then erases both
            delivery.send(agent, index)
        assert deliver(agent, delivery) == Outcome(0, 0)
    agent.boot()
    operations, bytes_read = agent.unfed
    assert operations == 1
    assert bytes_read < ROOMY.journal + 4096  # one sector of the journal is searched at once


def test_the_watchdog_is_fed_before_each_golden_vector(updated: HostAgent, bench: Bench, made: Made) -> None:
    vectors = 5
    stage(updated, install(bench, made, make_pack(6, vectors=vectors), 3))
    while not updated.wants_reset:
        updated.poll()
    updated.boot()
    for _ in range(vectors):
        before = updated.fed
        updated.poll()
        assert updated.fed > before
