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
from reconciler.daemon.outgoing_http import SecretUnusable, WebhookRejected
from reconciler.daemon.webhook_queue import GIVEN_UP_AFTER, LONGEST_WAIT_S, EventQueue
from reconciler.daemon.webhook_sender import EventNotifier, Webhook, signature, webhook_of
from reconciler.model import DeviceId, Hold, HoldReason, RolloutId, RolloutReport
from reconciler.report.device_status import DeviceFacts, PassStamp, device_status
from reconciler.report.rollout_events import EventDetector, EventKind, FleetEvent
from reconciler.report.rollout_status import RolloutFacts, RolloutStatus, WaveFacts, rollout_status
from tests.daemon.webhook_receiver import Receiver, Taken

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


def detector() -> EventDetector:
    return EventDetector("hall", HOUR)


def seen(at: EventDetector, *steps: tuple[RolloutStatus, datetime]) -> list[EventKind]:
    found: list[FleetEvent] = []
    for step, now in steps:
        found = at.events({WEAR: step}, (), now)
    return [event.event for event in found]


# ---------------------------------------------------------------- detection


def test_stop_and_completion_are_reported_at_once() -> None:
    assert seen(detector(), (status(stopped="stopped: 1 failed, 0 allowed"), NOON)) == [EventKind.STOPPED]
    assert seen(detector(), (status(done=3), NOON)) == [EventKind.COMPLETE]
    assert seen(detector(), (status(), NOON)) == []


def test_a_rollout_without_progress_is_stuck() -> None:
    late = NOON + HOUR
    assert seen(detector(), (status(), NOON), (status(), late - timedelta(seconds=1))) == []
    assert seen(detector(), (status(), NOON), (status(), late)) == [EventKind.STUCK]
    assert seen(detector(), (status(), NOON), (status(done=2), NOON + HOUR / 2), (status(done=2), late)) == []


@pytest.mark.parametrize(
    "patient", [status(held="rollout wear is suspended"), status(soaking=True)], ids=["held", "soaking"]
)
def test_a_rollout_that_waits_by_design_is_not_stuck(patient: RolloutStatus) -> None:
    assert seen(detector(), (patient, NOON), (patient, NOON + 5 * HOUR)) == []


def test_waiting_for_a_window_is_not_stuck() -> None:
    at, name = detector(), DeviceId("pump-3")
    hold = Hold(name, WEAR, HoldReason.WINDOW, "outside its windows")
    waits = device_status(DeviceFacts(hold), PassStamp(NOON, "c" * 40), None)
    at.events({WEAR: status()}, (waits,), NOON)
    assert at.events({WEAR: status()}, (waits,), NOON + 5 * HOUR) == []
    assert [each.event for each in at.events({WEAR: status()}, (), NOON + 5 * HOUR)] == [EventKind.STUCK]


# ---------------------------------------------------------------- delivery


@pytest.fixture
def queue(tmp_path: Path) -> Iterator[EventQueue]:
    with contextlib.closing(EventQueue(tmp_path / "events.db")) as opened:
        opened.put([], 0.0)  # the first check is over
        yield opened


def deliver(queue: EventQueue, url: str, *rollouts: RolloutStatus) -> None:
    notifier = EventNotifier("hall", Webhook(url, SECRET, 5.0), queue, 3600.0)

    async def check_all() -> None:
        for each in rollouts:
            await notifier.check({WEAR: each}, ())

    asyncio.run(check_all())


def verified(taken: Taken) -> bool:
    """Verify an event as docs/review.md describes it for receivers."""
    match = re.fullmatch(r"t=(\d+),v1=([0-9a-f]{64})", taken.headers["Tinyfleet-Signature"])
    assert match is not None
    made = hmac.new(SECRET, match[1].encode() + b"." + taken.body, hashlib.sha256).hexdigest()
    return hmac.compare_digest(made, match[2]) and abs(time.time() - int(match[1])) < 300


def test_an_event_is_delivered_once_and_signed(queue: EventQueue) -> None:
    receiver = Receiver()
    with receiver.served() as url:
        deliver(queue, url, status(done=3), status(done=3))
    taken = receiver.taken.get_nowait()
    assert receiver.taken.empty()
    assert verified(taken)
    assert (taken.document["event"], taken.document["rollout"], taken.document["gateway"]) == (
        "complete",
        "wear",
        "hall",
    )
    assert not verified(replace(taken, body=taken.body.replace(b"complete", b"stopped!")))


def test_a_new_revision_is_a_new_event(queue: EventQueue) -> None:
    receiver = Receiver()
    with receiver.served() as url:
        deliver(queue, url, status(done=3), status(done=3, revision="w2"))
    assert receiver.taken.qsize() == 2


