# SPDX-License-Identifier: Apache-2.0
"""What a pass does for the operations of this gateway, and the task that carries it out.

A pass only says what Git wants. `run` loads modules and opens files meanwhile, and requests are served once it has done
so for the first time. For the event loop's thread only.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import ClassVar

from reconciler.bus.fleet_changes import Propose
from reconciler.bus.forwarded_requests import ForwardedRequests
from reconciler.bus.node import OperationNode
from reconciler.bus.request_server import RequestServer
from reconciler.bus.uplink import UplinkSettings
from reconciler.engine.desired.desired_state import DesiredStateSource
from reconciler.engine.node.device_requests import PREFIX
from reconciler.engine.node.devices import DeviceNodes, DevicePorts, node_devices
from reconciler.engine.node.offer import InferPipeline, NodeOffer, OfferPorts, WantedNode
from reconciler.engine.node.other_gateways import OtherGateways
from reconciler.engine.node.uplinks import Uplinks
from reconciler.engine.served_pipelines import served_pipelines
from reconciler.errors import FleetError, ResourcesExhausted, Transient
from reconciler.model import Commit, Desired, DeviceId, GatewayId, GatewayNode
from reconciler.operations.placement import eligible, placement_of
from reconciler.report.function_status import FunctionReport
from reconciler.report.gateway_status import NodeState
from reconciler.tree import REGULAR

log = logging.getLogger(__name__)

RETRY_S = 2.0
EXPIRE_EVERY_S = 60.0
ENDING_S = 2.0  # how long calls in progress may take when the daemon stops
NO_ANSWER = "no answer to the last request"
DRAINED = NodeState(good=True, reason="Drained", message="No function runs: the gateway may be stopped.")
GOOD = NodeState(good=True, reason="NodeServing", message="Clients can call the operations of this gateway.")


class ModuleUnreadable(Transient):
    """The module of a function can't be read from Git now."""

    reason: ClassVar[str] = "ModuleUnreadable"


@dataclass(frozen=True, slots=True)
class NodePorts:
    """What a node works with."""

    name: GatewayId
    folder: Path  # for the local storage
    devices: DevicePorts
    source: DesiredStateSource  # on `git_thread` only
    git_thread: Executor
    propose: Propose  # what clients wish for
    uplinks: Mapping[str, UplinkSettings] = field(default_factory=dict)  # by gateway
    infer: InferPipeline | None = None  # None: pipelines are not offered


