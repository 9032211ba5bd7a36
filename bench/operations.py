# SPDX-License-Identifier: Apache-2.0
"""How gateways answer requests over real brokers with TLS, near and far, at rest and while things fail.

`make bench-operations` prints the figures, first those of the experiment of Loconte et al. (2025): twelve clients, half
of their operations at the edge and half in a cloud 40 ms away, one message a second.
"""

from __future__ import annotations

import re
import statistics
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from reconciler.client import ClientSettings, OperationClient, OperationResult
from reconciler.devices.mqtt_link import MqttSettings
from reconciler.model import ValueDescriptor, ValueElement
from reconciler.operations.codes import AnswerCode, OperationFailed
from reconciler.operations.descriptors import DataDescriptor
from reconciler.operations.placement import placement_of
from tests.bus.edge_and_cloud import EdgeAndCloud, disturbed, edge_and_cloud
from tests.bus.node_process import CLOUD, EDGE, desired
from tests.bus.node_site import LOOPS, RMS, NodeSite
from tests.system.broker_site import FLEET, BrokerSite

WINDOW = struct.pack("<768h", *range(768))
TAKES = ValueDescriptor(name="window", dtype=ValueElement.INT16, shape=(256, 3), unit="mg")
WHAT = DataDescriptor((TAKES,))
HERE, THERE, BOTH, MOVES = "features.here", "features.there", "features.both", "features.moves"
WAY_S = 0.04  # to the cloud, and as long back
CLIENTS, EACH, EVERY_S = 12, 5, 1.0  # of the experiment
EDGE_MESSAGES, CLOUD_MESSAGES = 700, 300
AT_ONCE, LOAD_MESSAGES = 16, 2000
PLACED = 200
DISTURBED, CUT_S = 2000, 12.0
LOOP_LIMIT_MS, LOOPS_RUN = 500.0, 5
WRONG = [
    ValueDescriptor(name="w", dtype=dtype, shape=shape, unit=unit)
    for dtype in (ValueElement.INT16, ValueElement.INT32)
    for shape in ((256, 3), (256, 6), (768,))
    for unit in ("mg", "V", None)
    if (dtype, shape, unit) != (ValueElement.INT16, (256, 3), "mg")
]

Timed = tuple[float, OperationResult]  # the turn-around in ms


def call(client: OperationClient, operation: str) -> Timed:
    """Call once, and take the time."""
    began_s = time.perf_counter()
    done = client.perform(operation, WINDOW, what=WHAT, timeout_s=60)
    return (time.perf_counter() - began_s) * 1000, done


def acknowledged(timed: Sequence[Timed]) -> list[float]:
    """Return the times until the first acknowledgement, in ms."""
    return sorted((done.taken_s or 0.0) * 1000 for _, done in timed)


def turnaround(timed: Sequence[Timed]) -> float:
    """Return the median of the times until the result, in ms."""
    return statistics.median(took for took, _ in timed)


def as_in_the_paper(sites: EdgeAndCloud) -> Iterator[tuple[str, str]]:
    """Let each client send one message a second, and compare the first ones with the others."""
    connected = threading.Barrier(CLIENTS)

    def one(number: int) -> list[Timed]:
        with sites.client(f"tool-{number}") as client:
            timed = []
            connected.wait()
            for _ in range(EACH):
                timed.append(call(client, THERE if number % 2 else HERE))
                threading.Event().wait(EVERY_S)  # as the experiment does
            return timed

    with ThreadPoolExecutor(CLIENTS) as threads:
        series = list(threads.map(one, range(CLIENTS)))
    ratios = []
    for place, name in enumerate(("edge", "cloud")):
        group = series[place::2]
        first, rest = [each[0] for each in group], [timed for each in group for timed in each[1:]]
        yield f"paper_{name}_ack_ms_p50", f"{statistics.median(acknowledged(first + rest)):.2f}"
        yield f"paper_{name}_done_ms_p50", f"{turnaround(first + rest):.2f}"
        ratios.append(turnaround(first) / turnaround(rest))
    yield "first_over_median", f"{max(ratios):.2f}"


def near_and_far(sites: EdgeAndCloud) -> Iterator[tuple[str, str]]:
    """Send a thousand messages, one after the other."""
    with sites.client("tool-0") as client:
        near = [call(client, HERE) for _ in range(EDGE_MESSAGES)]
        far = [call(client, THERE) for _ in range(CLOUD_MESSAGES)]
        pairs = [(call(client, HERE), call(client, BOTH)) for _ in range(PLACED)]  # in turn, as the machine may be busy
    acks = acknowledged(near)
    yield "edge_ack_ms_p50", f"{statistics.median(acks):.2f}"
    yield "edge_ack_ms_p99", f"{acks[int(len(acks) * 0.99)]:.2f}"
    yield "edge_done_ms_p50", f"{turnaround(near):.2f}"
    yield "cloud_ack_ms_p50", f"{statistics.median(acknowledged(far)):.2f}"
    yield "cloud_done_ms_p50", f"{turnaround(far):.2f}"
    yield "forward_extra_ms", f"{turnaround(far) - turnaround(near) - 2000 * WAY_S:.2f}"
    best = min(turnaround([one for one, _ in pairs]), turnaround(far))
    yield "placed_over_best", f"{turnaround([placed for _, placed in pairs]) / best:.2f}"


