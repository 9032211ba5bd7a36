# SPDX-License-Identifier: Apache-2.0
"""Sends events to a webhook: signed, retried until the receiver accepts them, and without delaying passes.

`Tinyfleet-Signature: t=<seconds>,v1=<hex>` is the HMAC-SHA256 of `<seconds>.<body>` with the shared secret. The
receiver compares it in constant time and rejects old timestamps; docs/review.md describes the receiver.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import hmac
import logging
import sqlite3
import stat
import time
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import ClassVar

from reconciler.config import GatewayConfig, WebhookConfig
from reconciler.daemon.webhook_queue import EventQueue, QueuedEvent
from reconciler.engine.engine import Engine
from reconciler.engine.status.renderer import StatusRenderer
from reconciler.errors import Transient, Unusable
from reconciler.model import RolloutId
from reconciler.report.contest_events import contest_events
from reconciler.report.contest_status import ContestStatus
from reconciler.report.device_status import DeviceStatus
from reconciler.report.rollout_events import EventDetector
from reconciler.report.rollout_status import RolloutStatus

log = logging.getLogger(__name__)

QUEUE_FILE = "events.db"
MIN_SECRET_BYTES = 16
INTERVAL_S = 1.0
OTHERS = stat.S_IRWXG | stat.S_IRWXO

Rollouts = Mapping[RolloutId, RolloutStatus]


class SecretUnusable(Unusable):
    """The webhook's secret is missing, too short or readable by other users."""

    reason: ClassVar[str] = "SecretUnusable"


class WebhookRejected(Transient):
    """The receiver did not accept an event."""

    reason: ClassVar[str] = "WebhookRejected"


@dataclass(frozen=True, slots=True)
class Webhook:
    """The receiver's URL, and the secret that signs events."""

    url: str
    secret: bytes
    timeout_s: float

    def post(self, event: QueuedEvent, now_s: float) -> None:
        """Send one event, or raise `WebhookRejected`."""
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "tinyfleet",
            "Tinyfleet-Delivery": hashlib.sha256(event.key.encode()).hexdigest()[:32],
            "Tinyfleet-Signature": signature(self.secret, event.body, int(now_s)),
        }
        # The schema of gateway.toml allows only http and https.
        request = urllib.request.Request(self.url, data=event.body, headers=headers, method="POST")  # noqa: S310
        opener = urllib.request.build_opener(_NoRedirect)
        try:
            with contextlib.closing(opener.open(request, timeout=self.timeout_s)):
                return
        except urllib.error.HTTPError as error:
            error.close()
            raise WebhookRejected(f"the receiver answered {error.code}") from error
        except (OSError, ValueError) as error:
            raise WebhookRejected(f"can't reach the receiver: {error}") from error


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Follows no redirects: a signed event goes only to the configured URL."""

    def redirect_request(self, *_: object) -> None:
        return None


def signature(secret: bytes, body: bytes, at_s: int) -> str:
    """Sign a body and a timestamp."""
    digest = hmac.new(secret, b"%d." % at_s + body, hashlib.sha256).hexdigest()
    return f"t={at_s},v1={digest}"


def webhook_of(notify: WebhookConfig) -> Webhook:
    """Read the secret, or raise `SecretUnusable`."""
    return Webhook(notify.url, _secret(notify.secret), notify.timeout_s)


def _secret(path: Path) -> bytes:
    try:
        mode = path.stat().st_mode
        secret = path.read_bytes().strip()
    except OSError as error:
        raise SecretUnusable(f"can't read the webhook's secret {path}: {error.strerror}") from error
    if mode & OTHERS:
        raise SecretUnusable(f"other users can read the webhook's secret {path}: chmod 600 it")
    if len(secret) < MIN_SECRET_BYTES:
        raise SecretUnusable(
            f"the webhook's secret {path} needs at least {MIN_SECRET_BYTES} bytes, and has {len(secret)}"
        )
    return secret


class EventNotifier:
    """Detects events in the statuses of passes, and sends them on its own threads."""

    def __init__(self, gateway: str, webhook: Webhook, queue: EventQueue, stuck_after_s: float) -> None:
        self._gateway = gateway
        self._webhook = webhook
        self._queue = queue
        self._detector = EventDetector(gateway, timedelta(seconds=stuck_after_s))

    async def run(self, statuses: StatusRenderer) -> None:
        """Send events until cancelled. A full disk must not end the daemon."""
        while True:
            try:
                await self.check(statuses.rollouts, statuses.devices, tuple(statuses.contests.values()))
            except sqlite3.Error as error:
                log.warning("can't store events: %s", error)
            await asyncio.sleep(INTERVAL_S)  # polled, because a rollout gets stuck by the passage of time

    async def check(
        self, rollouts: Rollouts, devices: tuple[DeviceStatus, ...], contests: tuple[ContestStatus, ...] = ()
    ) -> None:
        """Queue the current events, and send those that are due."""
        found = self._detector.events(rollouts, devices, datetime.now(UTC))
        found += contest_events(self._gateway, contests)
        await asyncio.to_thread(self._queue.put, found, time.time())
        for event in await asyncio.to_thread(self._queue.due, time.time()):
            await self._send(event)

    async def _send(self, event: QueuedEvent) -> None:
        try:
            await asyncio.to_thread(self._webhook.post, event, time.time())
        except WebhookRejected as failure:
            given_up = await asyncio.to_thread(self._queue.failed, event, time.time())
            next_step = "giving up" if given_up else f"attempt {event.tries + 1}, will retry"
            log.warning("event %s: %s (%s)", event.key, failure, next_step, extra={"reason": failure.reason})
        else:
            await asyncio.to_thread(self._queue.taken, event)
            log.info("event %s was delivered", event.key)


@contextlib.asynccontextmanager
async def sending_events(settings: GatewayConfig, engine: Engine) -> AsyncIterator[None]:
    """Send events about rollouts and contests for the duration of the context, if `[webhook]` is configured."""
    if settings.webhook is None:
        yield
        return
    webhook = webhook_of(settings.webhook)
    with contextlib.closing(EventQueue(settings.state_dir / QUEUE_FILE)) as queue:
        notifier = EventNotifier(settings.name, webhook, queue, settings.webhook.stuck_after_s)
        task = asyncio.create_task(notifier.run(engine.statuses), name="events")
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
