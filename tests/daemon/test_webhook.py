# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import asyncio
import contextlib
import hashlib
import hmac
import re
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from reconciler.config import WebhookConfig
from reconciler.daemon.event_queue import GIVEN_UP_AFTER, LONGEST_WAIT_S, EventQueue
from reconciler.daemon.webhook import EventNotifier, SecretUnusable, Webhook, WebhookRejected, signature, webhook_of
from reconciler.model import DeviceId, Hold, HoldReason, RolloutId, RolloutReport
from reconciler.report.device_status import DeviceFacts, PassStamp, device_status
from reconciler.report.events import EventDetector, EventKind, FleetEvent
from reconciler.report.rollout_status import RolloutFacts, RolloutStatus, WaveFacts, rollout_status
from tests.daemon.receiver import Receiver, Taken

NOON = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
SECRET = b"0123456789abcdef0123456789abcdef"
WEAR = RolloutId("wear")
HOUR = timedelta(hours=1)


def status(
    *, done: int = 1, stopped: str = "", held: str = "", soaking: bool = False, revision: str = "w1"
) -> RolloutStatus:
    due = frozenset({DeviceId("pump-3")})
    word = RolloutReport(
        revision, due=due, soaking=frozenset({DeviceId("pump-1")}) if soaking else frozenset(), stopped=stopped
    )
    waves = (WaveFacts("all", 3, done, int(soaking), 3 - done, 0, 0, open=True),)
    facts = RolloutFacts(WEAR, "wear@2", word, waves, complete=done == 3, waiting="wave 1 (all): 1 of 3", held=held)
    return rollout_status(facts, PassStamp(NOON, "c" * 40), None)


def lookout() -> EventDetector:
    return EventDetector("hall", HOUR)


def seen(at: EventDetector, *steps: tuple[RolloutStatus, datetime]) -> list[EventKind]:
    found: list[FleetEvent] = []
    for step, now in steps:
        found = at.events({WEAR: step}, (), now)
    return [notice.event for notice in found]


# ---------------------------------------------------------------- what is told


def test_stop_and_completion_are_told_at_once() -> None:
    assert seen(lookout(), (status(stopped="stopped: 1 failed, 0 allowed"), NOON)) == [EventKind.STOPPED]
    assert seen(lookout(), (status(done=3), NOON)) == [EventKind.COMPLETE]
    assert seen(lookout(), (status(), NOON)) == []


def test_what_does_not_move_for_so_long_is_stuck() -> None:
    late = NOON + HOUR
    assert seen(lookout(), (status(), NOON), (status(), late - timedelta(seconds=1))) == []
    assert seen(lookout(), (status(), NOON), (status(), late)) == [EventKind.STUCK]
    assert seen(lookout(), (status(), NOON), (status(done=2), NOON + HOUR / 2), (status(done=2), late)) == []


@pytest.mark.parametrize(
    "patient", [status(held="rollout wear is suspended"), status(soaking=True)], ids=["held", "soaking"]
)
def test_what_waits_by_design_is_not_stuck(patient: RolloutStatus) -> None:
    assert seen(lookout(), (patient, NOON), (patient, NOON + 5 * HOUR)) == []


def test_waiting_for_a_window_is_not_stuck() -> None:
    at, name = lookout(), DeviceId("pump-3")
    hold = Hold(name, WEAR, HoldReason.WINDOW, "outside its windows")
    waits = device_status(DeviceFacts(hold), PassStamp(NOON, "c" * 40), None)
    at.events({WEAR: status()}, (waits,), NOON)
    assert at.events({WEAR: status()}, (waits,), NOON + 5 * HOUR) == []
    assert [each.event for each in at.events({WEAR: status()}, (), NOON + 5 * HOUR)] == [EventKind.STUCK]


# ---------------------------------------------------------------- how it is told


@pytest.fixture
def outbox(tmp_path: Path) -> Iterator[EventQueue]:
    with contextlib.closing(EventQueue(tmp_path / "notices.db")) as opened:
        opened.put([], 0.0)  # it has been looked at before
        yield opened


def deliver(outbox: EventQueue, url: str, *rollouts: RolloutStatus) -> None:
    notices = EventNotifier("hall", Webhook(url, SECRET, 5.0), outbox, 3600.0)

    async def looked() -> None:
        for each in rollouts:
            await notices.look({WEAR: each}, ())

    asyncio.run(looked())


def verified(taken: Taken) -> bool:
    """Check a notice as docs/review.md tells a receiver to."""
    told = re.fullmatch(r"t=(\d+),v1=([0-9a-f]{64})", taken.headers["Tinyfleet-Signature"])
    assert told is not None
    made = hmac.new(SECRET, told[1].encode() + b"." + taken.body, hashlib.sha256).hexdigest()
    return hmac.compare_digest(made, told[2]) and abs(time.time() - int(told[1])) < 300


def test_a_notice_arrives_once_and_is_signed(outbox: EventQueue) -> None:
    receiver = Receiver()
    with receiver.served() as url:
        deliver(outbox, url, status(done=3), status(done=3))
    taken = receiver.taken.get_nowait()
    assert receiver.taken.empty()
    assert verified(taken)
    assert (taken.document["event"], taken.document["rollout"], taken.document["gateway"]) == (
        "complete",
        "wear",
        "hall",
    )
    assert not verified(replace(taken, body=taken.body.replace(b"complete", b"stopped!")))


