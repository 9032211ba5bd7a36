# SPDX-License-Identifier: Apache-2.0
"""What the gateways can do to which this one passes requests on, so that it can list their operations as well."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Sequence

from reconciler.bus.advertised import AdvertisedOperation, read_document
from reconciler.bus.built_in import INSPECT
from reconciler.bus.forwarded_requests import ForwardedRequest, ForwardedRequests
from reconciler.bus.messages import AskMessage
from reconciler.bus.node import OperationNode
from reconciler.devices.errors import Malformed
from reconciler.model import Near
from reconciler.operations.codes import OperationFailed
from reconciler.operations.descriptors import DataDescriptor
from reconciler.operations.limits import CALL_BYTES

WITHIN_S = 10.0  # to answer
AGAIN_S = 60.0
RETRY_S = 5.0  # while one has not answered yet


class OtherGateways:
    """Asks them from time to time. What one has answered stays known while it can't be reached."""

    def __init__(self, node: OperationNode, requests: ForwardedRequests) -> None:
        self._node, self._requests = node, requests
        self._known: dict[str, list[AdvertisedOperation]] = {}

    async def run(self) -> None:
        """Ask until cancelled."""
        while True:
            servers = self._node.server.forward
            await asyncio.gather(*(self._ask(server) for server in servers))
            self._known = {server: self._known[server] for server in servers if server in self._known}
            self._node.elsewhere = tuple(each for server in self._known for each in self._known[server])
            await asyncio.sleep(self._pause_s(servers))

    def _pause_s(self, servers: Sequence[str]) -> float:
        """Return when to ask again: what they can do changes seldom, but their loads do not."""
        if not servers or len(self._known) < len(servers) or not self._requests.silent.isdisjoint(servers):
            return RETRY_S
        by_load = any(each.near is Near.LEAST_LOADED for each in self._node.elsewhere)
        return RETRY_S if by_load else AGAIN_S

    async def _ask(self, server: str) -> None:
        call, expires_s = secrets.token_bytes(CALL_BYTES), asyncio.get_running_loop().time() + WITHIN_S
        ask = AskMessage(call, INSPECT, DataDescriptor(), round(WITHIN_S * 1000), None, (self._node.name,))
        try:
            done = await self._requests.perform(ForwardedRequest(server, ask, b"", expires_s), lambda _: None)
            if isinstance(done.data, bytes):
                document = read_document(done.data)
                self._known[server] = [each for each in document.operations if each.node == server]
                self._requests.loads.stated(server, document.load)
        except (OperationFailed, Malformed):
            return  # it is asked again
