# SPDX-License-Identifier: Apache-2.0
"""The reports of the agent: capabilities, summary, unsolicited reports. How it handles noise."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from reconciler.devices.messages import (
    Block,
    Inquire,
    Missing,
    Offer,
    Order,
    ReportKind,
    Signed,
    Stage,
    TransferResult,
    encode,
    parse_answer,
)
from reconciler.devices.reports import Body, CapabilitiesBody, DeviceReport, Flag, Summary, parse_body
from reconciler.model import Phase
from signing.verification_error import VerificationCode
from tests.firmware.bench import Bench, Made
from tests.firmware.host import AgentError, HostAgent
from tests.firmware.orders import NEW, NONCE, PREBAKED, SECOND_PREBAKED, SMALL, THIRD, digest, install, put, report

INPUT, NOTHING = -92, -93
THRESHOLD_OPERATOR = 17
POLL_REPORT = 2


def said(agent: HostAgent, made: Made, what: ReportKind) -> Body:
    answer = put(agent, Inquire(what, NONCE))
    assert isinstance(answer, Signed)
    return parse_body(made.open_signed(answer.cose, NONCE))


def test_capabilities(newborn: HostAgent, made: Made) -> None:
    reported = said(newborn, made, ReportKind.CAPABILITIES)
    assert isinstance(reported, CapabilitiesBody)
    assert (reported.type, reported.class_id, reported.pack_format) == ("bench", made.target.klass, 2)
    assert (reported.slot_bytes, reported.arena_bytes, reported.updates) == (SMALL.slot, 16384, True)
    assert int.from_bytes(reported.operators, "little") >> THRESHOLD_OPERATOR & 1
    assert reported.prebaked == (digest(PREBAKED)[:16], digest(SECOND_PREBAKED)[:16])


def test_summary_counts_scores(updated: HostAgent, made: Made) -> None:
    before = said(updated, made, ReportKind.SUMMARY)
    assert isinstance(before, Summary)
    assert (before.running, before.inferences, before.score) == (digest(NEW)[:16], 0, None)
    scores, decisions = [], []
    ramp = bytes(i * 3 % 256 for i in range(1500))
    for window in (*(bytes([level]) * 1500 for level in (0, 1, 127, 128)), ramp):
        decision, score = updated.infer(window)
        scores.append(score)
        decisions.append(decision)
    reported = said(updated, made, ReportKind.SUMMARY)
    assert isinstance(reported, Summary)
    assert reported.score is not None
    assert (reported.inferences, reported.anomalies, reported.faults) == (5, sum(decisions), 0)
    assert (reported.score.count, reported.score.minimum, reported.score.maximum) == (5, min(scores), max(scores))
    assert reported.score.total == sum(scores)
    assert sum(decisions) > 0
    bins = [min(abs(score).bit_length() // 4, 7) for score in scores]
    assert reported.score.histogram == tuple(bins.count(number) for number in range(8))


@pytest.mark.parametrize("level", [0x7F, 0x80])
def test_the_first_score_is_the_lowest_and_the_highest(newborn: HostAgent, made: Made, level: int) -> None:
    """Of models whose scores are all above 0, or all below."""
    _, score = newborn.infer(bytes([level]) * 32)
    reported = said(newborn, made, ReportKind.SUMMARY)
    assert isinstance(reported, Summary)
    assert reported.score is not None
    assert (reported.score.minimum, reported.score.maximum) == (score, score)
    assert score != 0


def test_the_lowest_score_of_all_is_in_the_last_bin(newborn: HostAgent, made: Made) -> None:
    """Its magnitude has a bit more than that of any other."""
    newborn.lowest_scores()
    newborn.boot()
    assert newborn.infer(bytes(32)) == (0, -(2**31))
    reported = said(newborn, made, ReportKind.SUMMARY)
    assert isinstance(reported, Summary)
    assert reported.score is not None
    assert reported.score.histogram == (0, 0, 0, 0, 0, 0, 0, 1)


def test_a_device_without_a_model_infers_nothing(make_core: Callable[..., HostAgent], made: Made) -> None:
    agent = make_core(made.region())
    with pytest.raises(AgentError) as refused:
        agent.infer(bytes(32))
    assert refused.value.args == (NOTHING,)


def test_input_of_the_wrong_size_is_flagged_and_not_counted(updated: HostAgent, made: Made) -> None:
    with pytest.raises(AgentError) as refused:
        updated.infer(bytes(1499))
    assert refused.value.args == (INPUT,)
    reported = report(updated, made)
    assert (reported.flags, reported.inferences, reported.faults) == (Flag.SENSOR_INPUT_BAD, 0, 0)


def test_the_counter_only_grows(updated: HostAgent, made: Made) -> None:
    counters = []
    for _ in range(3):
        counters += [report(updated, made).counter, report(updated, made).counter]
        updated.boot()
    assert counters == sorted(set(counters))


def unasked(agent: HostAgent, made: Made) -> DeviceReport | None:
    """Return the report that the device would send now unasked."""
    if not agent.poll() & POLL_REPORT:
        return None
    answer = parse_answer(agent.report())
    assert isinstance(answer, Signed)
    body = parse_body(made.open_signed(answer.cose, b""))
    assert isinstance(body, DeviceReport)
    return body


def test_an_unsolicited_report_after_each_change(updated: HostAgent, bench: Bench, made: Made) -> None:
    assert unasked(updated, made) is not None
    updated.boot()
    first = unasked(updated, made)
    assert first is not None, "after a start"
    assert unasked(updated, made) is None
    put(updated, install(bench, made, THIRD, 3).offer)
    second = unasked(updated, made)
    assert second is not None
    assert (first.phase, second.phase) == (Phase.CONFIRMED, Phase.RECEIVING)
    assert unasked(updated, made) is None
    put(updated, Offer(3, bench.configure(made, NEW, 4, {0: 7}), None))
    third = unasked(updated, made)
    assert third is not None
    assert third.parameters != second.parameters
    assert Flag.ENVELOPE_REFUSED not in third.flags


def test_a_truncated_question_is_not_answered(updated: HostAgent, made: Made) -> None:
    question = encode(Inquire(ReportKind.REPORT, NONCE))
    assert all(updated.handle(question[:length]) == b"" for length in range(len(question)))
    assert updated.handle(question + b"\0") == b""
    assert Flag.MALFORMED_MESSAGES in report(updated, made).flags


# ---------------------------------------------------------------- messages


@pytest.fixture
def receiving(updated: HostAgent, bench: Bench, made: Made) -> tuple[HostAgent, list[bytes]]:
    """A device with an open transfer, and a message of each type that it would act on."""
    delivery = install(bench, made, THIRD, 3)
    messages: list[Order] = [Inquire(ReportKind.REPORT, NONCE), delivery.offer, delivery.block(0), Missing(3), Stage(3)]
    put(updated, delivery.offer)
    updated.boot()
    return updated, [encode(message) for message in messages]


def test_a_message_of_another_length_is_dropped(receiving: tuple[HostAgent, list[bytes]], made: Made) -> None:
    """Whether it has a byte too many, or its array has more or fewer items than it says."""
    agent, messages = receiving
    operations = agent.operations
    for message in messages:
        for wrong in (message + b"\0", bytes([message[0] + 1]) + message[1:], bytes([message[0] - 1]) + message[1:]):
            assert agent.handle(wrong) == b""
            assert Flag.MALFORMED_MESSAGES in report(agent, made).flags
            agent.boot()
            operations += 1  # the tick
        agent.settle()
    assert agent.operations == operations


def test_a_block_beyond_the_end_is_malformed_and_no_error(receiving: tuple[HostAgent, list[bytes]], made: Made) -> None:
    agent, _ = receiving
    assert agent.handle(encode(Block(3, 4000, bytes(128)))) == b""
    reported = report(agent, made)
    assert (reported.error, Flag.MALFORMED_MESSAGES in reported.flags) == (0, True)


@pytest.mark.parametrize("kind", ["05", "06", "07", "17", "18ff", "1affffffff"])
def test_a_port_without_samples_drops_messages_of_types_that_it_does_not_have(
    newborn: HostAgent, made: Made, kind: str
) -> None:
    newborn.leave_out_samples()
    newborn.boot()
    for items in range(1, 24):
        assert newborn.handle(bytes([0x80 + items]) + bytes.fromhex(kind) + bytes(items - 1)) == b""
    assert Flag.MALFORMED_MESSAGES in report(newborn, made).flags
    newborn.infer(bytes(32))
    assert report(newborn, made).inferences == 1


VECTORS = json.loads((Path(__file__).resolve().parents[1] / "vectors" / "protocol.json").read_text())
# The agent checks these only after the envelope, so the answer is the error of the envelope.
CHECKED_LATER = {"block-size-24", "block-size-0"}


@pytest.mark.parametrize("vector", VECTORS["malformed"], ids=lambda vector: vector["name"])
def test_a_malformed_message_is_dropped_and_flagged(newborn: HostAgent, made: Made, vector: dict[str, str]) -> None:
    answer = newborn.handle(bytes.fromhex(vector["bytes"]))
    if vector["name"] in CHECKED_LATER:
        assert parse_answer(answer) == TransferResult(1, -VerificationCode.UNEXPECTED)
    else:
        assert answer == b""
        assert Flag.MALFORMED_MESSAGES in report(newborn, made).flags


def test_the_longest_envelope_is_verified(newborn: HostAgent) -> None:
    (longest,) = (v for v in VECTORS["messages"] if v["name"] == "offer-longest-envelope")
    assert parse_answer(newborn.handle(bytes.fromhex(longest["bytes"]))) == TransferResult(
        3, -VerificationCode.UNEXPECTED
    )
