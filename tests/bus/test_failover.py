# SPDX-License-Identifier: Apache-2.0
"""A gateway dies, or messages are lost and doubled: each call ends, and none runs twice that must not."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from reconciler.bus.asking import SILENT_S
from reconciler.bus.messages import AskMessage, DoneMessage
from reconciler.operations.codes import AnswerCode
from tests.bus.gateways import NOTHING, Gateways, run

ASK = AskMessage(b"12345678", "test.count", NOTHING, 20_000, b"")
CALLS = 200


def two_clouds(*, idempotent: bool) -> Gateways:
    """Return an edge and two gateways that can do the same; the first one takes a call and dies."""
    made = Gateways(edge=("a", "b"), a=(), b=())

    async def dies() -> None:
        made.faults.down.add("a")
        await asyncio.sleep(1000)

    made.offer("a", dies, idempotent=idempotent)
    made.offer("b", idempotent=idempotent)
    made.learn("edge")
    return made


def test_an_idempotent_call_moves_to_another_gateway_when_its_own_dies() -> None:
    async def test() -> None:
        made = two_clouds(idempotent=True)
        done = await made.answer("edge", ASK)
        assert (done.code, done.node) == (AnswerCode.DONE, "b")
        assert [where for where, _ in made.calls] == ["a", "b"]
        assert made.servers["edge"].statistics.moved == 1
        assert made.others["edge"].silent == {"a"}
        began_s = asyncio.get_running_loop().time()  # the next one does not wait for the silent one
        assert (await made.answer("edge", replace(ASK, call=b"87654321"))).node == "b"
        assert asyncio.get_running_loop().time() - began_s < SILENT_S

    run(test)


def test_a_call_that_is_not_idempotent_ends_with_an_error_when_its_gateway_dies() -> None:
    async def test() -> None:
        made = two_clouds(idempotent=False)
        done = await made.answer("edge", ASK)
        assert (done.code, done.data) == (AnswerCode.DEADLINE, "the gateway a did not answer in time")
        assert [where for where, _ in made.calls] == ["a"]
        assert (await made.answer("edge", replace(ASK, call=b"87654321"))).node == "b"  # a new one goes to another

    run(test)


def test_a_gateway_that_answers_again_is_asked_again() -> None:
    async def test() -> None:
        made = two_clouds(idempotent=True)
        await made.answer("edge", ASK)
        made.faults.down.clear()
        made.start("a")
        made.offer("a", idempotent=True)
        made.others["edge"].received("a", b"anything")  # not a message
        assert made.others["edge"].silent == {"a"}
        made.nodes["b"].offer({})
        await made.answer("edge", replace(ASK, call=b"87654321"))
        assert made.others["edge"].silent == frozenset()

    run(test)


def test_a_call_that_began_before_a_restart_does_not_run_again(tmp_path: Path) -> None:
    """The answer says so. Without the file, it would run a second time."""

    async def test(made: Gateways, code: AnswerCode, ran: int) -> None:
        made.offer("cloud", lambda: asyncio.sleep(1000))
        asking = asyncio.create_task(made.answer("edge", ASK))
        await asyncio.sleep(1)
        made.start("cloud")
        made.offer("cloud")
        assert (await asking).code is code
        assert len(made.calls) == ran

    forgetful = Gateways(edge=("cloud",), cloud=())
    run(lambda: test(forgetful, AnswerCode.DONE, 2))
    remembers = Gateways(edge=("cloud",), cloud=())
    remembers.remember(tmp_path)
    run(lambda: test(remembers, AnswerCode.ANSWER_DROPPED, 1))
    for each in remembers.begun.values():
        each.close()


@pytest.mark.parametrize("idempotent", [True, False])
def test_no_call_is_lost_or_done_twice_although_messages_are_lost_and_doubled(
    tmp_path: Path, *, idempotent: bool
) -> None:
    """Every tenth message is lost and every tenth doubled; the line is cut, and the gateway killed, in between."""
    answers: list[DoneMessage] = []

    async def test() -> None:
        made.faults.lost = made.faults.doubled = 0.1
        made.offer("cloud", idempotent=idempotent)
        made.learn("edge")
        drawn = random.Random(3)

        async def one(number: int) -> None:
            await asyncio.sleep(number * 0.2)
            ask = AskMessage(number.to_bytes(8), "test.count", NOTHING, 120_000, None)
            answers.append(await made.answer("edge", ask, f"client-{number % 4}"))

        async def disturb() -> None:
            for _ in range(4):
                await asyncio.sleep(4 + 3 * drawn.random())
                made.faults.down.add("cloud")  # the line is cut
                await asyncio.sleep(3 * drawn.random())
                made.faults.down.clear()
                await asyncio.sleep(drawn.random())
                await made.servers["cloud"].stop()  # the gateway is killed
                made.start("cloud")
                made.offer("cloud", idempotent=idempotent)

        await asyncio.gather(disturb(), *(one(number) for number in range(CALLS)))

    made = Gateways(edge=("cloud",), cloud=())
    made.remember(tmp_path)
    run(test)
    for each in made.begun.values():
        each.close()
    codes = Counter(each.code for each in answers)
    ran = Counter(call for _, call in made.calls)
    assert len(answers) == len({each.call for each in answers}) == CALLS
    if idempotent:
        assert codes == {AnswerCode.DONE: CALLS}
        assert len(ran) == CALLS
    else:
        assert max(ran.values()) == 1
        assert codes[AnswerCode.DONE] + codes[AnswerCode.ANSWER_DROPPED] == CALLS
        assert 0 < codes[AnswerCode.ANSWER_DROPPED] < CALLS / 10  # those that ran when it was killed, or were not heard