def test_events_before_the_first_check_are_not_sent(tmp_path: Path) -> None:
    receiver = Receiver()
    with receiver.served() as url, contextlib.closing(EventQueue(tmp_path / "events.db")) as fresh:
        deliver(fresh, url, status(done=3), status(done=3), status(stopped="stopped: 1 failed, 0 allowed"))
    assert receiver.taken.get_nowait().document["event"] == "stopped"
    assert receiver.taken.empty()


@pytest.mark.parametrize("answer", [500, 404, 429])
def test_rejected_events_are_retried_with_exponential_backoff(queue: EventQueue, answer: int) -> None:
    receiver = Receiver(answers=[answer, answer])
    found = detector().events({WEAR: status(done=3)}, (), NOON)
    with receiver.served() as url:
        webhook = Webhook(url, SECRET, 5.0)
        queue.put(found, 100.0)
        for now_s, expected in ((100.0, 1), (101.9, 0), (102.0, 1), (105.9, 0), (106.0, 1)):
            letters = queue.due(now_s)
            assert len(letters) == expected
            for event in letters:
                try:
                    webhook.post(event, now_s)
                except WebhookRejected:
                    queue.failed(event, now_s)
                else:
                    queue.taken(event)
    assert queue.due(10.0**9) == []


def test_backoff_and_attempts_are_limited(queue: EventQueue) -> None:
    queue.put(detector().events({WEAR: status(done=3)}, (), NOON), 0.0)
    now_s, tries = 0.0, 0
    while letters := queue.due(now_s):
        tries += 1
        queue.failed(letters[0], now_s)
        now_s += LONGEST_WAIT_S
    assert tries == GIVEN_UP_AFTER


def test_a_restart_neither_repeats_nor_loses_events(tmp_path: Path) -> None:
    receiver = Receiver(answers=[503])
    path = tmp_path / "events.db"
    with receiver.served() as url:
        with contextlib.closing(EventQueue(path)) as first:
            first.put([], 0.0)
            deliver(first, url, status(done=3))  # refused
        with contextlib.closing(EventQueue(path)) as second:
            (event,) = second.due(time.time() + 60)
            Webhook(url, SECRET, 5.0).post(event, time.time())
            second.taken(event)
        with contextlib.closing(EventQueue(path)) as third:
            deliver(third, url, status(done=3))
    assert receiver.taken.qsize() == 2


def test_redirects_are_not_followed(queue: EventQueue) -> None:
    elsewhere, receiver = Receiver(), Receiver(answers=[307])
    with elsewhere.served() as other, receiver.served() as url:
        receiver.location = other
        deliver(queue, url, status(done=3))
    assert elsewhere.taken.empty()
    assert len(queue.due(time.time() + 60)) == 1


def test_a_hanging_receiver_blocks_nothing(queue: EventQueue) -> None:
    """Passes run on the loop: it continues while a receiver keeps the event waiting."""
    receiver = Receiver(hold=threading.Event())
    assert receiver.hold is not None

    async def passes_meanwhile(url: str) -> int:
        notifier = EventNotifier("hall", Webhook(url, SECRET, 30.0), queue, 3600.0)
        task = asyncio.create_task(notifier.check({WEAR: status(done=3)}, ()))
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
        assert asyncio.run(passes_meanwhile(url)) == 100
    assert receiver.taken.qsize() == 1


def test_an_unreachable_receiver_leaves_the_event_queued(queue: EventQueue) -> None:
    with Receiver().served() as url:
        pass
    deliver(queue, url, status(done=3))
    assert len(queue.due(time.time() + 60)) == 1


@pytest.mark.parametrize(
    ("content", "mode", "says"),
    [(SECRET, 0o640, "other users can read"), (b"short\n", 0o600, "has 5"), (None, 0, "can't read")],
    ids=["readable", "short", "missing"],
)
def test_unusable_secrets(tmp_path: Path, content: bytes | None, mode: int, says: str) -> None:
    path = tmp_path / "secret"
    if content is not None:
        path.write_bytes(content)
        path.chmod(mode)
    with pytest.raises(SecretUnusable, match=says):
        webhook_of(WebhookConfig("https://example.org/hook", path))


def test_the_signature_is_an_hmac_of_timestamp_and_body() -> None:
    """An independent HMAC gives the same value."""
    made = signature(b"0123456789abcdef", b'{"event": "complete"}', 1_795_262_400)
    expected = hmac.new(b"0123456789abcdef", b'1795262400.{"event": "complete"}', hashlib.sha256).hexdigest()
    assert made == f"t=1795262400,v1={expected}"
