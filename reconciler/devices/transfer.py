# SPDX-License-Identifier: Apache-2.0
"""One update of one device: offer, bursts of blocks, stage, and the wait until its report says confirmed.

A pure state machine (conversation.py); docs/specs/protocol.md has the messages. An update that was cut off
goes on where it was: the device answers the repeated offer with what it holds.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto

from reconciler.devices.conversation import (
    PATIENCE,
    UNASKED,
    Confirmed,
    ConversationStep,
    Lost,
    MakeNonce,
    OpenSigned,
    Outcome,
    Patience,
    Rejected,
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
    PayloadEncoding,
    PayloadOffer,
    Question,
    ReportKind,
    Signed,
    Stage,
    TransferResult,
)
from reconciler.devices.reports import DecisionReason, DeviceReport, parse_body
from reconciler.errors import Refused
from reconciler.model import DeviceId, Phase

BURST_BLOCKS_MAX = 32
STAGES_MAX = 24  # a device that holds all and never gets on with it, or says so
SENDS_MAX = 10  # times the payload: no honest loss needs as much


@dataclass(frozen=True, slots=True)
class TransferJob:
    """All that one update needs. `payload` is empty for an envelope that needs no blocks."""

    device: DeviceId
    transfer: int
    envelope: bytes
    sequence: int  # the envelope's
    counter: int  # of the report that this update was decided on; older reports are of no use
    digest16: bytes | None  # what must run in the end; None when only parameters change
    payload: bytes = b""
    encoding: PayloadEncoding = PayloadEncoding.RAW
    block_bytes: int = 1024
    block_gap_s: float = 0.0
    answer_s: float = 2.0  # what checking a signature or a pack may take on this type of device

    @property
    def offer(self) -> Offer:
        """The job's opening message."""
        shape = PayloadOffer(self.encoding, len(self.payload), self.block_bytes) if self.payload else None
        return Offer(self.transfer, self.envelope, shape)

    @property
    def blocks(self) -> int:
        """Into how many blocks the payload is cut."""
        return -(-len(self.payload) // self.block_bytes)

    def block(self, index: int) -> Block:
        """Return one of them."""
        at = index * self.block_bytes
        return Block(self.transfer, index, self.payload[at : at + self.block_bytes])


@dataclass(slots=True)
class Effort:
    """What an update has cost so far."""

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
    """The conversation that makes a device run what a job offers."""

    def __init__(
        self,
        job: TransferJob,
        *,
        open_signed: OpenSigned,
        make_nonce: MakeNonce,
        patience: Patience = PATIENCE,
        answers_may_double: bool = False,
    ) -> None:
        self.outcome: Outcome | None = None
        self.effort = Effort()
        self._job = job
        self._open = open_signed
        self._make_nonce = make_nonce
        self._answers_may_double = answers_may_double
        self._patience = patience
        self._state = _State.OFFERING
        self._burst = BURST_BLOCKS_MAX
        self._sent: set[int] = set()  # ever
        self._last_burst: tuple[int, ...] = ()
        self._last_have: Have | None = None
        self._asked_again = False  # since the last burst
        self._silences = 0
        self._stages = 0
        self._fruitless = 0
        self._nonce = UNASKED
        self._poll_s = patience.first_poll_s
        self._trial_ends_s = 0.0

    @property
    def device(self) -> DeviceId:
        """Whose update it is."""
        return self._job.device

    def begin(self, now_s: float) -> ConversationStep:
        """Offer the job."""
        del now_s
        return self._offer()

    def heard(self, answer: Answer, now_s: float) -> ConversationStep | None:
        """Take what the device said, and go on."""
        if self.outcome:
            return ConversationStep()
        match self._state, answer:
            case _State.CONFIRMING, Signed(cose):
                return self._judge(cose, now_s)
            case _State.OFFERING | _State.SENDING | _State.STAGING, Have(transfer=self._job.transfer) as have:
                return self._send_what_is_missing(have)
            case _, TransferResult(transfer=None | self._job.transfer, code=code):
                return self._take_result(code, now_s)
            case _:
                return None

    def silent(self, now_s: float) -> ConversationStep:
        """Ask again; after some silences look whether the device went on without being heard; then give up."""
        if self.outcome:
            return ConversationStep()
        self._silences += 1
        self.effort.silences += 1
        if self._silences < self._patience.silences:
            return self._repeat()
        if self._state is _State.STAGING:
            return self._confirm_soon(now_s)
        return self._end(Lost(f"silent {self._silences} times while {self._state.name.lower()}"))

    def woken(self, now_s: float) -> ConversationStep:
        """Poll the report, or repeat a question that a stray answer spoiled."""
        if self.outcome:
            return ConversationStep()
        if self._state is _State.CONFIRMING and now_s >= self._trial_ends_s:
            return self._end(Lost("neither confirmed nor failed in the time for a trial"))
        return self._repeat()

    # ------------------------------------------------------------ saying

    def _offer(self) -> ConversationStep:
        self._state = _State.OFFERING
        self.effort.offers += 1
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
                if self._nonce == UNASKED:  # a repetition keeps it: a late answer to the first is good
                    self._nonce = self._make_nonce()
                return self._question(Inquire(ReportKind.REPORT, self._nonce), answer_s=self._job.answer_s)

    def _stage(self, blocks: tuple[Block, ...]) -> ConversationStep:
        self._state = _State.STAGING
        self._stages += 1
        if self._stages > STAGES_MAX:
            return self._end(Lost("it holds all blocks and does not go on"))
        return self._question(Stage(self._job.transfer), blocks, answer_s=self._job.answer_s)

    def _question(
        self, question: Question, blocks: tuple[Block, ...] = (), *, answer_s: float = 0.0
    ) -> ConversationStep:
        return ConversationStep(Turn(blocks, question, self._job.block_gap_s, answer_s))

    def _end(self, outcome: Outcome) -> ConversationStep:
        self.outcome = outcome
        return ConversationStep()

    # ------------------------------------------------------------ blocks

    def _send_what_is_missing(self, have: Have) -> ConversationStep | None:
        if self._last_burst and have == self._last_have and not self._asked_again and self._answers_may_double:
            return None  # most likely the last answer once more: to believe it would send the whole burst again
        self._silences = 0
        missing = have.missing(self._job.blocks)
        self._adapt(missing)
        self._last_have = have
        if self._fruitless > self._patience.silences:
            return self._end(Lost("blocks are sent and none arrives"))
        if self.effort.blocks_sent > SENDS_MAX * self._job.blocks + BURST_BLOCKS_MAX:
            return self._end(Lost("blocks are sent again and again"))
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
        """Shorter bursts when much of the last one was lost: a device that can't keep up is not helped by more."""
        if not self._last_burst:
            return
        lost = len(set(self._last_burst) & set(missing))
        self._fruitless = self._fruitless + 1 if lost == len(self._last_burst) else 0
        if lost * 2 > len(self._last_burst):
            self._burst = max(1, self._burst // 2)
        elif not lost:
            self._burst = min(BURST_BLOCKS_MAX, self._burst * 2)

    def _count(self, burst: tuple[int, ...]) -> None:
        self.effort.bursts += bool(burst)
        self.effort.blocks_sent += len(burst)
        self.effort.blocks_resent += len(self._sent.intersection(burst))
        self._sent.update(burst)

    # ------------------------------------------------------------ results and reports

    def _take_result(self, code: int, now_s: float) -> ConversationStep:
        self._silences = 0
        lost_track = code == DeviceErrorCode.NO_TRANSFER and self._state in {_State.SENDING, _State.STAGING}
        if code >= 0 or (lost_track and self._stages > 1):
            return self._confirm_soon(now_s)  # a repeated stage may have been taken the first time
        if lost_track:
            return self._offer_again("the device knows of no transfer")
        if self._state is _State.CONFIRMING:
            return ConversationStep(wake_after_s=self._next_poll_s())
        if code == DeviceErrorCode.BUSY:
            return self._end(Lost("busy with a trial"))
        return self._end(Rejected(code, self._state.name.lower()))

    def _offer_again(self, why: str) -> ConversationStep:
        self._last_burst = ()
        if self.effort.offers >= self._patience.silences:
            return self._end(Lost(f"{why}, again and again"))
        return self._offer()

    def _confirm_soon(self, now_s: float) -> ConversationStep:
        if self._state is not _State.CONFIRMING:
            self._state = _State.CONFIRMING
            self._silences = 0
            self._trial_ends_s = now_s + self._patience.trial_s
        return ConversationStep(wake_after_s=self._next_poll_s())

    def _next_poll_s(self) -> float:
        self._poll_s = min(self._poll_s * 2, self._patience.slowest_poll_s)
        return self._poll_s / 2

    def _judge(self, cose: bytes, now_s: float) -> ConversationStep | None:
        report = self._read_report(cose)
        if report is None:
            return None
        self._nonce = UNASKED
        self._silences = 0
        verdict = self._verdict(report)
        if verdict:
            return self._end(verdict)
        if report.phase is Phase.RECEIVING and report.transfer:
            if report.transfer.first < self._job.blocks:
                return self._offer_again("the device waits for blocks")
            return self._stage(())  # it never heard the order, or is still at it: then it says so
        return self._confirm_soon(now_s)

    def _read_report(self, cose: bytes) -> DeviceReport | None:
        for nonce in (self._nonce, UNASKED):
            try:
                body = parse_body(self._open(cose, nonce))
            except Refused:
                continue
            if isinstance(body, DeviceReport) and body.counter > self._job.counter:
                return body
        return None

    def _verdict(self, report: DeviceReport) -> Outcome | None:
        wanted = self._job.digest16
        if report.sequence > self._job.sequence:
            return Lost("another order was accepted meanwhile")
        if report.phase in {Phase.STAGED, Phase.TRIAL, Phase.RECEIVING}:
            return None
        if wanted is not None and report.failed == wanted and _is_leaving(report):
            return TrialFailed(report)
        if wanted is None or report.running == wanted:
            return Confirmed(report)
        if report.failed == wanted:
            return TrialFailed(report)
        return None


def _is_leaving(report: DeviceReport) -> bool:
    """Tell whether a trial is lost that the device is yet to restart from: until then what failed still runs."""
    return report.why is DecisionReason.ON_TRIAL and report.running == report.failed
