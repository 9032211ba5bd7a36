# SPDX-License-Identifier: Apache-2.0
"""One update of one device: offer, bursts of blocks, stage, and polling until its report confirms the update.

A pure state machine (conversation.py); docs/specs/protocol.md has the messages. An interrupted update resumes where it
was: the device answers the repeated offer with the blocks that it holds.

Anyone on the link can send a `result`. So it decides only what to ask next: whether the device accepted the order, and
what came of it, is read from its signed report, and only from one with the order's own sequence.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto

from reconciler.devices.conversation import (
    DEFAULT_RETRY,
    UNASKED,
    Confirmed,
    ConversationStep,
    Lost,
    MakeNonce,
    OpenSigned,
    Outcome,
    Rejected,
    RetryPolicy,
    TrialFailed,
)
from reconciler.devices.error_codes import DeviceErrorCode
from reconciler.devices.link import Turn
from reconciler.devices.messages import (
    Answer,
    Block,
    Have,
    Inquire,
    Missing,
    Offer,
    PayloadOffer,
    Question,
    ReportKind,
    Signed,
    Stage,
    TransferResult,
)
from reconciler.devices.reports import DecisionReason, DeviceReport, parse_body
from reconciler.errors import Refused
from reconciler.model import DeviceId, PayloadEncoding, Phase

BURST_BLOCKS_MAX = 32
STAGES_MAX = 24  # for a device that holds all blocks and never continues
SENDS_MAX = 10  # times the payload: no honest loss rate needs more


@dataclass(frozen=True, slots=True)
class TransferJob:
    """Everything that one update needs. `payload` is empty if the envelope needs no blocks."""

    device: DeviceId
    transfer: int
    envelope: bytes
    sequence: int  # the envelope's
    counter: int  # of the report that led to this update; older reports are ignored
    digest16: bytes | None  # of the pack that must run at the end; None if only parameters change
    payload: bytes = b""
    encoding: PayloadEncoding = PayloadEncoding.RAW
    block_bytes: int = 1024
    block_gap_s: float = 0.0
    answer_s: float = 2.0  # how long this type of device may need to check a signature or a pack

    @property
    def offer(self) -> Offer:
        """The message that opens the transfer."""
        shape = PayloadOffer(self.encoding, len(self.payload), self.block_bytes) if self.payload else None
        return Offer(self.transfer, self.envelope, shape)

    @property
    def blocks(self) -> int:
        """The number of blocks of the payload."""
        return -(-len(self.payload) // self.block_bytes)

    def block(self, index: int) -> Block:
        """Return one block."""
        at = index * self.block_bytes
        return Block(self.transfer, index, self.payload[at : at + self.block_bytes])


@dataclass(slots=True)
class TransferCost:
    """What a transfer has cost so far."""

    blocks_sent: int = 0
    blocks_resent: int = 0
    offers: int = 0
    bursts: int = 0
    silences: int = 0


class _State(Enum):
    OFFERING = auto()
    SENDING = auto()
    STAGING = auto()
    CONFIRMING = auto()


class Transfer:
    """The conversation that brings a device to run the pack of a job."""

    def __init__(
        self,
        job: TransferJob,
        *,
        open_signed: OpenSigned,
        make_nonce: MakeNonce,
        retry: RetryPolicy = DEFAULT_RETRY,
        answers_may_repeat: bool = False,
    ) -> None:
        self.outcome: Outcome | None = None
        self.cost = TransferCost()
        self._job = job
        self._open = open_signed
        self._make_nonce = make_nonce
        self._answers_may_double = answers_may_repeat
        self._patience = retry
        self._state = _State.OFFERING
        self._burst = BURST_BLOCKS_MAX
        self._sent: set[int] = set()  # ever
        self._last_burst: tuple[int, ...] = ()
        self._last_have: Have | None = None
        self._asked_again = False  # since the last burst
        self._silences = 0
        self._stages = 0
        self._fruitless = 0
        self._refusal: Rejected | None = None  # until a report shows whether it was the device's own
        self._nonce = UNASKED
        self._poll_s = retry.first_poll_s
        self._trial_ends_s = 0.0

    @property
    def device(self) -> DeviceId:
        """The device to update."""
        return self._job.device

    def begin(self, now_s: float) -> ConversationStep:
        """Send the offer."""
        del now_s
        return self._offer()

    def heard(self, answer: Answer, now_s: float) -> ConversationStep | None:
        """Process an answer of the device."""
        if self.outcome:
            return ConversationStep()
        match self._state, answer:
            case _State.CONFIRMING, Signed(cose):
                return self._process_report(cose, now_s)
            case _State.OFFERING | _State.SENDING | _State.STAGING, Have(transfer=self._job.transfer) as have:
                return self._send_missing(have)
            case _, TransferResult(transfer=None | self._job.transfer, code=code):
                return self._take_result(code, now_s)
            case _:
                return None

    def silent(self, now_s: float) -> ConversationStep:
        """Ask again; after some timeouts check whether the device continued unheard; then give up."""
        if self.outcome:
            return ConversationStep()
        self._silences += 1
        self.cost.silences += 1
        if self._silences < self._patience.silences:
            return self._repeat()
        if self._state is _State.STAGING:
            return self._confirm_soon(now_s)
        return self._end(Lost(f"no answer {self._silences} times while {self._state.name.lower()}"))

    def woken(self, now_s: float) -> ConversationStep:
        """Poll the report, or repeat a question after a stray answer."""
        if self.outcome:
            return ConversationStep()
        if self._state is _State.CONFIRMING and now_s >= self._trial_ends_s:
            return self._end(Lost("neither confirmed nor failed within the time for a trial"))
        return self._repeat()

    # ------------------------------------------------------------ questions

    def _offer(self) -> ConversationStep:
        self._state = _State.OFFERING
        self.cost.offers += 1
        return self._question(self._job.offer, answer_s=self._job.answer_s)

    def _repeat(self) -> ConversationStep:
        self._asked_again = True
        match self._state:
            case _State.OFFERING:
                return self._offer()
            case _State.SENDING:
                return self._question(Missing(self._job.transfer))
            case _State.STAGING:
                return self._stage(())
            case _State.CONFIRMING:
                if self._nonce == UNASKED:  # kept for repetitions, so that a late answer to the first question counts
                    self._nonce = self._make_nonce()
                return self._question(Inquire(ReportKind.REPORT, self._nonce), answer_s=self._job.answer_s)

    def _stage(self, blocks: tuple[Block, ...]) -> ConversationStep:
        self._state = _State.STAGING
        self._stages += 1
        if self._stages > STAGES_MAX:
            return self._end(Lost("the device holds all blocks and does not continue"))
        return self._question(Stage(self._job.transfer), blocks, answer_s=self._job.answer_s)

    def _question(
        self, question: Question, blocks: tuple[Block, ...] = (), *, answer_s: float = 0.0
    ) -> ConversationStep:
        return ConversationStep(Turn(blocks, question, self._job.block_gap_s, answer_s))

    def _end(self, outcome: Outcome) -> ConversationStep:
        self.outcome = outcome
        return ConversationStep()

    # ------------------------------------------------------------ blocks

    def _send_missing(self, have: Have) -> ConversationStep | None:
        if self._last_burst and have == self._last_have and not self._asked_again and self._answers_may_double:
            return None  # probably a duplicate of the last answer: acting on it would resend the whole burst
        self._silences = 0
        missing = have.missing(self._job.blocks)
        self._adapt(missing)
        self._last_have = have
        if self._fruitless > self._patience.silences:
            return self._end(Lost("none of the blocks arrive"))
        if self.cost.blocks_sent > SENDS_MAX * self._job.blocks + BURST_BLOCKS_MAX:
            return self._end(Lost("blocks were resent too often"))
        burst = tuple(missing[: self._burst])
        self._last_burst = burst
        self._asked_again = False
        self._count(burst)
        blocks = tuple(self._job.block(index) for index in burst)
        if len(burst) == len(missing):
            return self._stage(blocks)
        self._state = _State.SENDING
        return self._question(Missing(self._job.transfer), blocks)

    def _adapt(self, missing: list[int]) -> None:
        """Shorten bursts when much of the last one was lost: a device that can't keep up is not helped by more."""
        if not self._last_burst:
            return
        lost = len(set(self._last_burst) & set(missing))
        self._fruitless = self._fruitless + 1 if lost == len(self._last_burst) else 0
        if lost * 2 > len(self._last_burst):
            self._burst = max(1, self._burst // 2)
        elif not lost:
            self._burst = min(BURST_BLOCKS_MAX, self._burst * 2)

    def _count(self, burst: tuple[int, ...]) -> None:
        self.cost.bursts += bool(burst)
        self.cost.blocks_sent += len(burst)
        self.cost.blocks_resent += len(self._sent.intersection(burst))
        self._sent.update(burst)

    # ------------------------------------------------------------ results and reports

    def _take_result(self, code: int, now_s: float) -> ConversationStep:
        self._silences = 0
        lost_track = code == DeviceErrorCode.NO_TRANSFER and self._state in {_State.SENDING, _State.STAGING}
        if code >= 0 or (lost_track and self._stages > 1):
            return self._confirm_soon(now_s)  # the device may have accepted an earlier stage order
        if lost_track:
            return self._offer_again("the device does not know the transfer")
        if self._state is _State.CONFIRMING:
            return ConversationStep(wake_after_s=self._next_poll_s())
        if code == DeviceErrorCode.BUSY:
            return self._end(Lost("the device is busy with a trial"))
        self._refusal = Rejected(code, self._state.name.lower())
        return self._confirm_soon(now_s)

    def _offer_again(self, why: str) -> ConversationStep:
        self._last_burst = ()
        if self.cost.offers >= self._patience.silences:
            return self._end(Lost(f"{why}, repeatedly"))
        return self._offer()

    def _confirm_soon(self, now_s: float) -> ConversationStep:
        if self._state is not _State.CONFIRMING:
            self._state = _State.CONFIRMING
            self._silences = 0
            self._trial_ends_s = now_s + self._patience.trial_s
        return ConversationStep(wake_after_s=self._next_poll_s())

    def _next_poll_s(self) -> float:
        self._poll_s = min(self._poll_s * 2, self._patience.max_poll_s)
        return self._poll_s / 2

    def _process_report(self, cose: bytes, now_s: float) -> ConversationStep | None:
        report, asked = self._read_report(cose)
        if report is None or (report.sequence < self._job.sequence and not asked):
            return None  # of no use, or sent before the device could accept the order
        self._nonce = UNASKED
        self._silences = 0
        if report.sequence > self._job.sequence:
            return self._end(Lost("the device accepted another order meanwhile"))
        refusal, self._refusal = self._refusal, None
        if report.sequence < self._job.sequence:
            return self._end(refusal) if refusal else self._offer_again("the device has not accepted the order")
        return self._continue_accepted(report, refusal, now_s)

    def _continue_accepted(self, report: DeviceReport, refusal: Rejected | None, now_s: float) -> ConversationStep:
        """Continue with an order that the device has accepted, so it did not refuse the offer itself."""
        outcome = self._verdict(report)
        if outcome:
            return self._end(outcome)
        if report.phase in {Phase.STAGED, Phase.TRIAL}:
            return self._confirm_soon(now_s)
        if refusal and (refusal.during == _State.STAGING.name.lower() or report.phase is not Phase.RECEIVING):
            return self._end(refusal)
        if report.phase is Phase.RECEIVING and report.transfer:
            if report.transfer.first < self._job.blocks:
                return self._offer_again("the device waits for blocks")
            return self._stage(())  # it missed the order, or is still working and says so
        return self._offer_again("the device does not continue with the order")  # its answer says why

    def _read_report(self, cose: bytes) -> tuple[DeviceReport | None, bool]:
        """Return a report that is newer than the one that led to this update, and whether it answers our question."""
        for nonce in dict.fromkeys((self._nonce, UNASKED)):  # each try verifies a signature
            try:
                body = parse_body(self._open(cose, nonce))
            except Refused:
                continue
            if isinstance(body, DeviceReport) and body.counter > self._job.counter:
                return body, nonce != UNASKED
        return None, False

    def _verdict(self, report: DeviceReport) -> Outcome | None:
        """Return what came of the order, as a report with its sequence has it; None: it is not decided yet."""
        desired = self._job.digest16
        if report.phase in {Phase.STAGED, Phase.TRIAL, Phase.RECEIVING}:
            return None
        if desired is None:
            return Confirmed(report)
        # After a failed trial, the failed pack runs until the device restarts, and says that it is on trial.
        if report.running == desired and report.why is not DecisionReason.ON_TRIAL:
            return Confirmed(report)
        if report.failed == desired:
            return TrialFailed(report)
        return None
