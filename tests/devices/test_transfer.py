# SPDX-License-Identifier: Apache-2.0
"""The state machine of an update, with a correct device over an unreliable link."""

from __future__ import annotations

import random
from collections import deque
from dataclasses import dataclass, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.devices.conversation import Confirmed, ConversationStep, Lost, Rejected, TrialFailed
from reconciler.devices.link import Turn, fits
from reconciler.devices.messages import Answer, Have, Message, Missing, Offer, Signed, Stage, TransferResult
from reconciler.devices.reports import encode_body
from reconciler.devices.transfer import Transfer, TransferJob
from reconciler.model import DeviceId, Phase
from tests.devices.fake_device import DIGEST16, FakeDevice, job_for, open_fake

PAYLOAD = random.Random(5).randbytes(64 * 100 - 7)


@dataclass
class BadLink:
    """A link that loses, duplicates and reorders messages, with a seed."""

    loss: float = 0.0
    duplicates: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)
        self.late: deque[Answer] = deque()

    def carried(self, messages: tuple[Message, ...]) -> list[Message]:
        """Return the messages of a turn that arrive, in order of arrival."""
        arrived = [message for message in messages if self.random.random() >= self.loss]
        arrived += [message for message in arrived if self.random.random() < self.duplicates]
        return arrived


def transfer_of(job: TransferJob, *, doubles: bool = False) -> Transfer:
    nonces = iter(range(1 << 30))
    return Transfer(
        job,
        open_signed=lambda cose, nonce: open_fake(job.device, cose, nonce),
        make_nonce=lambda: next(nonces).to_bytes(8, "big"),
        answers_may_repeat=doubles,
    )


def converse(transfer: Transfer, device: FakeDevice, link: BadLink, *, begun: ConversationStep | None = None) -> None:
    """Emulate link and runner until the transfer is over."""
    now_s = 0.0
    step: ConversationStep | None = begun or transfer.begin(now_s)
    for _ in range(2000):
        if transfer.outcome or step is None:
            return
        if step.turn is None:
            assert step.wake_after_s is not None, "neither a turn nor a timer: it would wait forever"
            now_s += step.wake_after_s
            step = transfer.woken(now_s)
            continue
        now_s += 1.0
        step = _turn(transfer, device, link, step.turn, now_s)
    raise AssertionError("no end in sight")


def _turn(transfer: Transfer, device: FakeDevice, link: BadLink, turn: Turn, now_s: float) -> ConversationStep | None:
    answers = [answer for message in link.carried(turn.messages) if (answer := device.answer(message))]
    received = [answer for answer in (*link.late, *answers) if link.random.random() >= link.loss]
    link.late = deque(answer for answer in answers if link.random.random() < link.duplicates)
    assert turn.question is not None
    for answer in received:
        step = transfer.heard(answer, now_s) if fits(turn.question, answer) else None
        if step:
            return step
    return transfer.silent(now_s)


def test_on_a_good_link_each_block_is_sent_once() -> None:
    device, transfer = FakeDevice(), transfer_of(job_for("a", PAYLOAD))
    converse(transfer, device, BadLink())
    assert isinstance(transfer.outcome, Confirmed)
    assert device.content() == PAYLOAD
    assert (transfer.cost.blocks_sent, transfer.cost.blocks_resent) == (100, 0)
    assert transfer.cost.bursts == 4


@settings(deadline=None)
@given(st.floats(0, 0.4), st.floats(0, 0.5), st.integers(0, 1 << 30))
def test_ends_confirmed_or_resumable_and_resends_little(loss: float, duplicates: float, seed: int) -> None:
    device, link = FakeDevice(polls_in_trial=2), BadLink(loss, duplicates, seed)
    tries = 0
    resent = 0
    while True:
        transfer = transfer_of(job_for("a", PAYLOAD), doubles=duplicates > 0)
        converse(transfer, device, link)
        resent += transfer.cost.blocks_resent
        tries += 1
        if isinstance(transfer.outcome, Confirmed):
            break
        assert isinstance(transfer.outcome, Lost)
        assert tries < 60
    assert device.running == DIGEST16
    # a duplicated question can cause an outdated answer, so its blocks are sent again; otherwise only lost ones are
    assert resent <= 100 * (loss / (1 - loss) * 3 + duplicates * 2 + 0.1)


def test_a_resumed_transfer_sends_only_what_is_missing() -> None:
    device, job = FakeDevice(), job_for("a", PAYLOAD)
    device.answer(job.offer)
    for index in range(90):
        device.answer(job.block(index))
    transfer = transfer_of(job)
    converse(transfer, device, BadLink())
    assert isinstance(transfer.outcome, Confirmed)
    assert transfer.cost.blocks_sent == 10


