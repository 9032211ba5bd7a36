# SPDX-License-Identifier: Apache-2.0
"""Operations on the real core: sessions, calls that run once, requests, and forgeries of each message."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from reconciler.devices.conversation import BuiltinRan, Rejected, ReplyHeard, Requested
from reconciler.devices.messages import Message, ReportKind, TransferResult, encode, parse_answer
from reconciler.devices.operation_conversation import BuiltinCall, RequestReply
from reconciler.devices.operation_messages import (
    POLL,
    TAKEN,
    BuiltinReturned,
    CallBuiltin,
    DeviceRequest,
    ReplyToRequest,
    call_builtin,
    is_genuine,
    reply_to_request,
)
from reconciler.devices.reports import CapabilitiesBody
from reconciler.model import DeviceId
from signing import keys
from tests.firmware.bench import Bench, Made, make_pack
from tests.firmware.host import AgentError, HostAgent
from tests.firmware.operations import SENSE, SENSED_BYTES, SET_OUTPUT, STORE, Opened, call, open_with, opened
from tests.firmware.talk import ask, hold, job, report_of, update

SEQUENCE, SIGNATURE, MODEL, BUSY, RANGE, SESSION, FUNCTION = -20, -16, -23, -77, -80, -95, -96
MakeAgent = Callable[[bytes], HostAgent]


@pytest.fixture
def made(bench: Bench) -> Made:
    return bench.device("pump-1")


@pytest.fixture
def device(make_agent: MakeAgent, bench: Bench, made: Made) -> HostAgent:
    """A device that has had its first order, so it knows the delegation of its gateway."""
    agent = make_agent(made.region(make_pack(1)))
    take_order(agent, bench, made, make_pack(2))
    return agent


@pytest.fixture
def session(device: HostAgent, bench: Bench, made: Made) -> Opened:
    return opened(device, bench, made)


def take_order(agent: HostAgent, bench: Bench, made: Made, pack: bytes) -> None:
    before = report_of(agent, made)
    update(agent, made, job(made, bench.install(made, pack, before.sequence + 1), pack, before))


def answer_to(agent: HostAgent, message: Message) -> object:
    """Return the answer of a device, or None when there is none."""
    answer = agent.handle(encode(message))
    return parse_answer(answer) if answer else None


def refusal(code: int) -> TransferResult:
    return TransferResult(None, code)


def samples(first: int) -> bytes:
    """Return what the sensor of the host's built-ins gives: it counts on from reading to reading."""
    return b"".join((first + at & 0xFF).to_bytes(2, "little") for at in range(SENSED_BYTES // 2))


def poll(agent: HostAgent, made: Made, session: Opened) -> DeviceRequest | None:
    """Ask for a request, as on a serial line."""
    outcome = hold(BuiltinCall(DeviceId(made.name), session.session, POLL), agent)
    if isinstance(outcome, Requested):
        return outcome.request
    assert outcome == BuiltinRan(0, b"")
    return None


def reply(agent: HostAgent, session: Opened, number: int, code: int, data: bytes = b"") -> None:
    outcome = hold(RequestReply(DeviceId("pump-1"), reply_to_request(session.key, number, code, data)), agent)
    assert outcome == ReplyHeard()


# ---------------------------------------------------------------- calls


def test_the_capabilities_name_the_part(device: HostAgent, made: Made) -> None:
    capabilities = ask(device, made, ReportKind.CAPABILITIES)
    assert isinstance(capabilities, CapabilitiesBody)
    assert int.from_bytes(capabilities.operators, "little") >> 22 & 1


def test_built_ins_run(device: HostAgent, session: Opened, made: Made) -> None:
    assert call(device, made, session.session, SENSE) == BuiltinRan(0, samples(0))
    assert call(device, made, session.session, SENSE) == BuiltinRan(0, samples(32))
    assert call(device, made, session.session, SET_OUTPUT, b"\x07") == BuiltinRan(0, b"\0")
    assert call(device, made, session.session, SET_OUTPUT, b"\x09") == BuiltinRan(0, b"\x07")


def test_failures_are_codes(device: HostAgent, session: Opened, made: Made) -> None:
    assert call(device, made, session.session, 99) == BuiltinRan(FUNCTION, b"")
    assert call(device, made, session.session, SET_OUTPUT, b"too long") == BuiltinRan(RANGE, b"")
    assert call(device, made, session.session, SENSE, bytes(600)) == BuiltinRan(RANGE, b"")


def test_a_call_runs_once(device: HostAgent, session: Opened, made: Made) -> None:
    question = call_builtin(session.key, session.session.next_seq(), SET_OUTPUT, b"\x07")
    answers = {device.handle(encode(question)) for _ in range(3)}
    assert len(answers) == 1
    assert parse_answer(answers.pop()) == answer_to(device, question)
    assert call(device, made, session.session, SET_OUTPUT, b"\x01") == BuiltinRan(0, b"\x07")


def test_an_earlier_call_is_dropped(device: HostAgent, session: Opened, made: Made) -> None:
    earlier = call_builtin(session.key, session.session.next_seq(), SET_OUTPUT, b"\x07")
    assert answer_to(device, earlier) is not None
    assert call(device, made, session.session, SET_OUTPUT, b"\x01") == BuiltinRan(0, b"\x07")
    assert answer_to(device, earlier) is None
    assert call(device, made, session.session, SET_OUTPUT, b"\x02") == BuiltinRan(0, b"\x01")


def test_calls_do_not_disturb_inferences(device: HostAgent, session: Opened, made: Made) -> None:
    before = report_of(device, made).inferences
    device.infer(bytes(32))
    call(device, made, session.session, SENSE)
    device.infer(bytes(32))
    assert report_of(device, made).inferences == before + 2


def test_a_session_is_opened_again_with_a_higher_number(
    device: HostAgent, session: Opened, bench: Bench, made: Made
) -> None:
    call(device, made, session.session, SENSE)
    assert answer_to(device, session.question) == refusal(SEQUENCE)
    later = opened(device, bench, made, 2)
    assert call(device, made, later.session, SENSE) == BuiltinRan(0, samples(32))
    assert answer_to(device, call_builtin(session.key, 9, SENSE, b"")) is None


def test_a_short_buffer_for_answers_is_a_bug_of_the_caller(device: HostAgent, session: Opened) -> None:
    question = encode(call_builtin(session.key, session.session.next_seq(), SENSE, b""))
    with pytest.raises(AgentError, match="-71"):
        device.handle_within(question, SENSED_BYTES)
    assert isinstance(parse_answer(device.handle(question)), BuiltinReturned)


# ---------------------------------------------------------------- requests


def test_a_request_waits_for_its_replies(device: HostAgent, session: Opened, made: Made) -> None:
    assert poll(device, made, session) is None
    assert call(device, made, session.session, STORE) == BuiltinRan(0, b"")
    request = poll(device, made, session)
    assert request is not None
    assert (request.number, request.operation, request.data) == (1, 1, samples(0))
    assert poll(device, made, session) == request
    assert call(device, made, session.session, STORE) == BuiltinRan(BUSY, b"")
    reply(device, session, 1, TAKEN)
    assert poll(device, made, session) == request
    reply(device, session, 1, 0, b"done")
    assert poll(device, made, session) is None
    assert device.replies() == (1, 1, 0)


def test_a_request_may_fail(device: HostAgent, session: Opened, made: Made) -> None:
    call(device, made, session.session, STORE)
    reply(device, session, 1, -8)
    assert device.replies() == (0, 1, -8)
    call(device, made, session.session, STORE)
    request = poll(device, made, session)
    assert request is not None
    assert request.number == 2


def test_replies_that_repeat_are_heard_once(device: HostAgent, session: Opened, made: Made) -> None:
    call(device, made, session.session, STORE)
    for code in (TAKEN, TAKEN, 0, 0, TAKEN):
        reply(device, session, 1, code)
    assert device.replies() == (1, 1, 0)


def test_a_request_goes_on_in_a_later_session(device: HostAgent, session: Opened, bench: Bench, made: Made) -> None:
    call(device, made, session.session, STORE)
    later = opened(device, bench, made, 2)
    request = poll(device, made, later)
    assert request is not None
    assert request.number == 1
    assert is_genuine(later.key, request)
    assert not is_genuine(session.key, request)


def test_a_restart_loses_the_request(device: HostAgent, session: Opened, bench: Bench, made: Made) -> None:
    call(device, made, session.session, STORE)
    device.boot()
    assert poll(device, made, opened(device, bench, made)) is None


def test_a_device_that_may_speak_sends_its_request(device: HostAgent, session: Opened, made: Made) -> None:
    assert not device.poll_bits(1000) & 4
    call(device, made, session.session, STORE)
    assert device.poll_bits(1000) & 4
    request = parse_answer(device.request())
    assert isinstance(request, DeviceRequest)
    assert is_genuine(session.key, request)
    assert not device.poll_bits(5999) & 4
    assert device.poll_bits(6000) & 4


def test_without_a_session_it_sends_a_report_instead(device: HostAgent) -> None:
    device.report()
    assert device.poll_bits(1000) & 6 == 0
    assert device.store() == 0
    assert device.poll_bits(1000) & 6 == 2
    device.report()
    assert device.poll_bits(5999) & 6 == 0
    assert device.poll_bits(6000) & 6 == 2


# ---------------------------------------------------------------- attacks


def test_nothing_runs_without_a_session(device: HostAgent, bench: Bench, made: Made) -> None:
    assert answer_to(device, CallBuiltin(1, SET_OUTPUT, b"\x07", bytes(16))) == refusal(SESSION)
    assert answer_to(device, ReplyToRequest(1, 0, b"", bytes(16))) == refusal(SESSION)
    assert call(device, made, opened(device, bench, made).session, SET_OUTPUT, b"\x01") == BuiltinRan(0, b"\0")


def test_every_flipped_bit_of_a_call_is_refused(device: HostAgent, session: Opened, made: Made) -> None:
    genuine = encode(call_builtin(session.key, session.session.next_seq(), SET_OUTPUT, b"\x07"))
    for bit in range(8 * len(genuine)):
        forged = bytearray(genuine)
        forged[bit // 8] ^= 1 << bit % 8
        answer = device.handle(bytes(forged))
        assert not answer or not isinstance(parse_answer(answer), BuiltinReturned), bit
    for length in range(len(genuine)):
        assert not device.handle(genuine[:length])
    assert call(device, made, session.session, SET_OUTPUT, b"\x01") == BuiltinRan(0, b"\0")


def test_every_flipped_bit_of_a_reply_is_refused(device: HostAgent, session: Opened, made: Made) -> None:
    call(device, made, session.session, STORE)
    genuine = encode(reply_to_request(session.key, 1, 0, b"42"))
    for bit in range(8 * len(genuine)):
        forged = bytearray(genuine)
        forged[bit // 8] ^= 1 << bit % 8
        device.handle(bytes(forged))
    assert device.replies() == (0, 0, 0)
    assert poll(device, made, session) is not None


def test_a_tag_is_for_one_place(device: HostAgent, session: Opened, made: Made) -> None:
    call(device, made, session.session, STORE)
    genuine = call_builtin(session.key, 5, SENSE, b"")
    taken = reply_to_request(session.key, 1, TAKEN)
    for forged in (
        CallBuiltin(6, SENSE, b"", genuine.tag),
        CallBuiltin(5, STORE, b"", genuine.tag),
        ReplyToRequest(5, SENSE, b"", genuine.tag),
        ReplyToRequest(1, 0, b"", taken.tag),
        ReplyToRequest(2, TAKEN, b"", taken.tag),
        CallBuiltin(1, TAKEN, b"", taken.tag),
    ):
        assert answer_to(device, forged) is None
    assert device.replies() == (0, 0, 0)


def test_what_the_device_sent_is_no_call(device: HostAgent, session: Opened, made: Made) -> None:
    call(device, made, session.session, STORE)
    request = poll(device, made, session)
    assert request is not None
    assert answer_to(device, CallBuiltin(request.number, request.operation, request.data, request.tag)) is None


def test_a_recorded_call_is_worth_nothing_after_a_restart(
    device: HostAgent, session: Opened, bench: Bench, made: Made
) -> None:
    recorded = call_builtin(session.key, session.session.next_seq(), SET_OUTPUT, b"\x07")
    device.boot()
    assert answer_to(device, recorded) == refusal(SESSION)
    assert answer_to(device, session.question) == refusal(SIGNATURE)
    later = opened(device, bench, made)
    assert answer_to(device, recorded) is None
    assert call(device, made, later.session, SET_OUTPUT, b"\x01") == BuiltinRan(0, b"\0")


def test_a_call_of_another_device_is_refused(
    device: HostAgent, session: Opened, make_agent: MakeAgent, bench: Bench, made: Made
) -> None:
    other = bench.device("pump-2")
    second = make_agent(other.region(make_pack(1)))
    take_order(second, bench, other, make_pack(2))
    theirs = opened(second, bench, other)
    question = call_builtin(theirs.key, 1, SET_OUTPUT, b"\x07")
    assert answer_to(device, question) is None
    assert call(device, made, session.session, SET_OUTPUT, b"\x01") == BuiltinRan(0, b"\0")


def test_only_the_delegated_key_opens(device: HostAgent, bench: Bench, made: Made) -> None:
    wrong = Rejected(SIGNATURE, "opening a session")
    assert open_with(device, bench, made, signer=bench.root).outcome == wrong
    assert open_with(device, bench, made, signer=keys.generate()).outcome == wrong
    boots = report_of(device, made).boots
    assert open_with(device, bench, made, boots=boots + 1).outcome == wrong
    stranger = Made(made.identity, bench.device("pump-2").target)
    assert open_with(device, bench, stranger, boots=boots).outcome == wrong


def test_a_device_without_a_delegation_opens_nothing(make_agent: MakeAgent, bench: Bench, made: Made) -> None:
    new = make_agent(made.region(make_pack(1)))
    assert open_with(new, bench, made).outcome == Rejected(-13, "opening a session")
