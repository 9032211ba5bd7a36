# SPDX-License-Identifier: Apache-2.0
"""Many devices on one half-duplex line: one task, who speaks next is decided frame by frame.

Blocks are never answered, so the line is free for another device after each frame; only a question and its
answer belong together. Who has used the line least goes first, and waiting for an answer counts as use: a
device that stays silent pays for that from its own share.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field

from reconciler.devices.errors import LineDown, LinkUnusable, Malformed
from reconciler.devices.serial_frame import Deframer, SerialFrame, encode_frame
from reconciler.devices.line_quality import LineQuality, best_block_bytes
from reconciler.devices.link import AnswerReceived, Event, LinkState, LinkStatistics, Silent, Turn, fits
from reconciler.devices.messages import MESSAGE_BYTES, Answer, Block, Order, Question, encode, parse_answer
from reconciler.devices.serial_line import LinePort, airtime_s
from reconciler.model import DeviceId

FIRST_BYTE_S, FIRST_BYTE_BYTES = 0.050, 10  # docs/specs/protocol.md section 3, Timing
NEXT_BYTE_S, NEXT_BYTE_BYTES = 0.020, 10
AHEAD_S = 0.050  # how much may be handed over before the wire is free
FRAME_BYTES_MAX = MESSAGE_BYTES + 16
REOPEN_S = 5.0
MUTE_AFTER = 6  # silences in a row, after which
MUTE_TRIES = 6  # only one question in so many is put on the line
CLOCK_STEP_S = 0.001  # nobody waits for less


@dataclass(slots=True)
class _Lane:
    """What waits for one device, and how much of the line it has used."""

    device: DeviceId
    address: int
    waiting: deque[Order] = field(default_factory=deque)
    block_gap_s: float = 0.0
    answer_s: float = 0.0
    used_s: float = 0.0
    not_before_s: float = 0.0
    open_question: Question | None = None
    silences: int = 0  # in a row, questions that were never put included

    @property
    def spared(self) -> bool:
        """Tell whether this question is not worth its wait: the device has long been mute."""
        return self.silences >= MUTE_AFTER and self.silences % MUTE_TRIES != 0


class SerialLink:
    """A `Link` over a `LinePort`."""

    answers_may_double = False

    def __init__(self, line: LinePort, addresses: Mapping[DeviceId, int]) -> None:
        self.statistics = LinkStatistics()
        self.noise = LineQuality()
        self._line = line
        self._lanes = {device: _Lane(device, address) for device, address in addresses.items()}
        self._by_address = {lane.address: lane for lane in self._lanes.values()}
        self._events: asyncio.Queue[Event] = asyncio.Queue()
        self._work = asyncio.Event()
        self._deframer = Deframer(coded_bytes_max=FRAME_BYTES_MAX)
        self._turned = True  # the next frame is the first after the line was turned round
        self._wire_free_s = 0.0
        self._runs = False

    # ------------------------------------------------------------ the port

    def send(self, device: DeviceId, turn: Turn) -> None:
        """Queue a turn for one device."""
        lane = self._lanes[device]
        if not lane.waiting:  # it was idle: it does not get back what others used meanwhile
            lane.used_s = max(lane.used_s, min((other.used_s for other in self._busy()), default=lane.used_s))
        lane.waiting.extend(turn.messages)
        lane.block_gap_s, lane.answer_s = turn.block_gap_s, turn.answer_s
        self._work.set()

    def cancel(self, device: DeviceId) -> None:
        """Forget what is queued for a device."""
        lane = self._lanes[device]
        lane.waiting.clear()
        lane.open_question = None

    async def events(self) -> AsyncIterator[Event]:
        """Yield what happens."""
        while True:
            yield await self._events.get()

    def block_bytes(self, most: int) -> int:
        """Return the block size that wastes least at the noise seen so far."""
        return best_block_bytes(self.noise.bit_error_rate, most)

    async def run(self) -> None:
        """Work until cancelled; open the line again when it went away."""
        if self._runs:
            raise RuntimeError("this link runs already: two talkers on one line")
        self._runs = True
        try:
            while True:
                await self._work_the_line()
                await asyncio.sleep(REOPEN_S)
        finally:
            self._runs = False

    async def _work_the_line(self) -> None:
        try:
            await self._line.open()
            self._events.put_nowait(LinkState(up=True))
            while True:
                await self._one(await self._next_lane())
        except (LineDown, LinkUnusable) as down:  # also what a human must mend: other lines go on meanwhile
            self._events.put_nowait(LinkState(up=False, why=str(down)))
            self._hush()
        finally:
            self._line.close()

    # ------------------------------------------------------------ who is next

    def _busy(self) -> list[_Lane]:
        return [lane for lane in self._lanes.values() if lane.waiting]

    async def _next_lane(self) -> _Lane:
        while True:
            self._work.clear()
            now_s = asyncio.get_running_loop().time()
            busy = self._busy()
            ready = [lane for lane in busy if lane.not_before_s <= now_s + CLOCK_STEP_S]
            if ready:
                return min(ready, key=lambda lane: (lane.used_s, lane.address))
            wait_s = min((lane.not_before_s - now_s for lane in busy), default=None)
            try:
                await asyncio.wait_for(self._work.wait(), wait_s)
            except TimeoutError:
                continue

    def _hush(self) -> None:
        """No answer will come to anything that waits."""
        for lane in self._lanes.values():
            questions = [order for order in lane.waiting if not isinstance(order, Block)]
            if lane.open_question:
                questions.append(lane.open_question)
            lane.waiting.clear()
            lane.open_question = None
            for question in questions:
                self._events.put_nowait(Silent(lane.device, question))

    # ------------------------------------------------------------ one frame, or a question and its answer

    async def _one(self, lane: _Lane) -> None:
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        order = lane.waiting.popleft()
        if isinstance(order, Block):
            await self._put_on_the_wire(lane, order)
            lane.not_before_s = self._wire_free_s + lane.block_gap_s
            await asyncio.sleep(max(0.0, self._wire_free_s - AHEAD_S - loop.time()))
        else:
            await self._ask(lane, order)
        lane.used_s += loop.time() - began_s

    async def _put_on_the_wire(self, lane: _Lane, order: Order) -> None:
        frame = encode_frame(lane.address, encode(order), opening=self._turned)
        self._turned = False
        now_s = asyncio.get_running_loop().time()
        self._wire_free_s = max(now_s, self._wire_free_s) + airtime_s(len(frame), self._line.baud)
        self.statistics.sent_bytes += len(frame)
        await self._line.send(frame)

    async def _ask(self, lane: _Lane, question: Question) -> None:
        lane.open_question = question
        answer = None if lane.spared else await self._exchange(lane, question)
        if lane.open_question is not question:
            return  # cancelled meanwhile: nobody wants to know
        lane.open_question = None
        lane.silences = lane.silences + 1 if answer is None else 0
        if answer is None:
            self.statistics.silences += 1
            self._events.put_nowait(Silent(lane.device, question))
        else:
            self.statistics.answers += 1
            self._events.put_nowait(AnswerReceived(lane.device, answer))

    async def _exchange(self, lane: _Lane, question: Question) -> Answer | None:
        self.statistics.questions += 1
        await self._put_on_the_wire(lane, question)
        answer = await self._answer_of(lane, question)
        self._turned = True
        return answer

    async def _answer_of(self, lane: _Lane, question: Question) -> Answer | None:
        """Wait for the beginning of an answer, then from byte to byte.

        A whole frame that is not the answer (our own words, where the line echoes; a neighbour's) changes nothing.
        """
        self._deframer.reset()
        loop = asyncio.get_running_loop()
        first_s = FIRST_BYTE_S + airtime_s(FIRST_BYTE_BYTES, self._line.baud)
        begins_by_s = max(loop.time(), self._wire_free_s) + first_s + self._line.latency_s + lane.answer_s
        ends_by_s = begins_by_s + airtime_s(FRAME_BYTES_MAX, self._line.baud)  # babble does not hold the line
        next_s = NEXT_BYTE_S + airtime_s(NEXT_BYTE_BYTES, self._line.baud) + self._line.latency_s
        while loop.time() < ends_by_s:
            patience_s = next_s if self._deframer.unfinished else begins_by_s - loop.time()
            if patience_s <= 0 or not (data := await self._line.receive(patience_s)):
                return None
            self.statistics.heard_bytes += len(data)
            for frame in self._frames(data):
                answer = self._told(frame, lane, question)
                if answer:
                    return answer
        return None

    def _frames(self, data: bytes) -> list[SerialFrame]:
        before = self._deframer.bad
        frames = self._deframer.feed(data)
        for frame in frames:
            self.noise.frame(len(frame.message), flipped=int(frame.corrected))
        for _ in range(self._deframer.bad - before):
            self.noise.frame(len(data), flipped=2)
        self.statistics.frames_corrected = self._deframer.corrected
        self.statistics.frames_bad = self._deframer.bad
        self.statistics.bit_error_rate = self.noise.bit_error_rate
        return frames

    def _told(self, frame: SerialFrame, lane: _Lane, question: Question) -> Answer | None:
        """Return the answer that was waited for; pass on, or count, whatever else was said."""
        try:
            answer = parse_answer(frame.message)
        except Malformed:
            self.statistics.malformed += 1
            return None
        speaker = self._by_address.get(frame.address)
        if speaker is None:
            self.statistics.unknown.add(f"address {frame.address}")
        elif speaker is lane and fits(question, answer):
            return answer
        else:
            self.statistics.unsolicited += 1
            self._events.put_nowait(AnswerReceived(speaker.device, answer, asked=False))
        return None