def test_an_envelope_without_payload_sends_no_blocks() -> None:
    device, transfer = FakeDevice(), transfer_of(job_for("a", b""))
    converse(transfer, device, BadLink())
    assert isinstance(transfer.outcome, Confirmed)
    assert transfer.cost.blocks_sent == 0


def test_a_failed_trial_is_reported() -> None:
    transfer = transfer_of(job_for("a", PAYLOAD))
    converse(transfer, FakeDevice(fails_trial=True), BadLink())
    assert isinstance(transfer.outcome, TrialFailed)
    assert transfer.outcome.report.error == -87


def test_a_failed_pack_that_runs_until_the_restart_is_not_confirmed() -> None:
    """Every device behind a broker behaves like this: it reports before it restarts."""
    transfer = transfer_of(job_for("a", PAYLOAD))
    converse(transfer, FakeDevice(fails_trial=True, restarts_late=True), BadLink())
    assert isinstance(transfer.outcome, TrialFailed)


def test_a_refused_offer_ends_after_one_report() -> None:
    device, transfer = FakeDevice(refuses_with=-16), transfer_of(job_for("a", PAYLOAD))
    converse(transfer, device, BadLink())
    assert transfer.outcome == Rejected(-16, "offering")
    assert (transfer.cost.offers, device.counter) == (1, 1)


def test_a_refusal_that_no_report_follows_decides_nothing() -> None:
    job = job_for("a", PAYLOAD)
    transfer = transfer_of(job)
    transfer.begin(0.0)
    step = transfer.heard(TransferResult(job.transfer, -16), 1.0)
    converse(transfer, FakeDevice(), BadLink(loss=1.0), begun=step)
    assert transfer.outcome == Lost("no answer 6 times while confirming")


@pytest.mark.parametrize("code", [0, -16])
def test_an_unsolicited_report_from_before_the_order_is_ignored(code: int) -> None:
    device, job = FakeDevice(), job_for("a", b"")
    transfer = transfer_of(job)
    transfer.begin(0.0)
    transfer.heard(TransferResult(job.transfer, code), 1.0)
    assert transfer.heard(Signed(b"\x00" + encode_body(device.report())), 2.0) is None
    assert transfer.outcome is None


def test_a_device_in_trial_is_not_rejected_permanently() -> None:
    transfer = transfer_of(job_for("a", PAYLOAD))
    converse(transfer, FakeDevice(refuses_with=-77), BadLink())
    assert isinstance(transfer.outcome, Lost)


def test_silence_ends_in_lost() -> None:
    transfer = transfer_of(job_for("a", PAYLOAD))
    converse(transfer, FakeDevice(), BadLink(loss=1.0))
    assert isinstance(transfer.outcome, Lost)
    assert transfer.cost.offers == 6


def test_an_endless_trial_ends_in_lost() -> None:
    transfer = transfer_of(job_for("a", PAYLOAD))
    converse(transfer, FakeDevice(polls_in_trial=10_000), BadLink())
    assert transfer.outcome == Lost("neither confirmed nor failed within the time for a trial")


def test_a_device_that_forgot_the_transfer_is_offered_it_again() -> None:
    device, job = FakeDevice(), job_for("a", PAYLOAD)
    transfer = transfer_of(job)
    transfer.begin(0.0)
    transfer.heard(Have(job.transfer, 0, b""), 1.0)
    step = transfer.heard(TransferResult(job.transfer, -72), 2.0)
    assert step
    assert step.turn
    assert isinstance(step.turn.question, Offer)
    converse(transfer, device, BadLink())
    assert isinstance(transfer.outcome, Confirmed)


def test_an_order_of_another_gateway_is_detected() -> None:
    device = FakeDevice()
    transfer = transfer_of(job_for("a", b""))
    transfer.begin(0.0)
    device.answer(job_for("a", b"", sequence=9).offer)
    transfer.heard(TransferResult(1, 0), 1.0)
    step = transfer.woken(2.0)
    assert step.turn
    assert step.turn.question
    answer = device.answer(step.turn.question)
    assert answer
    transfer.heard(answer, 3.0)
    assert transfer.outcome == Lost("the device accepted another order meanwhile")


