# SPDX-License-Identifier: Apache-2.0
"""An edge and a cloud: two brokers, an uplink over a line that can be cut, two nodes in processes, and clients.

`disturbed` calls operations of the cloud through the edge while the line is cut, a broker restarts, and the cloud is
killed.
"""

from __future__ import annotations

import sqlite3
import struct
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from reconciler.client import ClientSettings, OperationClient
from reconciler.model import ValueDescriptor, ValueElement
from reconciler.operations.codes import AnswerCode, OperationFailed
from reconciler.operations.descriptors import DataDescriptor
from tests.bus.line_proxy import LineProxy
from tests.bus.node_process import CLOUD, EDGE, NodeProcess
from tests.system.broker_site import FLEET, BrokerSite

PUT, KEEPS = "data.put.vibration", "features.keeps"  # the second one is not idempotent
CALL_S = 300.0


def window(number: int) -> tuple[bytes, DataDescriptor]:
    """Return a window that no other number gives."""
    value = ValueDescriptor(name="window", dtype=ValueElement.INT16, shape=(2, 3), unit="mg")
    return struct.pack("<i8x", number), DataDescriptor((value,))


@dataclass
class EdgeAndCloud:
    """Both sites, running."""

    edge_broker: BrokerSite
    cloud_broker: BrokerSite
    line: LineProxy
    edge: NodeProcess
    cloud: NodeProcess
    folder: Path

    @contextmanager
    def client(self, name: str, *, at_cloud: bool = False) -> Iterator[OperationClient]:
        """Connect a client that has a certificate."""
        site = self.cloud_broker if at_cloud else self.edge_broker
        files = (self.edge_broker.certificates / file for file in ("ca.crt", f"{name}.crt", f"{name}.key"))
        with OperationClient(ClientSettings("localhost", FLEET, name, site.port, *files)) as client:
            yield client

    def stored(self) -> Counter[bytes]:
        """Return how often each item is in the cloud's database."""
        with closing(sqlite3.connect(self.folder / "cloud" / "storage.db")) as db:
            return Counter(bytes(data) for (data,) in db.execute("SELECT data FROM item"))


@contextmanager
def edge_and_cloud(folder: Path, *, clients: int, delay_s: float = 0.0) -> Iterator[EdgeAndCloud]:
    """Start everything; the edge knows what the cloud can do."""
    for name in ("edge-broker", "cloud-broker"):
        (folder / name).mkdir()
    cloud_broker = BrokerSite(folder / "cloud-broker", "p256")
    edge_broker = BrokerSite(folder / "edge-broker", "p256", authority=cloud_broker.authority)
    cloud_broker.issue("gateway", CLOUD)
    cloud_broker.issue("uplink", EDGE, folder="uplinks")
    edge_broker.issue("gateway", EDGE)
    for number in range(clients):
        edge_broker.issue("client", f"tool-{number}")
    with ExitStack() as stack:
        cloud_broker.start()
        stack.callback(cloud_broker.stop)
        line = stack.enter_context(LineProxy(cloud_broker.port, delay_s))
        edge_broker.start()
        stack.callback(edge_broker.stop)
        cloud = stack.enter_context(NodeProcess(CLOUD, cloud_broker, folder / CLOUD))
        uplink = (CLOUD, line.port, cloud_broker.certificates / "uplinks")
        edge = stack.enter_context(NodeProcess(EDGE, edge_broker, folder / EDGE, uplink))
        made = EdgeAndCloud(edge_broker, cloud_broker, line, edge, cloud, folder)
        with made.client("tool-0") as client:
            known = threading.Event()
            while not any(each.node == CLOUD for each in client.operations(timeout_s=CALL_S)):
                known.wait(0.1)  # nothing signals that the edge has asked the cloud
        yield made


@dataclass(frozen=True, slots=True)
class Losses:
    """What became of the calls."""

    calls: int
    answered: int  # with what they were to do
    refused: int  # calls that are not idempotent and had begun when the cloud was killed
    lost: int
    wrong: int
    doubled: int


def disturbed(sites: EdgeAndCloud, calls: int, *, cut_s: float, workers: int = 16) -> Losses:
    """Call, and disturb the calls at three points of the way."""
    done = threading.Semaphore(0)
    outcomes: dict[int, bytes | AnswerCode] = {}

    def one(client: OperationClient, number: int) -> None:
        data, what = window(number)
        operation = KEEPS if number % 2 else PUT
        try:
            outcomes[number] = client.call(operation, data, what=what, timeout_s=CALL_S)
        except OperationFailed as failure:
            outcomes[number] = failure.code
        done.release()

    def passed(count: int) -> None:
        for _ in range(count):
            assert done.acquire(timeout=CALL_S)

    with sites.client("tool-0") as client, ThreadPoolExecutor(workers) as threads:
        for number in range(calls):
            threads.submit(one, client, number)
        passed(calls // 5)
        sites.line.cut()
        threading.Event().wait(cut_s)  # how long the line is cut
        sites.line.restore()
        passed(calls // 5)
        sites.edge_broker.restart()
        passed(calls // 5)
        sites.cloud.kill()
        sites.cloud.start()
    return _counted(outcomes, sites.stored(), calls)


def _counted(outcomes: dict[int, bytes | AnswerCode], stored: Counter[bytes], calls: int) -> Losses:
    answered = {number for number, outcome in outcomes.items() if isinstance(outcome, bytes)}
    refused = {number for number, outcome in outcomes.items() if outcome is AnswerCode.ANSWER_DROPPED and number % 2}
    echoed = {number for number in answered if number % 2}
    numbers = [outcomes[number] for number in answered - echoed]
    wrong = sum(outcomes[number] != window(number)[0] for number in echoed) + len(numbers) - len(set(numbers))
    missing = sum(window(number)[0] not in stored for number in answered)
    doubled = sum(count - 1 for count in stored.values())
    return Losses(calls, len(answered), len(refused), calls - len(answered) - len(refused) + missing, wrong, doubled)
