# SPDX-License-Identifier: Apache-2.0
"""What devices say by themselves, between passes."""

from __future__ import annotations

import logging
from collections.abc import Callable

from reconciler.devices.errors import Malformed
from reconciler.devices.link import AnswerReceived, Event, LinkState, Presence
from reconciler.devices.messages import Signed
from reconciler.devices.reports import DeviceReport, parse_body
from reconciler.engine import trace
from reconciler.engine.delivery.deliveries import Deliveries
from reconciler.engine.observed.report_verifier import ReportVerifier
from reconciler.engine.polling.poller import Observer, Poller
from reconciler.errors import Refused
from reconciler.model import DeviceId

log = logging.getLogger(__name__)


class EventHandler:
    """Takes in events of the links; only what is signed changes what is known."""

    def __init__(
        self, ears: Observer, seals: ReportVerifier, attention: Poller, deliveries: Deliveries, wake: Callable[[], None]
    ) -> None:
        self._view = ears.view
        self._clock = ears.clock
        self._seals = seals
        self._attention = attention
        self._deliveries = deliveries
        self._wake = wake

    def take(self, event: Event) -> None:
        """Take in one event."""
        match event:
            case AnswerReceived(device, Signed(cose)):
                with trace.about(device):
                    self._take_unasked(device, cose)
            case Presence(device, there=True):
                self._deliveries.forgive(device)
                self._attention.soon(device)
            case LinkState(up=up):
                if up:
                    self._attention.link_is_up()
                    self._deliveries.forgive_all()
                self._wake()
            case _:
                pass  # an answer that came too late

    def _take_unasked(self, device: DeviceId, cose: bytes) -> None:
        try:
            body = parse_body(self._seals.open_signed(device, cose, b""))
        except (Refused, Malformed) as refused:
            log.debug("not believed: %s", refused)
            if self._view.doubts.refuse(device, str(refused)):
                log.warning("what comes in its name does not verify: %s", refused, extra={"reason": refused.reason})
                self._wake()
            return
        if isinstance(body, DeviceReport) and self._view.take_report(device, body, self._clock.now(), asked=False):
            self._attention.heard_from(device)
            self._wake()
