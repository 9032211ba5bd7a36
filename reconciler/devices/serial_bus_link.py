# SPDX-License-Identifier: Apache-2.0
"""A link to many devices on one half-duplex line: one task decides frame by frame which device is next.

Blocks are never answered, so the line is free for another device after each frame; only a question and its answer
belong together. The device that has used the line least goes first. Waiting for an answer counts as use, so a silent
device uses up only its own share.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field

from reconciler.devices.errors import LineDown, LinkUnusable, Malformed
from reconciler.devices.line_port import LinePort, airtime_s
from reconciler.devices.line_quality import LineQuality, best_block_bytes
from reconciler.devices.link import AnswerReceived, Event, LinkState, LinkStatistics, Silent, Turn, fits
from reconciler.devices.messages import MESSAGE_BYTES, Answer, Order, Question, Unanswered, encode, parse_answer
from reconciler.devices.serial_frame import Deframer, SerialFrame, encode_frame
from reconciler.model import DeviceId

FIRST_BYTE_S, FIRST_BYTE_BYTES = 0.050, 10  # docs/specs/protocol.md section 3, Timing
NEXT_BYTE_S, NEXT_BYTE_BYTES = 0.020, 10
AHEAD_S = 0.050  # how long before the wire is free the next frame is handed over
FRAME_BYTES_MAX = MESSAGE_BYTES + 16
REOPEN_S = 5.0
MUTE_AFTER = 6  # timeouts in a row, after which
MUTE_TRIES = 6  # only one question in this many is sent
CLOCK_STEP_S = 0.001  # shorter waits are skipped


@dataclass(slots=True)
class _DeviceQueue:
    """The messages that wait for one device, and its use of the line."""

    device: DeviceId
    address: int
    waiting: deque[Order] = field(default_factory=deque)
    block_gap_s: float = 0.0
    answer_s: float = 0.0
    used_s: float = 0.0
    not_before_s: float = 0.0
    open_question: Question | None = None
    silences: int = 0  # in a row, including questions that were not sent

    @property
    def skips_question(self) -> bool:
        """Whether to skip this question, because the device has not answered for long."""
        return self.silences >= MUTE_AFTER and self.silences % MUTE_TRIES != 0


class SerialLink:
    """A `Link` over a `LinePort`."""

    answers_may_repeat = False

    def __init__(self, line: LinePort, addresses: Mapping[DeviceId, int]) -> None:
        self.statistics = LinkStatistics()
        self.quality = LineQuality()
        self._line = line
        self._queues = {device: _DeviceQueue(device, address) for device, address in addresses.items()}
        self._by_address = {queue.address: queue for queue in self._queues.values()}
        self._events: asyncio.Queue[Event] = asyncio.Queue()
        self._work = asyncio.Event()
        self._deframer = Deframer(coded_bytes_max=FRAME_BYTES_MAX)
        self._direction_changed = True  # the next frame is the first after a change of direction
        self._wire_free_s = 0.0
        self._is_running = False

    # ------------------------------------------------------------ the Link interface

    def send(self, device: DeviceId, turn: Turn) -> None:
        """Queue a turn for one device."""
        queue = self._queues[device]
        if not queue.waiting:  # it was idle: it does not accumulate credit
            queue.used_s = max(queue.used_s, min((other.used_s for other in self._busy()), default=queue.used_s))
        queue.waiting.extend(turn.messages)
        queue.block_gap_s, queue.answer_s = turn.block_gap_s, turn.answer_s
        self._work.set()

    def cancel(self, device: DeviceId) -> None:
        """Drop what is queued for a device."""
        queue = self._queues[device]
        queue.waiting.clear()
        queue.open_question = None

    async def events(self) -> AsyncIterator[Event]:
        """Yield events."""
        while True:
            yield await self._events.get()

    def block_bytes(self, max_bytes: int) -> int:
        """Return the block size with the least overhead at the current noise."""
        return best_block_bytes(self.quality.bit_error_rate, max_bytes)

    async def run(self) -> None:
        """Work until cancelled, and reopen the line when it disappears."""
        if self._is_running:
            raise RuntimeError("this link is already running, and a line can have only one")
        self._is_running = True
        try:
            while True:
                await self._serve_line()
                await asyncio.sleep(REOPEN_S)
        finally:
            self._is_running = False

    async def _serve_line(self) -> None:
        try:
            await self._line.open()
            self._events.put_nowait(LinkState(up=True))
            while True:
                await self._serve(await self._next_queue())
        except (LineDown, LinkUnusable) as down:  # LinkUnusable needs a human; other lines continue meanwhile
            self._events.put_nowait(LinkState(up=False, why=str(down)))
            self._fail_questions()
        finally:
            self._line.close()

    # ------------------------------------------------------------ scheduling

    def _busy(self) -> list[_DeviceQueue]:
        return [queue for queue in self._queues.values() if queue.waiting]

    async def _next_queue(self) -> _DeviceQueue:
        while True:
            self._work.clear()
            now_s = asyncio.get_running_loop().time()
            busy = self._busy()
            ready = [queue for queue in busy if queue.not_before_s <= now_s + CLOCK_STEP_S]
            if ready:
                return min(ready, key=lambda queue: (queue.used_s, queue.address))
            wait_s = min((queue.not_before_s - now_s for queue in busy), default=None)
            try:
                await asyncio.wait_for(self._work.wait(), wait_s)
            except TimeoutError:
                continue

    def _fail_questions(self) -> None:
        """Report all waiting questions as unanswered."""
        for queue in self._queues.values():
            questions = [order for order in queue.waiting if not isinstance(order, Unanswered)]
            if queue.open_question:
                questions.append(queue.open_question)
            queue.waiting.clear()
            queue.open_question = None
            for question in questions:
                self._events.put_nowait(Silent(queue.device, question))

    # ------------------------------------------------------------ one frame, or a question and its answer

    async def _serve(self, queue: _DeviceQueue) -> None:
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        order = queue.waiting.popleft()
        if isinstance(order, Unanswered):
            await self._transmit(queue, order)
            queue.not_before_s = self._wire_free_s + queue.block_gap_s
            await asyncio.sleep(max(0.0, self._wire_free_s - AHEAD_S - loop.time()))
        else:
            await self._ask(queue, order)
        queue.used_s += loop.time() - began_s

    async def _transmit(self, queue: _DeviceQueue, order: Order) -> None:
        frame = encode_frame(queue.address, encode(order), opening=self._direction_changed)
        self._direction_changed = False
        now_s = asyncio.get_running_loop().time()
        self._wire_free_s = max(now_s, self._wire_free_s) + airtime_s(len(frame), self._line.baud)
        self.statistics.sent_bytes += len(frame)
        await self._line.send(frame)

    async def _ask(self, queue: _DeviceQueue, question: Question) -> None:
        queue.open_question = question
        answer = None if queue.skips_question else await self._exchange(queue, question)
        if queue.open_question is not question:
            return  # cancelled meanwhile
        queue.open_question = None
        queue.silences = queue.silences + 1 if answer is None else 0
        if answer is None:
            self.statistics.silences += 1
            self._events.put_nowait(Silent(queue.device, question))
        else:
            self.statistics.answers += 1
            self._events.put_nowait(AnswerReceived(queue.device, answer))

    async def _exchange(self, queue: _DeviceQueue, question: Question) -> Answer | None:
        self.statistics.questions += 1
        await self._transmit(queue, question)
        answer = await self._answer_of(queue, question)
        self._direction_changed = True
        return answer

    async def _answer_of(self, queue: _DeviceQueue, question: Question) -> Answer | None:
        """Wait for the first byte of an answer, then for each next one.

        A complete frame that is not the answer (our own echo, or another device's) does not change the deadlines.
        """
        self._deframer.reset()
        loop = asyncio.get_running_loop()
        first_s = FIRST_BYTE_S + airtime_s(FIRST_BYTE_BYTES, self._line.baud)
        begins_by_s = max(loop.time(), self._wire_free_s) + first_s + self._line.latency_s + queue.answer_s
        ends_by_s = begins_by_s + airtime_s(FRAME_BYTES_MAX, self._line.baud)  # endless noise does not block the line
        next_s = NEXT_BYTE_S + airtime_s(NEXT_BYTE_BYTES, self._line.baud) + self._line.latency_s
        while loop.time() < ends_by_s:
            wait_s = next_s if self._deframer.unfinished else begins_by_s - loop.time()
            if wait_s <= 0 or not (data := await self._line.receive(wait_s)):
                return None
            self.statistics.received_bytes += len(data)
            for frame in self._frames(data):
                answer = self._match(frame, queue, question)
                if answer:
                    return answer
        return None

    def _frames(self, data: bytes) -> list[SerialFrame]:
        before = self._deframer.bad
        frames = self._deframer.feed(data)
        for frame in frames:
            self.quality.record_frame(len(frame.message), bit_errors=int(frame.corrected))
        for _ in range(self._deframer.bad - before):
            self.quality.record_frame(len(data), bit_errors=2)
        self.statistics.frames_corrected = self._deframer.corrected
        self.statistics.frames_bad = self._deframer.bad
        self.statistics.bit_error_rate = self.quality.bit_error_rate
        return frames

    def _match(self, frame: SerialFrame, queue: _DeviceQueue, question: Question) -> Answer | None:
        """Return the expected answer; forward or count anything else."""
        try:
            answer = parse_answer(frame.message)
        except Malformed:
            self.statistics.malformed += 1
            return None
        sender = self._by_address.get(frame.address)
        if sender is None:
            self.statistics.unknown.add(f"address {frame.address}")
        elif sender is queue and fits(question, answer):
            return answer
        else:
            self.statistics.unsolicited += 1
            self._events.put_nowait(AnswerReceived(sender.device, answer, asked=False))
        return None
