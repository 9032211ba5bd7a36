# SPDX-License-Identifier: Apache-2.0
"""What the gateways can do to which this one passes requests on, so that it can list their operations as well."""

from __future__ import annotations

import asyncio
import secrets
import time

from reconciler.bus.advertised import AdvertisedOperation, read_document
from reconciler.bus.built_in import INSPECT
from reconciler.bus.forwarded_requests import ForwardedRequest, ForwardedRequests
from reconciler.bus.messages import AskMessage
from reconciler.bus.node import OperationNode
from reconciler.devices.errors import Malformed
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
            for server in servers:
                await self._ask(server)
            self._known = {server: self._known[server] for server in servers if server in self._known}
            self._node.elsewhere = tuple(each for server in self._known for each in self._known[server])
            await asyncio.sleep(AGAIN_S if len(self._known) == len(servers) > 0 else RETRY_S)  # they change seldom

    async def _ask(self, server: str) -> None:
        call, expires_s = secrets.token_bytes(CALL_BYTES), time.monotonic() + WITHIN_S
        ask = AskMessage(call, INSPECT, DataDescriptor(), round(WITHIN_S * 1000), None, (self._node.name,))
        try:
            done = await self._requests.perform(ForwardedRequest(server, call, ask, b"", expires_s), lambda _: None)
            if isinstance(done.data, bytes):
                self._known[server] = [each for each in read_document(done.data) if each.node == server]
        except (OperationFailed, Malformed):
            return  # it is asked again
