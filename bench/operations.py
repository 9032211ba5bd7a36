# SPDX-License-Identifier: Apache-2.0
"""How fast a gateway answers requests over a real broker with TLS, and what it refuses: `make bench-operations`."""

from __future__ import annotations

import statistics
import struct
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from reconciler.client import ClientSettings, OperationClient
from reconciler.devices.mqtt_link import MqttSettings
from reconciler.model import ValueDescriptor, ValueElement
from reconciler.operations.codes import AnswerCode, OperationFailed
from reconciler.operations.descriptors import DataDescriptor
from tests.bus.node_site import LOOPS, RMS, NodeSite
from tests.system.broker_site import FLEET, BrokerSite

WINDOW = struct.pack("<768h", *range(768))
MESSAGES = 1000
AT_ONCE = 16
WRONG = [
    ValueDescriptor(name="w", dtype=dtype, shape=shape, unit=unit)
    for dtype in (ValueElement.INT16, ValueElement.INT32)
    for shape in ((256, 3), (256, 6), (768,))
    for unit in ("mg", "V", None)
    if (dtype, shape, unit) != (ValueElement.INT16, (256, 3), "mg")
]
LOOP_LIMIT_MS = 500.0
LOOPS_RUN = 5


def measure(client: OperationClient, node: NodeSite) -> dict[str, str]:
    """Call operations one after the other, many at once, and wrongly."""
    client.operations()
    done, times = [], []
    for _ in range(MESSAGES):
        began_s = time.perf_counter()
        done.append(client.perform("features.rms", WINDOW))
        times.append((time.perf_counter() - began_s) * 1000)
    acknowledged = sorted((each.taken_s or 0.0) * 1000 for each in done)
    with ThreadPoolExecutor(AT_ONCE) as threads:
        began_s = time.perf_counter()
        list(threads.map(lambda _: client.perform("features.rms", WINDOW), range(MESSAGES)))
        rate = MESSAGES / (time.perf_counter() - began_s)
    server = node.server
    if server is None:
        raise RuntimeError("the node does not run")
    before, refused = server.statistics.dispatched, 0
    for value in WRONG:
        try:
            client.perform("features.rms", WINDOW, what=DataDescriptor((value,)))
        except OperationFailed as failure:
            refused += failure.code is AnswerCode.DESCRIPTOR_MISMATCH
    wrong = server.statistics.dispatched - before
    over = []
    for _ in range(LOOPS_RUN):
        began_s = time.perf_counter()
        try:
            client.perform("features.loops", WINDOW)
        except OperationFailed as failure:
            if failure.code is AnswerCode.FUNCTION_FAILED:
                over.append((time.perf_counter() - began_s) * 1000 - LOOP_LIMIT_MS)
    return {
        "edge_ack_ms_p50": f"{statistics.median(acknowledged):.2f}",
        "edge_ack_ms_p99": f"{acknowledged[int(len(acknowledged) * 0.99)]:.2f}",
        "edge_done_ms_p50": f"{statistics.median(times):.2f}",
        "operations_per_s": f"{rate:.0f}",
        "refused_before_dispatch": f"{refused}/{len(WRONG)}",
        "dispatched_wrong": str(wrong),
        "runaway_over_limit_ms": f"{max(over):.1f}" if len(over) == LOOPS_RUN else "none",
    }


def files(site: BrokerSite, party: str) -> tuple[Path, Path, Path]:
    """Return what a party needs for TLS."""
    folder = site.certificates
    return folder / "ca.crt", folder / f"{party}.crt", folder / f"{party}.key"


def main() -> None:
    """Set up a broker, a node and a client; print the figures."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "broker").mkdir()
        site = BrokerSite(folder / "broker", "p256")
        for role, party in (("gateway", "north"), ("client", "tool")):
            site.issue(role, party)
        site.start()
        try:
            settings = MqttSettings("localhost", FLEET, "north", site.port, *files(site, "north"))
            with (
                NodeSite(settings, folder, (RMS, LOOPS)) as node,
                OperationClient(ClientSettings("localhost", FLEET, "tool", site.port, *files(site, "tool"))) as client,
            ):
                figures = measure(client, node)
        finally:
            site.stop()
    for figure, value in figures.items():
        print(f"{figure}={value}")


if __name__ == "__main__":
    main()
