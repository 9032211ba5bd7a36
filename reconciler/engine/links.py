# SPDX-License-Identifier: Apache-2.0
"""The gateway's links: one broker, some serial lines, and which of them leads to which device."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass

from reconciler.config import GatewayConfig, SerialConfig
from reconciler.devices.link import Event, LinkState, LinkStatistics
from reconciler.devices.mqtt_link import MqttLink, MqttSettings
from reconciler.devices.rate_limiter import Limiter
from reconciler.devices.serial_link import SerialLink
from reconciler.devices.serial_port import SerialPort
from reconciler.devices.session import LinkSession
from reconciler.engine.observed.report_verifier import ReportVerifier
from reconciler.engine.tasks import cancel_and_wait
from reconciler.model import Device, DeviceId, GatewayLimits, SerialAddress

log = logging.getLogger(__name__)


MQTT = "mqtt"
UP_S = 5.0  # in which a link comes up, if it does


@dataclass(slots=True)
class _OpenLink:
    """A link that is being run, and what it was opened for."""

    key: object
    fleet: LinkSession
    up: asyncio.Event
    tasks: tuple[asyncio.Task[None], ...]
    baud: int | None  # None: no line
    trouble: str | None = None


class Links:
    """Opens what Git and the configuration name together, and closes what they no longer name."""

    def __init__(self, config: GatewayConfig, seals: ReportVerifier) -> None:
        self._name = config.name
        self._mqtt = config.mqtt
        self._serial: Mapping[str, SerialConfig] = {line.name: line for line in config.serial}
        self._seals = seals
        self._limiter = Limiter(GatewayLimits())  # of the whole gateway
        self._open: dict[str, _OpenLink] = {}
        self._of: dict[DeviceId, str] = {}
        self._served: object = None
        self._missing: dict[str, str] = {}
        self._events: asyncio.Queue[Event] = asyncio.Queue()
        self._crashes: asyncio.Queue[BaseException] = asyncio.Queue()

    def serve(self, fleet: str, devices: Mapping[DeviceId, Device], limits: GatewayLimits) -> None:
        """Serve just these devices. Costs nothing when they are the same mapping as before."""
        if self._served is devices:
            return
        self._served = devices
        self._limiter.change(limits)
        by_link = self._sorted(devices)
        self._missing.clear()
        for link in self._open.keys() - by_link.keys():
            self._close(link)
        for link, members in by_link.items():
            self._ensure(link, fleet, members)
        self._of = {device: link for link, members in by_link.items() for device in members}

    def fleet_of(self, device: DeviceId) -> LinkSession | None:
        """Return what leads to a device; None: nothing does."""
        link = self._open.get(self._of.get(device, ""))
        return link.fleet if link is not None else None

    async def ready(self, device: DeviceId) -> LinkSession | None:
        """Wait a little for the link that leads to a device: a question to a link that is down is only lost."""
        link = self._open.get(self._of.get(device, ""))
        if link is None:
            return None
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(link.up.wait(), UP_S)
        return link.fleet if link.up.is_set() else None

    def troubles(self) -> dict[str, str | None]:
        """Return for each link what is wrong with it."""
        return {**self._missing, **{name: link.trouble for name, link in self._open.items()}}

    def strangers(self) -> frozenset[str]:
        """Return who speaks on a link and is not in Git."""
        return frozenset().union(*(link.fleet.link.statistics.unknown for link in self._open.values()))

    def statistics(self) -> dict[str, LinkStatistics]:
        """Return for each link what passed over it."""
        return {name: link.fleet.link.statistics for name, link in self._open.items()}

    def bauds(self) -> dict[str, int | None]:
        """Return for each link how fast its line is; None: it is no line."""
        return {name: link.baud for name, link in self._open.items()}

    async def run(self) -> None:
        """Raise the bug that ended a link's task, should there be one; a link that is down is no bug."""
        raise await self._crashes.get()

    async def events(self) -> AsyncIterator[Event]:
        """Yield what devices say by themselves, from all links."""
        while True:
            yield await self._events.get()

    async def close(self) -> None:
        """Close everything."""
        tasks = [task for link in self._open.values() for task in link.tasks]
        for name in list(self._open):
            self._close(name)
        await cancel_and_wait(tasks)

    # ------------------------------------------------------------ opening and closing

    @staticmethod
    def _sorted(devices: Mapping[DeviceId, Device]) -> dict[str, dict[DeviceId, Device]]:
        by_link: dict[str, dict[DeviceId, Device]] = {}
        for name, device in devices.items():
            link = device.link.port if isinstance(device.link, SerialAddress) else MQTT
            by_link.setdefault(link, {})[name] = device
        return by_link

    def _ensure(self, name: str, fleet: str, members: Mapping[DeviceId, Device]) -> None:
        """Have a link open for just these devices; a broker's is told of changes, a line's is opened anew."""
        key: object = fleet if name == MQTT else {device: member.link for device, member in members.items()}
        there = self._open.get(name)
        if there is not None and there.key == key:
            if isinstance(there.fleet.link, MqttLink):
                there.fleet.link.serve(members)
            return
        if there is not None:
            self._close(name)
        link = self._mqtt_link(fleet, members) if name == MQTT else self._serial_link(name, members)
        if link is None:
            self._missing[MQTT] = "the configuration names no broker: add [mqtt] to gateway.toml"
            return
        # A place on the link comes first: who waits for a slow line must not keep a place of the gateway's meanwhile.
        runner = LinkSession(link, self._seals.open_signed, limiters=(Limiter(self._limits_of(name)), self._limiter))
        tasks = (
            asyncio.create_task(runner.run(), name=f"fleet {name}"),  # runs its link as well
            asyncio.create_task(self._forward(name, runner), name=f"hear {name}"),
        )
        for task in tasks:
            task.add_done_callback(self._look_for_crash)
        bauds = [member.link.baud for member in members.values() if isinstance(member.link, SerialAddress)]
        self._open[name] = _OpenLink(key, runner, asyncio.Event(), tasks, bauds[0] if bauds else None)

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
        return MqttLink(settings, members)

    def _look_for_crash(self, task: asyncio.Task[None]) -> None:
        error = None if task.cancelled() else task.exception()
        if error is not None:
            self._crashes.put_nowait(error)

    def _serial_link(self, name: str, members: Mapping[DeviceId, Device]) -> SerialLink:
        """Open a line under the name that Git has for it; the configuration may say what that is on this machine."""
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

    @staticmethod
    def _note(link: _OpenLink, event: LinkState) -> None:
        if event.up:
            link.trouble = None
            link.up.set()
        else:
            link.trouble = event.why
            link.up.clear()

    async def _forward(self, name: str, fleet: LinkSession) -> None:
        async for event in fleet.unsolicited():
            if isinstance(event, LinkState):
                self._note(self._open[name], event)
                log.log(logging.INFO if event.up else logging.WARNING, "%s: %s", name, event.why or "up")
            self._events.put_nowait(event)