def test_a_repeated_answer_counts_only_after_asking_again() -> None:
    job = job_for("a", PAYLOAD)
    transfer = transfer_of(job, doubles=True)
    transfer.begin(0.0)
    first = transfer.heard(Have(job.transfer, 0, b""), 1.0)
    assert first
    assert first.turn
    assert len(first.turn.blocks) == 32
    assert transfer.heard(Have(job.transfer, 0, b""), 2.0) is None
    assert transfer.woken(3.0) == ConversationStep(Turn(question=Missing(job.transfer)))
    again = transfer.heard(Have(job.transfer, 0, b""), 4.0)
    assert again
    assert again.turn
    assert len(again.turn.blocks) == 16


def test_bursts_shrink_for_a_device_that_cannot_keep_up() -> None:
    job = job_for("a", PAYLOAD)
    transfer = transfer_of(job)
    transfer.begin(0.0)
    transfer.heard(Have(job.transfer, 0, b""), 1.0)
    step = transfer.heard(Have(job.transfer, 4, b""), 2.0)  # 4 of 32 arrived
    assert step
    assert step.turn
    assert len(step.turn.blocks) == 16


def test_blocks_that_never_arrive_end_in_lost() -> None:
    job = job_for("a", PAYLOAD)
    transfer = transfer_of(job)
    step: ConversationStep | None = transfer.begin(0.0)
    while step and step.turn:
        step = transfer.heard(Have(job.transfer, 0, b""), 1.0)
    assert transfer.outcome == Lost("none of the blocks arrive")


def test_the_last_burst_includes_the_stage_order() -> None:
    job = job_for("a", PAYLOAD[:200])
    transfer = transfer_of(job)
    transfer.begin(0.0)
    step = transfer.heard(Have(job.transfer, 0, b""), 1.0)
    assert step
    assert step.turn
    assert step.turn.question == Stage(job.transfer)


@pytest.mark.parametrize("answer", [Have(3, 0, b""), TransferResult(3, 0)])
def test_answers_to_other_transfers_are_ignored(answer: Answer) -> None:
    transfer = transfer_of(replace(job_for("a", PAYLOAD), transfer=4, device=DeviceId("b")))
    transfer.begin(0.0)
    assert transfer.heard(answer, 1.0) is None


REPORTS = [
    FakeDevice(phase=phase, running=running, failed=failed, sequence=sequence).report()
    for phase in (Phase.IDLE, Phase.RECEIVING, Phase.STAGED, Phase.CONFIRMED)
    for running, failed in ((None, None), (bytes(16), DIGEST16))
    for sequence in (0, 1)
]
LIES: st.SearchStrategy[Answer | None] = st.one_of(
    st.none(),
    st.builds(Have, st.just(1), st.integers(0, 12), st.sampled_from([b"", b"\x01", b"\xff"])),
    st.builds(TransferResult, st.sampled_from([None, 1]), st.sampled_from([0, 1, -16, -72, -77, -80])),
    st.sampled_from(REPORTS).map(lambda report: Signed(b"\x00" + encode_body(report))),
    st.just(Signed(b"\x08 nonsense")),
)


@settings(deadline=None, max_examples=200)
@given(st.lists(LIES, min_size=1, max_size=6))
def test_a_lying_device_can_not_keep_a_transfer_open(lies: list[Answer | None]) -> None:
    job = job_for("a", PAYLOAD[:640])
    transfer = transfer_of(job)
    now_s = 0.0
    step: ConversationStep | None = transfer.begin(now_s)
    for count in range(2000):
        if transfer.outcome:
            break
        now_s += 1.0
        lie = lies[count % len(lies)]
        if step is None or step.turn is None:
            step = transfer.woken(now_s)
        elif lie is None or step.turn.question is None or not fits(step.turn.question, lie):
            step = transfer.silent(now_s)
        else:
            step = transfer.heard(lie, now_s)
    assert transfer.outcome
    assert transfer.cost.blocks_sent <= 10 * job.blocks + 64


def test_a_lost_stage_order_is_repeated() -> None:
    device, job = FakeDevice(), job_for("a", PAYLOAD[:640])
    transfer = transfer_of(job)
    transfer.begin(0.0)
    have = device.answer(job.offer)
    assert have
    step = transfer.heard(have, 1.0)
    assert step
    assert step.turn
    for block in step.turn.blocks:
        device.answer(block)
    for _ in range(6):
        step = transfer.silent(2.0)  # neither the order nor its repetitions arrive
    assert device.phase is Phase.RECEIVING
    converse(transfer, device, BadLink(), begun=step)
    assert isinstance(transfer.outcome, Confirmed)
    assert transfer.cost.blocks_sent == 10
