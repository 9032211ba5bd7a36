# SPDX-License-Identifier: Apache-2.0
"""The gateway's links: one broker, serial lines, and which of them leads to which device."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from reconciler.config import GatewayConfig, SerialConfig
from reconciler.devices.conversation import DEFAULT_RETRY
from reconciler.devices.link import Event, LinkState, LinkStatistics
from reconciler.devices.link_session import AnswerSecondsOf, LinkSession, not_known
from reconciler.devices.mqtt_link import MqttLink, MqttSettings, OnAnswer, OnRequest
from reconciler.devices.serial_bus_link import SerialLink
from reconciler.devices.serial_port import SerialPort
from reconciler.devices.transfer_limiter import TransferLimiter
from reconciler.engine.observed.report_verifier import ReportVerifier
from reconciler.engine.task_cancellation import cancel_and_wait
from reconciler.model import Device, DeviceId, GatewayLimits, SerialAddress

log = logging.getLogger(__name__)

MQTT = "mqtt"  # the name of the broker's link; a serial link has the name of its port
READY_WITHIN_S = 5.0  # a link that can come up has done so by then
# A late answer through a broker counts whenever it comes; on a line it may meet the next question.
LINE_RETRY = replace(DEFAULT_RETRY, max_answer_s=8.0)


@dataclass(slots=True)
class _OpenLink:
    """A link that runs, and the settings that it was opened with."""

    key: object
    session: LinkSession
    up: asyncio.Event
    tasks: tuple[asyncio.Task[None], ...]
    baud: int | None  # None: not a serial line
    trouble: str | None = None


class Links:
    """Opens the links that Git and the configuration name together, and closes those that they no longer name.

    For the event loop's thread only; `close` must be called at the end.
    """

    def __init__(self, config: GatewayConfig, verifier: ReportVerifier) -> None:
        self._name = config.name
        self._mqtt = config.mqtt
        self._serial: Mapping[str, SerialConfig] = {line.name: line for line in config.serial}
        self.answer_s_of: AnswerSecondsOf = not_known  # set once, before anything is served
        self._verifier = verifier
        self._limiter = TransferLimiter(GatewayLimits())  # of the whole gateway
        self._open: dict[str, _OpenLink] = {}
        self._link_of: dict[DeviceId, str] = {}
        self._served: object = None
        self._on_request: OnRequest | None = None
        self._on_answer: OnAnswer | None = None
        self._missing: dict[str, str] = {}
        self._events: asyncio.Queue[Event] = asyncio.Queue()
        self._crashes: asyncio.Queue[BaseException] = asyncio.Queue()

    def serve(self, fleet: str, devices: Mapping[DeviceId, Device], limits: GatewayLimits) -> None:
        """Serve exactly these devices: a snapshot (model/snapshot_cache.py), which costs nothing while unchanged."""
        if self._served is devices:
            return
        self._limiter.change(limits)
        by_link = self._grouped(devices)
        if self._on_request is not None:
            by_link.setdefault(MQTT, {})  # clients ask through the broker, even if no device is behind it
        self._missing.clear()
        for link in self._open.keys() - by_link.keys():
            self._close(link)
        for link, members in by_link.items():
            self._ensure_open(link, fleet, members)
        self._link_of = {device: link for link, members in by_link.items() for device in members}
        self._served = devices  # last: if a link could not be opened, the next pass tries again

    def serve_requests(self, on_request: OnRequest | None, on_answer: OnAnswer | None = None) -> None:
        """Hand on requests and answers from now on; None: stop. A link for them opens at the next `serve`."""
        if on_request == self._on_request:
            return
        self._on_request, self._on_answer = on_request, on_answer
        self._served = None
        link = self._broker_link()
        if link is not None:
            link.serve_requests(on_request, on_answer)

    def answer(self, asker: str, payload: bytes) -> None:
        """Send a message to a client or a gateway that asked; without the broker it is lost, and asked for again."""
        link = self._broker_link()
        if link is not None:
            link.answer(asker, payload)

    def ask(self, server: str, payload: bytes) -> None:
        """Send a message to another gateway that is to do the work; it may be lost as well."""
        link = self._broker_link()
        if link is not None:
            link.ask(server, payload)

    def requests_refused(self) -> str | None:
        """Return why the broker lets no requests through; None: it does, or was not asked."""
        link = self._broker_link()
        return link.requests_refused if link is not None else None

    def session_of(self, device: DeviceId) -> LinkSession | None:
        """Return the session of the link that leads to a device; None: no link does."""
        link = self._open.get(self._link_of.get(device, ""))
        return link.session if link is not None else None

    async def ready(self, device: DeviceId) -> LinkSession | None:
        """Wait for a device's link to come up, but not long: a question to a link that is down is only lost."""
        link = self._open.get(self._link_of.get(device, ""))
        if link is None:
            return None
        if not link.up.is_set():  # waiting costs a task, and nearly always there is no need
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(link.up.wait(), READY_WITHIN_S)
        return link.session if link.up.is_set() else None

    def troubles(self) -> dict[str, str | None]:
        """Return what is wrong with each link; None: nothing."""
        return {**self._missing, **{name: link.trouble for name, link in self._open.items()}}

    def unknown_devices(self) -> frozenset[str]:
        """Return the devices that send messages and are not in Git."""
        return frozenset().union(*(link.session.link.statistics.unknown for link in self._open.values()))

    def broker_certificate_ends(self) -> datetime | None:
        """Return when the certificate of the broker expires; None: it has shown none."""
        link = self._broker_link()
        return link.broker_certificate_ends if link is not None else None

    def statistics(self) -> dict[str, LinkStatistics]:
        """Return what passed over each link."""
        return {name: link.session.link.statistics for name, link in self._open.items()}

    def bauds(self) -> dict[str, int | None]:
        """Return the speed of each link's line; None: it is not a serial line."""
        return {name: link.baud for name, link in self._open.items()}

    async def run(self) -> None:
        """Wait for a link's task to end with a bug, and raise it. A link that is down is not a bug."""
        raise await self._crashes.get()

    async def events(self) -> AsyncIterator[Event]:
        """Yield the unsolicited events of all links."""
        while True:
            yield await self._events.get()

    async def close(self) -> None:
        """Close all links."""
        tasks = [task for link in self._open.values() for task in link.tasks]
        for name in list(self._open):
            self._close(name)
        await cancel_and_wait(tasks)

    def _broker_link(self) -> MqttLink | None:
        link = self._open[MQTT].session.link if MQTT in self._open else None
        return link if isinstance(link, MqttLink) else None

    # ------------------------------------------------------------ opening and closing

    @staticmethod
    def _grouped(devices: Mapping[DeviceId, Device]) -> dict[str, dict[DeviceId, Device]]:
        by_link: dict[str, dict[DeviceId, Device]] = {}
        for name, device in devices.items():
            link = device.link.port if isinstance(device.link, SerialAddress) else MQTT
            by_link.setdefault(link, {})[name] = device
        return by_link

    def _ensure_open(self, name: str, fleet: str, members: Mapping[DeviceId, Device]) -> None:
        """Have a link open for exactly these devices. A broker's link takes changes; a serial link is opened again."""
        key: object = fleet if name == MQTT else {device: member.link for device, member in members.items()}
        current = self._open.get(name)
        if current is not None and current.key == key:
            if isinstance(current.session.link, MqttLink):
                current.session.link.serve(members)
            return
        if current is not None:
            self._close(name)
        link = self._mqtt_link(fleet, members) if name == MQTT else self._serial_link(name, members)
        if link is None:
            self._missing[MQTT] = "the configuration names no broker: add [mqtt] to gateway.toml"
            return
        # The link's limiter comes first: a transfer that waits for a slow line must not use up the gateway's limit.
        limiters = (TransferLimiter(self._limits_of(name)), self._limiter)
        session = LinkSession(
            link,
            self._verifier.open_signed,
            limiters=limiters,
            retry=DEFAULT_RETRY if name == MQTT else LINE_RETRY,
            answer_s_of=self.answer_s_of,
        )
        tasks = (
            asyncio.create_task(session.run(), name=f"session {name}"),  # runs its link as well
            asyncio.create_task(self._forward(name, session), name=f"events {name}"),
        )
        for task in tasks:
            task.add_done_callback(self._look_for_crash)
        bauds = [member.link.baud for member in members.values() if isinstance(member.link, SerialAddress)]
        self._open[name] = _OpenLink(key, session, asyncio.Event(), tasks, bauds[0] if bauds else None)

    def _mqtt_link(self, fleet: str, members: Mapping[DeviceId, Device]) -> MqttLink | None:
        if self._mqtt is None:
            return None
        settings = MqttSettings(
            host=self._mqtt.host,
            port=self._mqtt.port,
            fleet=fleet,
            gateway=self._name,
            ca=self._mqtt.ca,
            certificate=self._mqtt.certificate,
            key=self._mqtt.key,
        )
        link = MqttLink(settings, members)
        link.serve_requests(self._on_request, self._on_answer)
        return link

    def _serial_link(self, name: str, members: Mapping[DeviceId, Device]) -> SerialLink:
        """Open a line by its name in Git; the configuration may map that to a port of this machine."""
        line = self._serial.get(name, SerialConfig(name, name))
        addresses = {}
        baud = 0
        for device, member in members.items():
            if isinstance(member.link, SerialAddress):
                addresses[device] = member.link.address
                baud = member.link.baud
        return SerialLink(SerialPort(line.port, baud, rs485=line.rs485), addresses)

    def _limits_of(self, name: str) -> GatewayLimits:
        settings = self._mqtt if name == MQTT else self._serial.get(name, SerialConfig(name, name))
        if settings is None:
            return GatewayLimits()
        return GatewayLimits(settings.transfers, settings.bytes_per_second)

    def _close(self, name: str) -> None:
        for task in self._open.pop(name).tasks:
            task.cancel()

    def _look_for_crash(self, task: asyncio.Task[None]) -> None:
        error = None if task.cancelled() else task.exception()
        if error is not None:
            self._crashes.put_nowait(error)

    async def _forward(self, name: str, session: LinkSession) -> None:
        async for event in session.unsolicited():
            if isinstance(event, LinkState):
                self._note_state(self._open[name], event)
                log.log(logging.INFO if event.up else logging.WARNING, "%s: %s", name, event.why or "up")
            self._events.put_nowait(event)

    @staticmethod
    def _note_state(link: _OpenLink, event: LinkState) -> None:
        if event.up:
            link.trouble = None
            link.up.set()
        else:
            link.trouble = event.why
            link.up.clear()
