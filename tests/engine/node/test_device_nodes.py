# SPDX-License-Identifier: Apache-2.0
"""Devices as nodes of a gateway, on a line of 2400 baud: calls that run once, requests, restarts, losses."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from reconciler.bus.messages import DoneMessage, TakenMessage
from reconciler.devices.operation_messages import DeviceRequest
from reconciler.engine.observed.inventory import Inventory
from reconciler.operations.codes import AnswerCode
from tests.engine.node.line_site import (
    ALL,
    KEEPS,
    MISSING,
    PUMP,
    SENSES,
    SETS,
    STORES,
    LineSite,
    board,
    on_a_line,
)
from tests.firmware.conftest import build
from tests.firmware.operations import SENSED_BYTES

CALL_AT_2400_S = 1.0


@pytest.fixture(scope="module")
def library() -> Path:
    return build("host") / "libtinyfleet-host.so"


def test_calls_at_2400_baud_take_less_than_a_second(library: Path, inventory: Inventory) -> None:
    async def test(site: LineSite) -> None:
        assert len(await site.call(SENSES)) == SENSED_BYTES  # opens a session
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        assert len(await site.call(SENSES)) == SENSED_BYTES
        assert loop.time() - began_s < CALL_AT_2400_S

    on_a_line(library, inventory, test)


def test_each_call_runs_once_on_a_line_with_noise(library: Path, inventory: Inventory) -> None:
    async def test(site: LineSite) -> None:
        before = b"\0"
        for level in range(1, 61):
            assert await site.call(SETS, bytes([level])) == before
            before = bytes([level])
        assert site.link.link.statistics.silences > 0

    on_a_line(library, inventory, test, bit_error_rate=2e-3)


def test_failures_of_a_built_in_are_answers(library: Path, inventory: Inventory) -> None:
    async def test(site: LineSite) -> None:
        unknown = await site.failure_of(MISSING)
        assert (unknown.code, unknown.why) == (
            AnswerCode.FUNCTION_FAILED, "pump-1: its firmware has no built-in of this number",
        )  # fmt: skip
        refused = await site.failure_of(SETS, b"two")
        assert refused.why == "pump-1: the built-in returned -80"
        long = await site.failure_of(SETS, bytes(601))
        assert long.code is AnswerCode.TOO_LARGE

    on_a_line(library, inventory, test)


def test_a_device_that_has_restarted_is_called_again(library: Path, inventory: Inventory) -> None:
    async def test(site: LineSite) -> None:
        assert await site.call(SETS, b"\x05") == b"\0"
        site.agent.boot()
        assert await site.call(SETS, b"\x06") == b"\x05"  # the host keeps the output over a restart

    on_a_line(library, inventory, test)


def test_a_call_that_may_have_run_is_not_repeated(library: Path, inventory: Inventory) -> None:
    async def test(site: LineSite) -> None:
        site.follow(board(SENSES, SETS, requests=()))  # nothing but calls on the line
        await site.call(SETS, b"\x01")
        site.station.restart, site.station.lose_answers = True, 1
        lost = await site.failure_of(SETS, b"\x02")
        assert lost.code is AnswerCode.FUNCTION_FAILED
        assert lost.why == "pump-1: it restarted during the call, so the built-in may have run"
        assert await site.call(SETS, b"\x03") == b"\x02"
        site.station.lose_answers = 1
        assert len(await site.call(SENSES)) == SENSED_BYTES  # idempotent: called again

    on_a_line(library, inventory, test)


def test_a_lost_answer_is_sent_again(library: Path, inventory: Inventory) -> None:
    async def test(site: LineSite) -> None:
        await site.call(SETS, b"\x01")
        site.station.lose_answers = 3
        assert await site.call(SETS, b"\x02") == b"\x01"
        assert await site.call(SETS, b"\x03") == b"\x02"

    on_a_line(library, inventory, test)


def test_a_device_that_does_not_answer_can_not_be_reached(library: Path, inventory: Inventory) -> None:
    async def test(site: LineSite) -> None:
        inventory.silent_after_s = 900.0
        offered = site.node.offered(f"{SENSES.operation}.{PUMP}")
        assert offered.load() is not None
        await asyncio.sleep(901)
        assert offered.load() is None
        site.station.lose_answers = 1000
        site.still_seen()
        never = await site.failure_of(SENSES)
        assert (never.code, never.why) == (AnswerCode.NO_CAPABLE_NODE, "pump-1: it does not answer")

    on_a_line(library, inventory, test)


# ---------------------------------------------------------------- requests


def test_a_request_is_asked_for_served_and_answered_twice(library: Path, inventory: Inventory) -> None:
    async def test(site: LineSite) -> None:
        await site.call(STORES)
        await site.until(lambda: site.agent.replies()[1] == 1)
        assert site.agent.replies() == (1, 1, 0)
        ((caller, _, data),) = site.stored
        assert (caller, len(data)) == ("device/pump-1", SENSED_BYTES)
        assert [type(each) for each in site.answers[caller]] == [TakenMessage, DoneMessage]

    on_a_line(library, inventory, test)


def test_a_request_runs_once_on_a_line_with_noise(library: Path, inventory: Inventory) -> None:
    async def test(site: LineSite) -> None:
        for number in range(1, 11):
            await site.call(STORES)
            await site.until(lambda number=number: site.agent.replies()[1] == number)  # type: ignore[misc]
        assert len(site.stored) == 10
        assert len({call for _, call, _ in site.stored}) == 10

    on_a_line(library, inventory, test, bit_error_rate=1e-3)


def test_a_gateway_that_has_restarted_sees_the_same_call(library: Path, inventory: Inventory) -> None:
    async def test(site: LineSite) -> None:
        site.replies_are_lost = True
        assert site.agent.store() == 0
        await site.until(lambda: len(site.stored) == 1)
        await site.devices.stop()
        site.replies_are_lost = False
        site.start()
        await site.devices.requests.poll(PUMP, site.link)
        await site.until(lambda: site.agent.replies()[1] == 1)
        first, second = site.stored
        assert first == second  # with the same call: a bucket would keep one item

    on_a_line(library, inventory, test)


def test_a_number_that_the_type_does_not_have_is_forbidden(library: Path, inventory: Inventory) -> None:
    async def test(site: LineSite) -> None:
        site.follow(board(STORES, requests=(KEEPS,)))
        site.devices.requests.devices[PUMP].allowed = {}
        await site.call(STORES)
        await site.until(lambda: site.agent.replies()[1] == 1)
        assert site.agent.replies() == (0, 1, -AnswerCode.FORBIDDEN)
        assert site.stored == []

    on_a_line(library, inventory, test)


def test_a_request_is_matched_before_anything_runs(library: Path, inventory: Inventory) -> None:
    async def test(site: LineSite) -> None:
        wrong = board(STORES, requests=(type(KEEPS)(1, KEEPS.operation, SETS.inputs),))
        site.follow(wrong)
        await site.call(STORES)
        await site.until(lambda: site.agent.replies()[1] == 1)
        assert site.agent.replies() == (0, 1, -AnswerCode.DESCRIPTOR_MISMATCH)
        assert site.stored == []

    on_a_line(library, inventory, test)


def test_forged_requests_open_few_sessions_and_run_nothing(library: Path, inventory: Inventory) -> None:
    async def test(site: LineSite) -> None:
        await site.call(SENSES)
        for number in range(1, 50):
            site.devices.heard(PUMP, DeviceRequest(number, 1, bytes(SENSED_BYTES), bytes(16)))
            site.devices.heard(type(PUMP)("pump-9"), DeviceRequest(number, 1, b"", bytes(16)))
            await asyncio.sleep(0.4)
        assert site.stored == []
        assert len(await site.call(SENSES)) == SENSED_BYTES

    on_a_line(library, inventory, test)


def test_a_device_without_requests_is_never_asked(library: Path, inventory: Inventory) -> None:
    async def test(site: LineSite) -> None:
        site.follow(board(SENSES, requests=()))
        await asyncio.sleep(60)
        asked = site.link.link.statistics.questions
        await asyncio.sleep(600)
        assert site.link.link.statistics.questions == asked
        site.follow(ALL)
        await asyncio.sleep(600)
        assert site.link.link.statistics.questions > asked + 20

    on_a_line(library, inventory, test)


def test_firmware_without_the_part_is_never_asked(library: Path, inventory: Inventory) -> None:
    async def test(site: LineSite) -> None:
        capabilities = inventory.capabilities_of(PUMP)
        assert capabilities is not None
        await asyncio.sleep(60)
        assert site.devices.without_part() == ()
        inventory.record_capabilities(PUMP, replace(capabilities, operators=b""))
        assert site.devices.without_part() == (PUMP,)
        site.start()
        asked = site.link.link.statistics.questions
        site.devices.reported(PUMP)
        await asyncio.sleep(600)
        assert site.link.link.statistics.questions == asked
        assert site.node.offered(f"{SENSES.operation}.{PUMP}").load() is None

    on_a_line(library, inventory, test)


def test_questions_for_requests_take_a_tenth_of_the_line(library: Path, inventory: Inventory) -> None:
    async def test(site: LineSite) -> None:
        await asyncio.sleep(60)
        before, loop = site.link.link.statistics.sent_bytes, asyncio.get_running_loop()
        began_s = loop.time()
        await asyncio.sleep(600)
        sent = site.link.link.statistics.sent_bytes - before
        assert 0 < sent * 10 / 2400 < 0.1 * (loop.time() - began_s)

    on_a_line(library, inventory, test)
