# SPDX-License-Identifier: Apache-2.0
"""What links report between passes: unsolicited reports, devices that appear, links that go up and down."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Protocol

from reconciler.devices.errors import Malformed
from reconciler.devices.link import AnswerReceived, Event, LinkState, Presence
from reconciler.devices.messages import Signed
from reconciler.devices.operation_messages import DeviceRequest
from reconciler.devices.reports import DeviceReport, parse_body
from reconciler.engine import log_context
from reconciler.engine.delivery.deliveries import Deliveries
from reconciler.engine.observed.report_verifier import ReportVerifier
from reconciler.engine.polling.poller import Poller, PollerPorts
from reconciler.errors import Refused
from reconciler.model import DeviceId

log = logging.getLogger(__name__)

UNSOLICITED = b""  # the nonce of a report that answers no question


class RequestListener(Protocol):
    """Who serves the requests of devices."""

    def heard(self, device: DeviceId, request: DeviceRequest) -> None:
        """Take in a request that came unasked; nothing is known of who sent it."""

    def reported(self, device: DeviceId) -> None:
        """Take in that a device has reported."""


class LinkEventHandler:
    """Handles events of the links. Only what a device signed changes what is known about it."""

    def __init__(
        self,
        ports: PollerPorts,
        verifier: ReportVerifier,
        poller: Poller,
        deliveries: Deliveries,
        wake: Callable[[], None],
    ) -> None:
        self._inventory = ports.inventory
        self._clock = ports.clock
        self._verifier = verifier
        self._poller = poller
        self._deliveries = deliveries
        self._wake = wake
        self.nodes: RequestListener | None = None  # set once, before the first event

    def handle(self, event: Event) -> None:
        """Handle one event."""
        match event:
            case AnswerReceived(device, Signed(cose)):
                with log_context.about(device):
                    self._handle_report(device, cose)
            case AnswerReceived(device, DeviceRequest() as request):
                if self.nodes is not None:
                    self.nodes.heard(device, request)
            case Presence(device, present=True):
                self._deliveries.retry_now(device)
                self._poller.poll_soon(device)
            case LinkState(up=up):
                if up:
                    self._poller.link_is_up()
                    self._deliveries.retry_all_now()
                self._wake()
            case _:
                pass  # an answer that came too late

    def _handle_report(self, device: DeviceId, cose: bytes) -> None:
        try:
            body = parse_body(self._verifier.open_signed(device, cose, UNSOLICITED))
        except (Refused, Malformed) as refused:
            log.debug("refused: %s", refused)
            if self._inventory.trust.record_refused(device, str(refused)):
                log.warning("messages in its name do not verify: %s", refused, extra={"reason": refused.reason})
                self._wake()
            return
        now = self._clock.now()
        if isinstance(body, DeviceReport) and self._inventory.record_report(device, body, now, asked=False):
            self._poller.heard_from(device)
            if self.nodes is not None:
                self.nodes.reported(device)
            self._wake()