class NodeStation:
    """This gateway as a node."""

    def __init__(self, ports: NodePorts, wake: Callable[[], None]) -> None:
        self._ports, self._wake = ports, wake
        self._links = ports.devices.links
        self.node = OperationNode(ports.name)
        self._uplinks = Uplinks(ports.name, ports.uplinks, shared=self._links.ask, on_change=wake)
        self._others = ForwardedRequests(self._uplinks.ask, wake)
        self.server = RequestServer(self.node, self._answer, self._others)
        self.devices = DeviceNodes(ports.devices, self.server.received)
        offer = OfferPorts(ports.folder, self._read, ports.propose, ports.infer)
        self.offer = NodeOffer(self.node, self.devices, offer, wake)
        self._seen: Desired | None = None
        self._wanted: WantedNode | None = None
        self._applied: WantedNode | None = None
        self._changed = asyncio.Event()
        self._failure: FleetError | None = None
        self._without_part: tuple[DeviceId, ...] = ()

    def watch(self, desired: Desired) -> None:
        """Take in what Git wants: a snapshot (model/snapshot_cache.py)."""
        if desired is self._seen:
            return
        self._seen = desired
        node = desired.gateways[self._ports.name].node
        self._wanted = _wanted(desired, self._ports.name, node) if node is not None else None
        if _content(self._wanted) != _content(self._applied):
            self._changed.set()

    @property
    def pending(self) -> bool:
        """Return whether nothing is known yet: what an earlier run reported stays."""
        return self._applied is None and self._failure is None and (self._seen is None or self._wanted is not None)

    @property
    def state(self) -> NodeState | None:
        """Return how this gateway is doing as a node; None: it is none, or that is not known yet."""
        if self._applied is None and self._failure is None:
            return None
        trouble = self._trouble()
        if trouble is not None:
            reason, message = trouble
            return NodeState(good=False, reason=reason, message=message)
        if self._applied is not None and self._applied.node.drain:
            calls = self.offer.calls_in_progress
            return replace(DRAINED, reason="Draining", message=f"{calls} calls of functions run.") if calls else DRAINED
        return GOOD

    def _trouble(self) -> tuple[str, str] | None:
        """Return the reason and the message of what keeps clients from operations."""
        refused = self._links.requests_refused()
        if self._failure is not None:
            return self._failure.reason, str(self._failure)
        if self.offer.trouble is not None:
            return self.offer.trouble
        if refused is not None:
            return "RequestsRefused", f"the broker refuses the subscription to requests: {refused}"
        if self._without_part:
            first, *more = self._without_part
            which = f"{first} and {len(more)} more" if more else first
            why = "the type has `builtins` or `requests`, and the firmware has no operations"
            return "FirmwareWithoutOperations", f"{which}: {why}"
        return None

    @property
    def storage_refusals(self) -> Mapping[str, str] | None:
        """Return why items of buckets were refused, by bucket; None: this gateway stores nothing."""
        return self.offer.storage_refusals if self._applied is not None else None

    @property
    def uplinks(self) -> Mapping[str, str | None]:
        """Return what is wrong with the way to each gateway that this one asks; None: nothing."""
        silent = self._others.silent
        return {
            each: self._uplinks.trouble(each) or (NO_ANSWER if each in silent else None)
            for each in self.node.server.forward
        }

    @property
    def reports(self) -> tuple[FunctionReport, ...]:
        """Return what is to be reported about the functions that this gateway holds."""
        return self.offer.reports

    async def run(self) -> None:
        """Make what is offered equal to what Git wants, and learn what others offer, until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._follow_git(), name="operations")
            group.create_task(self.devices.run(), name="requests of devices")
            group.create_task(self._uplinks.run(), name="uplinks")
            group.create_task(OtherGateways(self.node, self._others).run(), name="other gateways")

    async def _follow_git(self) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._changed.wait(), EXPIRE_EVERY_S)
            if not self._changed.is_set():
                self._look_again()
                continue
            self._changed.clear()
            wanted = self._wanted
            try:
                await self._apply(wanted)
            except FleetError as failure:
                await self._failed(failure)
            except OSError as error:  # the process for functions can't be started
                await self._failed(ResourcesExhausted(str(error)))
            else:
                self._failure, self._applied = None, wanted
                self._without_part = self.devices.without_part()
                if _content(self._wanted) != _content(wanted):  # Git has changed meanwhile
                    self._changed.set()
            self._wake()

    async def _failed(self, failure: FleetError) -> None:
        log.warning("operations: %s: %s", failure.reason, failure)
        self._failure = failure
        self._wake()
        await asyncio.sleep(RETRY_S)  # what could not be read or started may be there by then
        self._changed.set()

    async def stop(self) -> None:
        """Take no more requests, let calls in progress end, and end the process for functions."""
        self._links.serve_requests(None)
        await self.server.stop(within_s=ENDING_S)
        await self.offer.close()

    async def _apply(self, wanted: WantedNode | None) -> None:
        if wanted is None:
            self._forward_to(())
            await self.stop()
            return
        await self.offer.apply(wanted)
        self.server.begun = self.offer.begun
        self._forward_to(wanted.node.forward)
        self._links.serve_requests(self.server.received, self._others.received)

    def _forward_to(self, gateways: tuple[GatewayId, ...]) -> None:
        self.node.forward_to(gateways)
        self._uplinks.follow(self._seen.fleet.name if self._seen is not None else "", gateways, self._others.received)

    def _answer(self, asker: str, payload: bytes) -> None:
        """Send a message to the client, gateway or device that asked."""
        if asker.startswith(PREFIX):
            self.devices.requests.answered(asker, payload)
        else:
            self._links.answer(asker, payload)

    def _look_again(self) -> None:
        """Do what time alone makes due."""
        before, self._without_part = self._without_part, self.devices.without_part()
        if before != self._without_part:
            self._wake()
        try:
            self.offer.expire(time.time())
        except FleetError as failure:  # the next one may do better, and `put` reports it as well
            log.warning("operations: %s: %s", failure.reason, failure)

    async def _read(self, commit: Commit, path: str) -> bytes:
        return await asyncio.get_running_loop().run_in_executor(self._ports.git_thread, self._file, commit, path)

    def _file(self, commit: Commit, path: str) -> bytes:
        """Read a file of a commit; loading has compared it with its SHA-256."""
        with self._ports.source.tree(commit) as tree:
            found = next((each for each in tree.entries() if each.path == path and each.mode in REGULAR), None)
            if found is None:
                raise ModuleUnreadable(f"commit {commit[:12]} has no file {path}")
            return tree.read(found)


def _content(wanted: WantedNode | None) -> object:
    """Return what has to change before anything is applied: not the commit alone."""
    return replace(wanted, commit=Commit("")) if wanted is not None else None


def _wanted(desired: Desired, name: GatewayId, node: GatewayNode) -> WantedNode:
    """Return what Git wants of a gateway."""
    functions, gateways = desired.functions, desired.gateways
    placed = placement_of(functions, gateways)
    held = tuple(functions[each] for each, nodes in placed.items() if name in nodes)
    nowhere = tuple(
        functions[each]
        for each, nodes in placed.items()
        if not nodes and not functions[each].suspend and name in eligible(functions[each], gateways)
    )
    holders = {each.name: placed[each.name] for each in held}
    return WantedNode(
        desired.commit, node, held, nowhere, holders, node_devices(desired), tuple(served_pipelines(desired))
    )
