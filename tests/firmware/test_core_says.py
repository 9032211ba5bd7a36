# SPDX-License-Identifier: Apache-2.0
"""The reports of the agent: capabilities, summary, unsolicited reports. How it handles noise."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from reconciler.devices.messages import Inquire, Offer, ReportKind, Signed, TransferResult, encode, parse_answer
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
    for level in (0, 1, 127, 128, 255):
        decision, score = updated.infer(bytes([level]) * 1500)
        scores.append(score)
        decisions.append(decision)
    reported = said(updated, made, ReportKind.SUMMARY)
    assert isinstance(reported, Summary)
    assert reported.score is not None
    assert (reported.inferences, reported.anomalies, reported.faults) == (5, sum(decisions), 0)
    assert (reported.score.count, reported.score.minimum, reported.score.maximum) == (5, min(scores), max(scores))
    assert reported.score.total == sum(scores)
    bins = [min(abs(score).bit_length() // 4, 7) for score in scores]
    assert reported.score.histogram == tuple(bins.count(number) for number in range(8))


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
    first = unasked(updated, made)
    assert first is not None
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


def test_a_truncated_question_is_not_answered(updated: HostAgent, made: Made) -> None:
    question = encode(Inquire(ReportKind.REPORT, NONCE))
    assert all(updated.handle(question[:length]) == b"" for length in range(len(question)))
    assert updated.handle(question + b"\0") == b""
    assert Flag.MALFORMED_MESSAGES in report(updated, made).flags


# ---------------------------------------------------------------- messages

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
