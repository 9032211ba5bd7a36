# SPDX-License-Identifier: Apache-2.0
"""The stage of a pipeline on the real core: sessions, exact activations, and every way to pass one off as another."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from reconciler.compiler.reference.interpreter import ReferenceInterpreter, generate_inputs
from reconciler.compiler.stages.cut_network import StagePack
from reconciler.devices.conversation import Rejected, SessionOpened
from reconciler.devices.messages import Message, ReportKind, TransferResult, encode, parse_answer
from reconciler.devices.reports import CapabilitiesBody
from reconciler.devices.stage_messages import FEED_TYPE, OUT_TYPE, FeedStage, FetchStage, StageOutput, StageState
from reconciler.model import Phase
from signing import keys
from tests.firmware.bench import Bench, Made, make_pack
from tests.firmware.host import AgentError, HostAgent
from tests.firmware.orders import digest
from tests.firmware.stages import HALF, NETWORK, WHOLE, Opened, open_with, opened, run_stage, stage_pack
from tests.firmware.talk import ask, job, report_of, update

SEQUENCE, SIGNATURE, MODEL, BUSY, RANGE, SESSION = -20, -16, -23, -77, -80, -95
FIRST = stage_pack(0, HALF)
REST = stage_pack(HALF, NETWORK.operators)
REFERENCE = ReferenceInterpreter(FIRST.data)
INPUT_BYTES = sum(item.nbytes for item in REFERENCE.inputs)
OUTPUT_BYTES = sum(item.nbytes for item in REFERENCE.outputs)
STATE_OF = encode(FetchStage(0xFFFF_FFFF, 0, 1))
MakeAgent = Callable[[bytes], HostAgent]


def install(agent: HostAgent, bench: Bench, made: Made, pack: bytes) -> None:
    before = report_of(agent, made)
    update(agent, made, job(made, bench.install(made, pack, before.sequence + 1), pack, before))
    after = report_of(agent, made)
    assert (after.running, after.phase) == (digest(pack)[:16], Phase.CONFIRMED)


@pytest.fixture
def made(bench: Bench) -> Made:
    return bench.device("pump-1")


@pytest.fixture
def stage(make_agent: MakeAgent, bench: Bench, made: Made) -> HostAgent:
    """A device that holds the first stage. Its trials need inferences, which a stage never gets from a sensor."""
    agent = make_agent(made.region(make_pack(1)))
    agent.set_trial_inferences(1)
    install(agent, bench, made, FIRST.data)
    return agent


@pytest.fixture
def session(stage: HostAgent, bench: Bench, made: Made) -> Opened:
    return opened(stage, bench, made, FIRST.data)


def an_input(seed: int) -> bytes:
    return b"".join(generate_inputs(seed, REFERENCE.inputs))


def expected(seed: int) -> bytes:
    return b"".join(REFERENCE.run(generate_inputs(seed, REFERENCE.inputs)).outputs)


def say(agent: HostAgent, *feeds: FeedStage) -> None:
    for feed in feeds:
        agent.say(encode(feed))


def state_of(agent: HostAgent, session: Opened) -> tuple[int, int]:
    """Return the number of the input, and how much of it the device holds."""
    answer = parse_answer(agent.handle(STATE_OF))
    assert isinstance(answer, StageState)
    assert session.session.is_genuine(answer)
    return answer.seq, answer.filled


def answer_to(agent: HostAgent, message: Message) -> object:
    return parse_answer(agent.handle(encode(message)))


def refusal(code: int) -> TransferResult:
    return TransferResult(None, code)


def run_here(agent: HostAgent, made: Made, session: Opened, pack: StagePack, have: dict[int, bytes]) -> None:
    """Run a stage on the tensors of the network, and add its outputs to them."""
    sizes = [item.nbytes for item in ReferenceInterpreter(pack.data).outputs]
    outputs = run_stage(agent, made, session.session, [have[index] for index in pack.inputs], sum(sizes))
    for index, size in zip(pack.outputs, sizes, strict=True):
        have[index], outputs = outputs[:size], outputs[size:]


# ---------------------------------------------------------------- what it is for


def test_the_capabilities_name_the_part(stage: HostAgent, made: Made) -> None:
    capabilities = ask(stage, made, ReportKind.CAPABILITIES)
    assert isinstance(capabilities, CapabilitiesBody)
    assert int.from_bytes(capabilities.operators, "little") >> 20 & 1


def test_two_devices_give_the_answer_of_the_whole(
    make_agent: MakeAgent, bench: Bench, stage: HostAgent, session: Opened, made: Made
) -> None:
    other = bench.device("pump-2")
    second = make_agent(other.region(make_pack(1)))
    install(second, bench, other, REST.data)
    last = opened(second, bench, other, REST.data)
    for seed in (3, 4, 5):
        given = generate_inputs(seed, WHOLE.inputs)
        have = dict(zip(NETWORK.inputs, given, strict=True))
        run_here(stage, made, session, FIRST, have)
        run_here(second, other, last, REST, have)
        assert tuple(have[index] for index in NETWORK.outputs) == WHOLE.run(given).outputs
    assert report_of(stage, made).inferences == report_of(second, other).inferences == 3


@pytest.mark.parametrize("piece_bytes", [1, 7, 64, 1024])
def test_pieces_of_any_size_give_the_same_answer(
    stage: HostAgent, session: Opened, made: Made, piece_bytes: int
) -> None:
    session.session.piece_bytes = piece_bytes
    assert run_stage(stage, made, session.session, [an_input(9)], OUTPUT_BYTES) == expected(9)


def test_an_output_is_as_long_as_the_answer_has_space(stage: HostAgent, session: Opened) -> None:
    say(stage, session.feed(1, 0, an_input(2)))
    question = encode(FetchStage(1, 0, 1024))
    answer = parse_answer(stage.handle_within(question, 40))
    assert isinstance(answer, StageOutput)
    assert answer.data == expected(2)[:4]
    with pytest.raises(AgentError, match="-71"):
        stage.handle_within(question, 36)


def test_a_lost_piece_is_sent_again(stage: HostAgent, session: Opened) -> None:
    data = an_input(3)
    pieces = [session.feed(1, at, data[at : at + 50]) for at in range(0, len(data), 50)]
    say(stage, pieces[0], pieces[2], pieces[3])
    assert state_of(stage, session) == (1, 50)
    say(stage, pieces[0], *pieces[1:], pieces[2])
    assert state_of(stage, session) == (1, INPUT_BYTES)
    answer = answer_to(stage, FetchStage(1, 0, 600))
    assert isinstance(answer, StageOutput)
    assert answer.data == expected(3)[: len(answer.data)]


def test_an_input_runs_once(stage: HostAgent, session: Opened, made: Made) -> None:
    whole = session.feed(1, 0, an_input(3))
    say(stage, whole, whole)
    answers = {stage.handle(encode(FetchStage(1, 0, 600))) for _ in range(3)}
    say(stage, whole)
    assert answers == {stage.handle(encode(FetchStage(1, 0, 600)))}
    assert report_of(stage, made).inferences == 1


def test_a_complete_input_is_not_replaced_before_it_has_run(stage: HostAgent, session: Opened) -> None:
    stage.handle(encode(session.feed(1, 0, an_input(1))))  # without a poll in between, which would run it
    stage.handle(encode(session.feed(2, 0, an_input(2))))
    assert state_of(stage, session) == (1, INPUT_BYTES)
    answer = answer_to(stage, FetchStage(1, 0, 600))
    assert isinstance(answer, StageOutput)
    assert answer.data == expected(1)[: len(answer.data)]


def test_a_newer_input_replaces_an_incomplete_one(stage: HostAgent, session: Opened) -> None:
    say(stage, session.feed(1, 0, an_input(1)[:20]), session.feed(2, 0, an_input(2)[:30]))
    assert state_of(stage, session) == (2, 30)
    say(stage, session.feed(3, 30, an_input(3)[30:60]))  # it can't begin in the middle
    assert state_of(stage, session) == (2, 30)


def test_windows_of_the_sensor_wait_while_a_session_is_open(stage: HostAgent, session: Opened) -> None:
    say(stage, session.feed(1, 0, an_input(1)[:20]))
    with pytest.raises(AgentError, match=str(BUSY)):
        stage.infer(an_input(7))
    say(stage, session.feed(1, 20, an_input(1)[20:]))
    assert isinstance(answer := answer_to(stage, FetchStage(1, 0, 600)), StageOutput)
    assert answer.data == expected(1)[: len(answer.data)]


def test_outputs_end(stage: HostAgent, session: Opened) -> None:
    assert answer_to(stage, FetchStage(0, 0, 600)) == refusal(RANGE)  # no input yet
    say(stage, session.feed(1, 0, an_input(1)))
    assert isinstance(answer_to(stage, FetchStage(1, OUTPUT_BYTES - 1, 600)), StageOutput)
    assert answer_to(stage, FetchStage(1, OUTPUT_BYTES, 600)) == refusal(RANGE)
    assert answer_to(stage, FetchStage(1, 0, 0)) == refusal(RANGE)


# ---------------------------------------------------------------- attacks


def test_nothing_works_without_a_session(stage: HostAgent) -> None:
    assert answer_to(stage, FetchStage(0, 0, 600)) == refusal(SESSION)
    stage.say(encode(FeedStage(1, 0, an_input(1), bytes(16))))
    assert answer_to(stage, FetchStage(1, 0, 600)) == refusal(SESSION)


def test_every_flipped_bit_of_a_piece_is_refused(stage: HostAgent, session: Opened) -> None:
    genuine = session.feed(1, 0, an_input(1)[:6])
    for bit in range(8 * 6):
        data = bytearray(genuine.data)
        data[bit // 8] ^= 1 << bit % 8
        say(stage, FeedStage(1, 0, bytes(data), genuine.tag))
    for bit in range(8 * 16):
        tag = bytearray(genuine.tag)
        tag[bit // 8] ^= 1 << bit % 8
        say(stage, FeedStage(1, 0, genuine.data, bytes(tag)))
    say(stage, FeedStage(2, 0, genuine.data, genuine.tag), FeedStage(1, 0, genuine.data[:5], genuine.tag))
    assert state_of(stage, session) == (0, 0)
    say(stage, genuine)
    assert state_of(stage, session) == (1, 6)


def test_an_output_is_no_input(stage: HostAgent, session: Opened) -> None:
    data = an_input(1)
    say(stage, FeedStage(1, 0, data, session.key.tag(OUT_TYPE, 1, 0, data)))
    assert state_of(stage, session) == (0, 0)


def test_a_piece_counts_at_its_place_only(stage: HostAgent, session: Opened) -> None:
    data = an_input(1)
    say(stage, session.feed(1, 0, data[:10]), FeedStage(1, 10, data[:10], session.feed(1, 0, data[:10]).tag))
    assert state_of(stage, session) == (1, 10)


def test_an_earlier_input_is_not_replayed(stage: HostAgent, session: Opened) -> None:
    earlier = session.feed(1, 0, an_input(1))
    say(stage, earlier, session.feed(2, 0, an_input(2)), earlier)
    assert state_of(stage, session) == (2, INPUT_BYTES)


def test_a_piece_longer_than_the_input_is_refused(stage: HostAgent, session: Opened) -> None:
    say(stage, session.feed(1, 0, an_input(1) + b"x"))
    assert state_of(stage, session)[1] == 0
    say(stage, session.feed(2, 0, an_input(1)[:-1]), session.feed(2, INPUT_BYTES - 1, b"xy"))
    assert state_of(stage, session) == (2, INPUT_BYTES - 1)


def test_a_session_is_not_opened_twice(stage: HostAgent, session: Opened) -> None:
    say(stage, session.feed(1, 0, an_input(1)[:10]))
    assert answer_to(stage, session.question) == refusal(SEQUENCE)
    assert state_of(stage, session) == (1, 10)


def test_a_recorded_session_is_worth_nothing_after_a_restart(stage: HostAgent, session: Opened) -> None:
    recorded = session.feed(1, 0, an_input(1))
    stage.boot()
    assert answer_to(stage, session.question) == refusal(SIGNATURE)
    say(stage, recorded)
    assert answer_to(stage, FetchStage(1, 0, 600)) == refusal(SESSION)


def test_pieces_of_an_earlier_session_are_refused(stage: HostAgent, session: Opened, bench: Bench, made: Made) -> None:
    later = opened(stage, bench, made, FIRST.data, 2)
    say(stage, session.feed(1, 0, an_input(1)))
    assert state_of(stage, later) == (0, 0)


def test_only_the_delegated_key_opens(stage: HostAgent, bench: Bench, made: Made) -> None:
    assert open_with(stage, bench, made, FIRST.data, signer=bench.root).outcome == Rejected(
        SIGNATURE, "opening a session"
    )
    given = open_with(stage, bench, made, FIRST.data, signer=keys.generate())
    assert given.outcome == Rejected(SIGNATURE, "opening a session")
    assert opened(stage, bench, made, FIRST.data).outcome == SessionOpened()


def test_a_device_without_a_delegation_opens_nothing(make_agent: MakeAgent, bench: Bench, made: Made) -> None:
    new = make_agent(made.region(FIRST.data))
    assert open_with(new, bench, made, FIRST.data).outcome == Rejected(-13, "opening a session")


def test_a_session_is_for_the_pack_that_runs(stage: HostAgent, bench: Bench, made: Made) -> None:
    assert open_with(stage, bench, made, REST.data).outcome == Rejected(MODEL, "opening a session")


def test_a_session_is_for_one_device_and_one_boot(stage: HostAgent, bench: Bench, made: Made) -> None:
    boots = report_of(stage, made).boots
    wrong = Rejected(SIGNATURE, "opening a session")
    assert open_with(stage, bench, made, FIRST.data, boots=boots + 1).outcome == wrong
    stranger = Made(made.identity, bench.device("pump-2").target)
    assert open_with(stage, bench, stranger, FIRST.data, boots=boots).outcome == wrong


def test_only_networks_have_sessions(make_agent: MakeAgent, bench: Bench, made: Made) -> None:
    agent, pack = make_agent(made.region(make_pack(1))), make_pack(2)
    install(agent, bench, made, pack)
    assert open_with(agent, bench, made, pack).outcome == Rejected(MODEL, "opening a session")


def test_a_peer_of_small_order_is_refused(stage: HostAgent, bench: Bench, made: Made) -> None:
    given = open_with(stage, bench, made, FIRST.data)
    terms = given.question
    boots = report_of(stage, made).boots
    for peer in (bytes(32), b"\x01" + bytes(31)):
        covered = b"".join([
            b"tinyfleet/session/1", made.target.device, boots.to_bytes(4, "little"), (2).to_bytes(4, "little"),
            terms.digest16, peer,
        ])  # fmt: skip
        question = type(terms)(2, terms.digest16, peer, bench.gateway.sign(covered))
        assert answer_to(stage, question) == refusal(SIGNATURE)


def test_another_pack_ends_the_session(stage: HostAgent, session: Opened, bench: Bench, made: Made) -> None:
    install(stage, bench, made, make_pack(3))
    say(stage, session.feed(1, 0, an_input(1)))
    assert answer_to(stage, FetchStage(1, 0, 600)) == refusal(SESSION)


def test_both_sides_share_the_key_with_any_peer(stage: HostAgent, bench: Bench, made: Made) -> None:
    chance = random.Random(4)
    boots = report_of(stage, made).boots
    for number in range(1, 9):
        ephemeral = X25519PrivateKey.from_private_bytes(chance.randbytes(32))
        given = open_with(stage, bench, made, FIRST.data, number, boots=boots, ephemeral=ephemeral)
        assert given.outcome == SessionOpened()
        assert state_of(stage, given) == (0, 0)


def test_the_kinds_of_a_tag_are_the_types_of_the_messages() -> None:
    assert encode(FeedStage(1, 0, b"x", bytes(16)))[1] == FEED_TYPE
    assert encode(StageOutput(1, 0, b"x", bytes(16)))[1] == OUT_TYPE