def test_another_wish_is_told_anew(outbox: EventQueue) -> None:
    receiver = Receiver()
    with receiver.served() as url:
        deliver(outbox, url, status(done=3), status(done=3, revision="w2"))
    assert receiver.taken.qsize() == 2


def test_what_was_true_before_the_first_look_is_not_told(tmp_path: Path) -> None:
    receiver = Receiver()
    with receiver.served() as url, contextlib.closing(EventQueue(tmp_path / "notices.db")) as fresh:
        deliver(fresh, url, status(done=3), status(done=3), status(stopped="stopped: 1 failed, 0 allowed"))
    assert receiver.taken.get_nowait().document["event"] == "stopped"
    assert receiver.taken.empty()


@pytest.mark.parametrize("answer", [500, 404, 429])
def test_what_is_not_taken_is_put_off_twice_as_long_each_time(outbox: EventQueue, answer: int) -> None:
    receiver = Receiver(answers=[answer, answer])
    notice = lookout().events({WEAR: status(done=3)}, (), NOON)
    with receiver.served() as url:
        webhook = Webhook(url, SECRET, 5.0)
        outbox.put(notice, 100.0)
        for now_s, expected in ((100.0, 1), (101.9, 0), (102.0, 1), (105.9, 0), (106.0, 1)):
            letters = outbox.due(now_s)
            assert len(letters) == expected
            for letter in letters:
                try:
                    webhook.post(letter, now_s)
                except WebhookRejected:
                    outbox.failed(letter, now_s)
                else:
                    outbox.taken(letter)
    assert outbox.due(10.0**9) == []


def test_back_off_has_an_end_and_so_have_tries(outbox: EventQueue) -> None:
    outbox.put(lookout().events({WEAR: status(done=3)}, (), NOON), 0.0)
    now_s, tries = 0.0, 0
    while letters := outbox.due(now_s):
        tries += 1
        outbox.failed(letters[0], now_s)
        now_s += LONGEST_WAIT_S
    assert tries == GIVEN_UP_AFTER


def test_a_restart_repeats_nothing_and_forgets_nothing(tmp_path: Path) -> None:
    receiver = Receiver(answers=[503])
    path = tmp_path / "notices.db"
    with receiver.served() as url:
        with contextlib.closing(EventQueue(path)) as first:
            first.put([], 0.0)
            deliver(first, url, status(done=3))  # refused
        with contextlib.closing(EventQueue(path)) as second:
            (letter,) = second.due(time.time() + 60)
            Webhook(url, SECRET, 5.0).post(letter, time.time())
            second.taken(letter)
        with contextlib.closing(EventQueue(path)) as third:
            deliver(third, url, status(done=3))
    assert receiver.taken.qsize() == 2


def test_nobody_is_redirected(outbox: EventQueue) -> None:
    elsewhere, receiver = Receiver(), Receiver(answers=[307])
    with elsewhere.served() as other, receiver.served() as url:
        receiver.location = other
        deliver(outbox, url, status(done=3))
    assert elsewhere.taken.empty()
    assert len(outbox.due(time.time() + 60)) == 1


def test_a_receiver_that_hangs_holds_up_nobody(outbox: EventQueue) -> None:
    """Passes run on the loop: it goes on while a receiver keeps the notice waiting."""
    receiver = Receiver(hold=threading.Event())
    assert receiver.hold is not None

    async def beside(url: str) -> int:
        notices = EventNotifier("hall", Webhook(url, SECRET, 30.0), outbox, 3600.0)
        task = asyncio.create_task(notices.look({WEAR: status(done=3)}, ()))
        turns = 0
        while turns < 100:
            await asyncio.sleep(0)
            turns += 1
        assert not task.done()
        assert receiver.hold is not None
        receiver.hold.set()
        await task
        return turns

    with receiver.served() as url:
        assert asyncio.run(beside(url)) == 100
    assert receiver.taken.qsize() == 1


def test_nobody_listening_is_a_notice_that_waits(outbox: EventQueue) -> None:
    with Receiver().served() as url:
        pass
    deliver(outbox, url, status(done=3))
    assert len(outbox.due(time.time() + 60)) == 1


@pytest.mark.parametrize(
    ("content", "mode", "says"),
    [(SECRET, 0o640, "others may read"), (b"short\n", 0o600, "5 bytes"), (None, 0, "can't be read")],
    ids=["readable", "short", "missing"],
)
def test_a_secret_must_be_one(tmp_path: Path, content: bytes | None, mode: int, says: str) -> None:
    path = tmp_path / "secret"
    if content is not None:
        path.write_bytes(content)
        path.chmod(mode)
    with pytest.raises(SecretUnusable, match=says):
        webhook_of(WebhookConfig("https://example.org/hook", path))


def test_signatures_are_hmacs_of_moment_and_body() -> None:
    """An independent HMAC gives the same."""
    made = signature(b"0123456789abcdef", b'{"event": "complete"}', 1_795_262_400)
    expected = hmac.new(b"0123456789abcdef", b'1795262400.{"event": "complete"}', hashlib.sha256).hexdigest()
    assert made == f"t=1795262400,v1={expected}"
