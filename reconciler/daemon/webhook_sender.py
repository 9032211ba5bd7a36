# SPDX-License-Identifier: Apache-2.0
"""Sends events to a webhook, chats and Alertmanager: retried until each accepts them, and without delaying passes.

Events for the webhook are signed: `Tinyfleet-Signature: t=<seconds>,v1=<hex>` is the HMAC-SHA256 of `<seconds>.<body>`
with the shared secret. The receiver compares it in constant time and rejects old timestamps; docs/review.md describes
the receiver.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import hmac
import logging
import sqlite3
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol

from reconciler.config import GatewayConfig, WebhookConfig
from reconciler.daemon.event_forms import FormedReceiver, alertmanager, matrix, mattermost, slack, teams
from reconciler.daemon.outgoing_http import (
    JSON,
    HttpRequest,
    SecretUnusable,
    WebhookRejected,
    secret,
    secret_line,
    secret_url,
    send,
)
from reconciler.daemon.webhook_queue import EventQueue, QueuedEvent
from reconciler.engine.engine import Engine
from reconciler.engine.status.renderer import StatusRenderer
from reconciler.model import RolloutId
from reconciler.report.contest_events import contest_events
from reconciler.report.contest_status import ContestStatus
from reconciler.report.device_status import DeviceStatus
from reconciler.report.rollout_events import EventDetector
from reconciler.report.rollout_status import RolloutStatus
from reconciler.report.training_events import training_events
from reconciler.report.training_status import TrainingStatus

log = logging.getLogger(__name__)

QUEUE_FILE = "events.db"
MIN_SECRET_BYTES = 16
INTERVAL_S = 1.0
STUCK_AFTER_S = 3600.0  # unless `[webhook] stuck_after` says otherwise

Rollouts = Mapping[RolloutId, RolloutStatus]


class Receiver(Protocol):
    """Takes events."""

    def post(self, event: QueuedEvent, now_s: float) -> None:
        """Send one event, or raise `WebhookRejected`. It blocks, so it is called on a thread."""
        ...


@dataclass(frozen=True, slots=True)
class Webhook:
    """The receiver's URL, and the secret that signs events."""

    url: str
    secret: bytes
    timeout_s: float

    def post(self, event: QueuedEvent, now_s: float) -> None:
        """Send one event, or raise `WebhookRejected`."""
        headers = {
            **JSON,
            "Tinyfleet-Delivery": hashlib.sha256(event.key.encode()).hexdigest()[:32],
            "Tinyfleet-Signature": signature(self.secret, event.body, int(now_s)),
        }
        send(HttpRequest(self.url, event.body, headers), self.timeout_s)


def signature(secret: bytes, body: bytes, at_s: int) -> str:
    """Sign a body and a timestamp."""
    digest = hmac.new(secret, b"%d." % at_s + body, hashlib.sha256).hexdigest()
    return f"t={at_s},v1={digest}"


def webhook_of(notify: WebhookConfig) -> Webhook:
    """Read the secret, or raise `SecretUnusable`."""
    found = secret(notify.secret, "webhook's secret")
    if len(found) < MIN_SECRET_BYTES:
        raise SecretUnusable(
            f"the webhook's secret {notify.secret} needs at least {MIN_SECRET_BYTES} bytes, and has {len(found)}"
        )
    return Webhook(notify.url, found, notify.timeout_s)


CHAT_FORMS = {"slack": slack, "teams": teams, "mattermost": mattermost}


def receivers_of(settings: GatewayConfig) -> dict[str, Receiver]:
    """Return every receiver that is configured, by the name of its section; raises `SecretUnusable`."""
    found: dict[str, Receiver] = {}
    if settings.webhook is not None:
        found["webhook"] = webhook_of(settings.webhook)
    for name, chat in settings.chats.items():
        found[name] = FormedReceiver(CHAT_FORMS[name](secret_url(chat.url_file, f"URL for {name}")), chat.timeout_s)
    if (room := settings.matrix) is not None:
        token = secret_line(room.token, "token for matrix")
        found["matrix"] = FormedReceiver(matrix(room.url, room.room, token), room.timeout_s)
    if (alerts := settings.alertmanager) is not None:
        bearer = secret_line(alerts.token, "token for alertmanager") if alerts.token is not None else None
        found["alertmanager"] = FormedReceiver(alertmanager(alerts.url, bearer), alerts.timeout_s)
    return found


class EventNotifier:
    """Detects events in the statuses of passes, and sends them on its own threads."""

    def __init__(self, gateway: str, receiver: Receiver, queue: EventQueue, stuck_after_s: float) -> None:
        self._gateway = gateway
        self._receiver = receiver
        self._queue = queue
        self._detector = EventDetector(gateway, timedelta(seconds=stuck_after_s))

    async def run(self, statuses: StatusRenderer) -> None:
        """Send events until cancelled. A full disk must not end the daemon."""
        while True:
            try:
                contests, trainings = tuple(statuses.contests.values()), tuple(statuses.trainings.values())
                await self.check(statuses.rollouts, statuses.devices, contests, trainings)
            except sqlite3.Error as error:
                log.warning("can't store events: %s", error)
            await asyncio.sleep(INTERVAL_S)  # polled, because a rollout gets stuck by the passage of time

    async def check(
        self,
        rollouts: Rollouts,
        devices: tuple[DeviceStatus, ...],
        contests: tuple[ContestStatus, ...] = (),
        trainings: tuple[TrainingStatus, ...] = (),
    ) -> None:
        """Queue the current events, and send those that are due."""
        found = self._detector.events(rollouts, devices, datetime.now(UTC))
        found += contest_events(self._gateway, contests)
        found += training_events(self._gateway, trainings, {each.name: each.figures.rollout for each in contests})
        await asyncio.to_thread(self._queue.put, found, time.time())
        for event in await asyncio.to_thread(self._queue.due, time.time()):
            await self._send(event)

    async def _send(self, event: QueuedEvent) -> None:
        try:
            await asyncio.to_thread(self._receiver.post, event, time.time())
        except WebhookRejected as failure:
            given_up = await asyncio.to_thread(self._queue.failed, event, time.time())
            next_step = "giving up" if given_up else f"attempt {event.tries + 1}, will retry"
            log.warning("event %s: %s (%s)", event.key, failure, next_step, extra={"reason": failure.reason})
        else:
            await asyncio.to_thread(self._queue.taken, event)
            log.info("event %s was delivered", event.key)


@contextlib.asynccontextmanager
async def sending_events(settings: GatewayConfig, engine: Engine) -> AsyncIterator[None]:
    """Send events about rollouts, contests and trainings to each configured receiver for the duration of the context.

    Each has a queue of its own, so that one that is down delays no other.
    """
    stuck_after_s = settings.webhook.stuck_after_s if settings.webhook is not None else STUCK_AFTER_S
    with contextlib.ExitStack() as stack:
        tasks = []
        for name, receiver in receivers_of(settings).items():
            file = QUEUE_FILE if name == "webhook" else f"events-{name}.db"
            queue = stack.enter_context(contextlib.closing(EventQueue(settings.state_dir / file)))
            notifier = EventNotifier(settings.name, receiver, queue, stuck_after_s)
            tasks.append(asyncio.create_task(notifier.run(engine.statuses), name=f"events for {name}"))
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
