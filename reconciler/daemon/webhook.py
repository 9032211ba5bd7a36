# SPDX-License-Identifier: Apache-2.0
"""Notices to a webhook: signed, repeated until they are taken, and beside the passes, which never wait for them.

`Tinyfleet-Signature: t=<seconds>,v1=<hex>` is the HMAC-SHA256 of `<seconds>.<body>` with the shared secret; the
receiver compares in constant time and refuses what is old. docs/review.md has the receiver's side.
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
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import ClassVar

from reconciler.config import GatewayConfig, WebhookConfig
from reconciler.daemon.event_queue import EventQueue, QueuedEvent
from reconciler.engine.engine import Engine
from reconciler.errors import Transient, Unusable
from reconciler.model import RolloutId
from reconciler.report.device_status import DeviceStatus
from reconciler.report.events import EventDetector
from reconciler.report.rollout_status import RolloutStatus

log = logging.getLogger(__name__)

OUTBOX_FILE = "notices.db"
LEAST_SECRET_BYTES = 16
LOOK_S = 1.0
OTHERS = stat.S_IRWXG | stat.S_IRWXO

Rollouts = Mapping[RolloutId, RolloutStatus]


class SecretUnusable(Unusable):
    """The webhook's secret is missing, too short or readable by others."""

    reason: ClassVar[str] = "SecretUnusable"


class WebhookRejected(Transient):
    """The receiver did not take a notice."""

    reason: ClassVar[str] = "WebhookRejected"


@dataclass(frozen=True, slots=True)
class Webhook:
    """Where notices go, and what proves that they are ours."""

    url: str
    secret: bytes
    timeout_s: float

    def post(self, letter: QueuedEvent, now_s: float) -> None:
        """Send one notice, or raise `WebhookRejected`."""
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "tinyfleet",
            "Tinyfleet-Delivery": hashlib.sha256(letter.key.encode()).hexdigest()[:32],
            "Tinyfleet-Signature": signature(self.secret, letter.body, int(now_s)),
        }
        # The schema of gateway.toml allows http and https alone.
        request = urllib.request.Request(self.url, data=letter.body, headers=headers, method="POST")  # noqa: S310
        opener = urllib.request.build_opener(_NoRedirect)
        try:
            with contextlib.closing(opener.open(request, timeout=self.timeout_s)):
                return
        except urllib.error.HTTPError as error:
            error.close()
            raise WebhookRejected(f"the receiver answered {error.code}") from error
        except (OSError, ValueError) as error:
            raise WebhookRejected(f"the receiver can't be reached: {error}") from error


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A signed notice goes where the configuration says, and nowhere else."""

    def redirect_request(self, *_: object) -> None:
        return None


def signature(secret: bytes, body: bytes, at_s: int) -> str:
    """Sign a body for a moment."""
    made = hmac.new(secret, b"%d." % at_s + body, hashlib.sha256).hexdigest()
    return f"t={at_s},v1={made}"


def webhook_of(notify: WebhookConfig) -> Webhook:
    """Read the secret, or say what is wrong with it."""
    return Webhook(notify.url, _secret(notify.secret), notify.timeout_s)


def _secret(path: Path) -> bytes:
    try:
        mode = path.stat().st_mode
        secret = path.read_bytes().strip()
    except OSError as error:
        raise SecretUnusable(f"{path}: the webhook's secret can't be read: {error.strerror}") from error
    if mode & OTHERS:
        raise SecretUnusable(f"{path}: others may read the webhook's secret; chmod 600 it")
    if len(secret) < LEAST_SECRET_BYTES:
        raise SecretUnusable(f"{path}: the webhook's secret has {len(secret)} bytes; at least {LEAST_SECRET_BYTES}")
    return secret


class EventNotifier:
    """Looks at what passes found and tells it, on threads of its own."""

    def __init__(self, gateway: str, webhook: Webhook, outbox: EventQueue, stuck_after_s: float) -> None:
        self._webhook = webhook
        self._outbox = outbox
        self._lookout = EventDetector(gateway, timedelta(seconds=stuck_after_s))

    async def run(self, rollouts: Callable[[], Rollouts], devices: Callable[[], tuple[DeviceStatus, ...]]) -> None:
        """Tell what there is to tell, until cancelled; a full disk must not end the daemon."""
        while True:
            try:
                await self.look(rollouts(), devices())
            except sqlite3.Error as error:
                log.warning("notices can't be kept: %s", error)
            await asyncio.sleep(LOOK_S)  # "stuck" comes of time that passes, and is no event

    async def look(self, rollouts: Rollouts, devices: tuple[DeviceStatus, ...]) -> None:
        """Take in what is true, and tell what is due."""
        found = self._lookout.events(rollouts, devices, datetime.now(UTC))
        await asyncio.to_thread(self._outbox.put, found, time.time())
        for letter in await asyncio.to_thread(self._outbox.due, time.time()):
            await self._tell(letter)

    async def _tell(self, letter: QueuedEvent) -> None:
        try:
            await asyncio.to_thread(self._webhook.post, letter, time.time())
        except WebhookRejected as failure:
            given_up = await asyncio.to_thread(self._outbox.failed, letter, time.time())
            words = "given up" if given_up else f"try {letter.tries + 1}, more follow"
            log.warning("notice %s: %s (%s)", letter.key, failure, words, extra={"reason": failure.reason})
        else:
            await asyncio.to_thread(self._outbox.taken, letter)
            log.info("notice %s was taken", letter.key)


@contextlib.asynccontextmanager
async def telling(settings: GatewayConfig, engine: Engine) -> AsyncIterator[None]:
    """Tell of an engine's rollouts while this lasts; without `[webhook]` nobody is told."""
    if settings.webhook is None:
        yield
        return
    webhook = webhook_of(settings.webhook)
    with contextlib.closing(EventQueue(settings.state_dir / OUTBOX_FILE)) as outbox:
        notices = EventNotifier(settings.name, webhook, outbox, settings.webhook.stuck_after_s)
        telling_task = asyncio.create_task(
            notices.run(lambda: engine.statuses.rollouts, lambda: engine.statuses.devices), name="notices"
        )
        try:
            yield
        finally:
            telling_task.cancel()
            await asyncio.gather(telling_task, return_exceptions=True)
