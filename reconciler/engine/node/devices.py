# SPDX-License-Identifier: Apache-2.0
"""The devices of this gateway as nodes: their built-ins as operations, and their requests.

Which devices there are follows Git. A device on a serial line is asked for its request in turn with the others of
that line; one behind a broker sends it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from reconciler.bus.node import OfferedOperation
from reconciler.compiler.pack.operators import CALLS
from reconciler.devices.link_session import LinkSession
from reconciler.devices.operation_messages import DeviceRequest
from reconciler.devices.reports import CapabilitiesBody
from reconciler.engine.clock import Clock
from reconciler.engine.device_sessions import DeviceIdentity, SessionKeeper, SessionPorts
from reconciler.engine.links import Links
from reconciler.engine.node.called_device import CalledDevice, CallPorts, CallTally
from reconciler.engine.node.device_requests import DeviceRequests, RequestingDevice, RequestPorts
from reconciler.engine.observed.inventory import Inventory
from reconciler.engine.task_cancellation import cancel_and_wait
from reconciler.model import Desired, DeviceId, DeviceType, device_operation
from signing.cose import SigningKey
from signing.identifiers import device_id, vendor_id

REST_S = 1.0  # at least, between two rounds of questions on a line
REST_SHARE = 9  # times as long as the round took


@dataclass(frozen=True, slots=True)
class DevicePorts:
    """What the devices as nodes work with."""

    inventory: Inventory
    links: Links
    signer: SigningKey
    clock: Clock


@dataclass(frozen=True, slots=True)
class NodeDevice:
    """A device that has built-ins or may ask for operations."""

    identity: DeviceIdentity
    type: DeviceType


def node_devices(desired: Desired) -> tuple[NodeDevice, ...]:
    """Return the devices that are nodes; one that was never provisioned has no key for a session."""
    vendor = vendor_id(desired.fleet.name)
    return tuple(
        NodeDevice(DeviceIdentity(name, device_id(vendor, name), bytes.fromhex(device.public_key)), of)
        for name, device in desired.devices.items()
        if ((of := desired.types[device.type]).builtins or of.requests) and device.public_key is not None
    )


class DeviceNodes:
    """All devices of this gateway that are nodes. For the event loop's thread only."""

    def __init__(self, ports: DevicePorts, ask: Callable[[str, bytes], None]) -> None:
        self._ports = ports
        self.calls = CallTally()
        steady_s = ports.clock.steady_s
        reach = RequestPorts(ports.links.session_of, self._boots_of, self._reachable, ask, steady_s)
        self.requests = DeviceRequests(reach)
        self._call_ports = CallPorts(ports.links.session_of, self._reachable, self._boots_of, steady_s, self.calls)
        self._sessions = SessionPorts(ports.links.session_of, ports.inventory.report_of, ports.signer, ports.clock)
        self._known: dict[DeviceId, tuple[NodeDevice, CalledDevice]] = {}
        self._lines: dict[LinkSession, asyncio.Task[None]] = {}

    def offered(self, devices: tuple[NodeDevice, ...], node: str) -> Mapping[str, OfferedOperation]:
        """Take in the devices that Git wants, and return their built-ins as operations. Sessions outlive a commit."""
        self._known = {each.identity.device: self._kept(each) for each in devices}
        before = self.requests.devices
        self.requests.devices = {
            device: RequestingDevice(
                device,
                each.identity.device_id,
                called.keeper,
                {allowed.number: allowed for allowed in each.type.requests},
                before[device].asking if device in before else None,
            )
            for device, (each, called) in self._known.items()
            if each.type.requests
        }
        for device in self.requests.devices.keys() - before.keys():
            if self._ports.inventory.report_of(device) is not None:
                self.requests.reported(device)
        return {
            device_operation(builtin, device): called.offered(builtin, node)
            for device, (each, called) in self._known.items()
            for builtin in each.type.builtins
        }

    def without_part(self) -> tuple[DeviceId, ...]:
        """Return the devices whose firmware says that it has no operations, although their type does."""
        capabilities = ((device, self._ports.inventory.capabilities_of(device)) for device in sorted(self._known))
        return tuple(device for device, each in capabilities if each is not None and not _has_part(each))

    def reported(self, device: DeviceId) -> None:
        """Take in that a device has reported."""
        self.requests.reported(device)

    def heard(self, device: DeviceId, request: DeviceRequest) -> None:
        """Take in a request that came unasked."""
        self.requests.heard(device, request)

    async def run(self) -> None:
        """Keep asking the devices on serial lines, until cancelled."""
        try:
            while True:
                self._follow_lines()
                await asyncio.sleep(REST_S)  # lines come and go with commits and connections
        finally:
            await cancel_and_wait(list(self._lines.values()))
            self._lines.clear()

    async def stop(self) -> None:
        """Serve no more requests."""
        self.requests.devices = {}
        await self.requests.stop()

    def _kept(self, device: NodeDevice) -> tuple[NodeDevice, CalledDevice]:
        name = device.identity.device
        known = self._known.get(name)
        if known is not None and known[0].identity == device.identity:
            return device, known[1]
        return device, CalledDevice(name, SessionKeeper(device.identity, self._sessions), self._call_ports)

    def _follow_lines(self) -> None:
        """Have one task for each serial line with devices that may ask."""
        sessions = {self._ports.links.session_of(device) for device in self.requests.devices}
        wanted = {each for each in sessions if each is not None and not each.link.answers_may_repeat}
        for gone in self._lines.keys() - wanted:
            self._lines.pop(gone).cancel()
        for line in wanted - self._lines.keys():
            self._lines[line] = asyncio.create_task(self._ask_in_turn(line), name="requests of a line")

    async def _ask_in_turn(self, line: LinkSession) -> None:
        steady_s = self._ports.clock.steady_s
        while True:
            began_s = steady_s()
            for device in list(self.requests.devices):
                if self._ports.links.session_of(device) is line and self._reachable(device):
                    await self.requests.poll(device, line)
            await asyncio.sleep(max(REST_S, REST_SHARE * (steady_s() - began_s)))

    def _boots_of(self, device: DeviceId) -> int | None:
        report = self._ports.inventory.report_of(device)
        return report.boots if report is not None else None

    def _reachable(self, device: DeviceId) -> bool:
        """Return whether a device has reported lately, and its firmware has the part."""
        inventory = self._ports.inventory
        record, capabilities = inventory.records.get(device), inventory.capabilities_of(device)
        if record is None or capabilities is None or self._ports.links.session_of(device) is None:
            return False
        if not _has_part(capabilities):
            return False
        return (self._ports.clock.now() - record.seen_at).total_seconds() < inventory.silent_after_s


def _has_part(capabilities: CapabilitiesBody) -> bool:
    return bool(int.from_bytes(capabilities.operators, "little") >> CALLS & 1)
