# SPDX-License-Identifier: Apache-2.0
"""Requests that one gateway passes on to others: request servers, joined without a broker."""

from __future__ import annotations

import asyncio
import itertools
from dataclasses import replace

from reconciler.bus.forwarded_requests import forwarded_call
from reconciler.bus.messages import AskMessage, TakenMessage
from reconciler.operations.codes import AnswerCode
from tests.bus.gateways import NOTHING, Gateways, run

ASK = AskMessage(b"12345678", "test.count", NOTHING, 20_000, b"")


def test_the_answer_names_the_node_and_the_path_the_gateways() -> None:
    async def test() -> None:
        made = Gateways(edge=("cloud",), cloud=())
        made.offer("cloud")
        done = await made.answer("edge", ASK)
        assert (done.call, done.code, done.node) == (ASK.call, AnswerCode.DONE, "cloud")
        assert made.taken[0] == TakenMessage(ASK.call, "cloud")
        asked = made.between[0][2]
        assert isinstance(asked, AskMessage)
        assert asked.path == ("edge",)
        assert asked.deadline_ms <= ASK.deadline_ms
        assert made.servers["edge"].statistics.forwarded == 1

    run(test)


def test_a_lost_request_and_a_lost_answer_run_the_operation_once() -> None:
    async def test() -> None:
        made = Gateways(edge=("cloud",), cloud=())
        made.offer("cloud")
        numbers = itertools.count()
        made.faults.lose = lambda _: next(numbers) in {0, 2, 4, 5}  # requests and answers
        assert (await made.answer("edge", ASK)).code is AnswerCode.DONE
        assert len(made.calls) == 1
        again = await made.answer("edge", ASK)
        assert again.code is AnswerCode.DONE
        assert len(made.calls) == 1

    run(test)


def test_the_next_gateway_is_asked_only_if_one_can_not() -> None:
    async def test() -> None:
        made = Gateways(edge=("empty", "cloud"), empty=(), cloud=())
        made.offer("cloud")
        assert (await made.answer("edge", ASK)).node == "cloud"
        wrong = await made.answer("edge", replace(ASK, call=b"87654321", operation="test.none"))
        assert (wrong.code, len(made.calls)) == (AnswerCode.NO_SUCH_OPERATION, 1)

    run(test)


def test_a_ring_of_gateways_ends() -> None:
    async def test() -> None:
        made = Gateways(a=("b",), b=("c",), c=("a",))
        assert (await made.answer("a", ASK)).code is AnswerCode.NO_SUCH_OPERATION
        asked = [(sender, to) for sender, to, message in made.between if isinstance(message, AskMessage)]
        assert asked == [("a", "b"), ("b", "c")]

    run(test)


def test_clients_that_choose_the_same_call_do_not_meet() -> None:
    async def test() -> None:
        made = Gateways(edge=("cloud",), cloud=())
        made.offer("cloud")
        for client in ("tool", "intruder"):
            assert (await made.answer("edge", ASK, client)).code is AnswerCode.DONE
        assert [call for _, call in made.calls] == [
            forwarded_call("tool", ASK.call),
            forwarded_call("intruder", ASK.call),
        ]

    run(test)


def test_a_long_call_is_not_taken_for_a_dead_gateway() -> None:
    """The gateway says that it lives whenever the request is repeated, also through another one."""

    async def test() -> None:
        made = Gateways(edge=("middle",), middle=("cloud",), cloud=())
        made.offer("cloud", lambda: asyncio.sleep(15), idempotent=True)
        done = await made.answer("edge", ASK)
        assert (done.code, done.node) == (AnswerCode.DONE, "cloud")
        assert len(made.calls) == 1
        assert made.others["edge"].silent == frozenset()

    run(test)