def rate(sites: EdgeAndCloud) -> float:
    """Return how many operations a gateway performs in a second, for a client in a process of its own."""
    site = sites.edge_broker
    command = [sys.executable, "-m", "bench.operations", str(site.port), str(site.certificates)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def load(port: int, certificates: Path) -> float:
    """Call from many threads, and return the calls in a second."""
    files = (certificates / file for file in ("ca.crt", "tool-1.crt", "tool-1.key"))
    settings = ClientSettings("localhost", FLEET, "tool-1", port, *files)
    with OperationClient(settings) as client, ThreadPoolExecutor(AT_ONCE) as threads:
        list(threads.map(lambda _: call(client, HERE), range(AT_ONCE)))
        began_s = time.perf_counter()
        list(threads.map(lambda _: call(client, HERE), range(LOAD_MESSAGES)))
        return LOAD_MESSAGES / (time.perf_counter() - began_s)


def migration_ms(sites: EdgeAndCloud) -> float:
    """Have a commit arrive that drains the gateway of a function; return the time until another one answers."""
    fleet = desired(())
    (holder,) = next(nodes for name, nodes in placement_of(fleet.functions, fleet.gateways).items() if name == "moves")
    other = EDGE if holder == CLOUD else CLOUD
    with sites.client("tool-0") as client:
        if call(client, MOVES)[1].node != holder:
            raise RuntimeError("the function is not where Git has it")
        began_s = time.perf_counter()
        for each in (sites.edge, sites.cloud):
            each.drain(holder)
        while True:
            try:
                if call(client, MOVES)[1].node == other:
                    return (time.perf_counter() - began_s) * 1000
            except OperationFailed as failure:
                if failure.code is not AnswerCode.NO_SUCH_OPERATION:
                    raise


def what_is_refused(client: OperationClient, node: NodeSite) -> Iterator[tuple[str, str]]:
    """Call with data that the function does not take, and a function that does not end."""
    server = node.server
    if server is None:
        raise RuntimeError("the node does not run")
    before, refused = server.statistics.dispatched, 0
    for value in WRONG:
        try:
            client.perform("features.rms", WINDOW, what=DataDescriptor((value,)))
        except OperationFailed as failure:
            refused += failure.code is AnswerCode.DESCRIPTOR_MISMATCH
    yield "refused_before_dispatch", f"{refused}/{len(WRONG)}"
    yield "dispatched_wrong", str(server.statistics.dispatched - before)
    over = []
    for _ in range(LOOPS_RUN):
        began_s = time.perf_counter()
        try:
            client.perform("features.loops", WINDOW)
        except OperationFailed as failure:
            if failure.code is AnswerCode.FUNCTION_FAILED:
                over.append((time.perf_counter() - began_s) * 1000 - LOOP_LIMIT_MS)
    yield "runaway_over_limit_ms", f"{max(over):.1f}" if len(over) == LOOPS_RUN else "none"


@contextmanager
def one_node(folder: Path) -> Iterator[tuple[OperationClient, NodeSite]]:
    """Start a node in this process, whose counters can be read."""
    site = BrokerSite(folder, "p256")
    for role, party in (("gateway", "north"), ("client", "tool")):
        site.issue(role, party)
    site.start()
    try:
        settings = MqttSettings("localhost", FLEET, "north", site.port, *files(site, "north"))
        with (
            NodeSite(settings, folder, (RMS, LOOPS)) as node,
            OperationClient(ClientSettings("localhost", FLEET, "tool", site.port, *files(site, "tool"))) as client,
        ):
            yield client, node
    finally:
        site.stop()


def files(site: BrokerSite, party: str) -> tuple[Path, Path, Path]:
    """Return what a party needs for TLS."""
    folder = site.certificates
    return folder / "ca.crt", folder / f"{party}.crt", folder / f"{party}.key"


def exposure() -> str:
    """Return what systemd thinks of the daemon's unit, under which functions run."""
    command = ["systemd-analyze", "security", "--offline=yes", "systemd/tinyfleet.service"]
    shown = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    found = re.search(r"Overall exposure level for \S+: ([0-9.]+)", shown)
    return found[1] if found else "unknown"


def figures() -> Iterator[tuple[str, str]]:
    """Measure everything."""
    with (
        tempfile.TemporaryDirectory() as folder,
        edge_and_cloud(Path(folder), clients=CLIENTS, delay_s=WAY_S) as sites,
    ):
        yield from as_in_the_paper(sites)
        yield from near_and_far(sites)
        yield "operations_per_s", f"{rate(sites):.0f}"
        yield "migrate_ms", f"{migration_ms(sites):.0f}"
    with tempfile.TemporaryDirectory() as folder, one_node(Path(folder)) as (client, node):
        client.operations()
        yield from what_is_refused(client, node)
    with tempfile.TemporaryDirectory() as folder, edge_and_cloud(Path(folder), clients=1) as sites:
        found = disturbed(sites, DISTURBED, cut_s=CUT_S)
    for name in ("lost", "wrong", "doubled", "refused"):
        yield name, str(getattr(found, name))
    yield "exposure", exposure()


def main() -> None:
    """Print the figures, or be the client that makes load."""
    if len(sys.argv) > 1:
        print(load(int(sys.argv[1]), Path(sys.argv[2])))
        return
    for name, value in figures():
        print(f"{name}={value}", flush=True)


if __name__ == "__main__":
    main()
