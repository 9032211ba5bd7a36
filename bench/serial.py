# SPDX-License-Identifier: Apache-2.0
"""Updates on a half-duplex line at 2400 baud, with the daemon's link and the real C agent, in simulated time.

The clock starts with the question for the device's report, which precedes every order, and stops when the signed
report that confirms the model has arrived. It includes the reports, the offer with its envelope, every block,
turn-around and answer, and the trial. Each payload is the smallest encoding of its pack, as in production. The agent's
computation takes no simulated time: on a Cortex-M4 at 64 MHz, each of four signatures takes about 30 ms.
"""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import random
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

import numpy as np
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from bench.serial_peers import forest_json, serial_transfer_s, zmodem_overhead_percent
from reconciler.compiler.datasets import Dataset
from reconciler.compiler.forest.training import train_forest
from reconciler.compiler.pack.io_section import ElementType
from reconciler.compiler.payload.payload_encodings import smallest
from reconciler.compiler.threshold.threshold_pack import build_threshold_pack
from reconciler.devices.conversation import Answered, Confirmed, Outcome
from reconciler.devices.link_session import LinkSession
from reconciler.devices.messages import ReportKind
from reconciler.devices.reports import DeviceReport
from reconciler.devices.serial_bus_link import SerialLink
from reconciler.devices.simulated_line import SimulatedLine, run_simulated
from reconciler.devices.transfer import TransferCost, TransferJob
from reconciler.model import DeviceId, TrainSpec
from signing import delegation, envelope
from signing.keys import FileKey
from tests.devices.agent_station import AgentStation
from tests.firmware.bench import Bench, Made, make_pack
from tests.firmware.host import Geometry, HostAgent, HostLibrary

LIBRARY = Path(__file__).parents[1] / "firmware" / "build" / "host" / "libtinyfleet-host.so"
BAUD = 2400
TURNAROUND_S = 0.005
LARGE_BYTES = 54 * 1024
GOLDEN_VECTORS = 15
BIT_ERROR_RATE = 5e-5
SEEDS = range(1, 21)
REPORTS = 200  # "in service": less than a day of reports has passed, so the noise is known
ADDRESS = 1
NODE = DeviceId("node")
ROWS = np.round(np.random.default_rng(1).normal(0, 1000, (500, 3)))  # the training data of the forests


@dataclass(frozen=True)
class Run:
    """The cost of one update."""

    took_s: float
    effort: TransferCost
    sent_bytes: int
    received_bytes: int


def forest_pack(trees: int) -> bytes:
    """Train an isolation forest as in FACTS: three features, 100 samples per tree, 8-bit thresholds."""
    train = TrainSpec(method="isolation-forest", trees=trees, samples=100, seed=1)
    return train_forest(Dataset(("x", "y", "z"), ROWS), train, scheme="int8", parameters={}).data


def incompressible_pack(size: int) -> bytes:
    """Return a pack of kind 0 that fills about `size` bytes with random weights and random golden inputs."""
    noise = random.Random(54)
    inputs = size // (1 + GOLDEN_VECTORS)
    weights = [noise.randrange(-127, 128) for _ in range(inputs)]
    golden = [[noise.randrange(-128, 128) for _ in range(inputs)] for _ in range(GOLDEN_VECTORS)]
    return build_threshold_pack(weights, threshold=1000, element=ElementType.INT8, inputs=golden)


def fixed_key(name: str) -> FileKey:
    """Derive a key from a name, so that every run prints the same figures."""
    return FileKey(Ed25519PrivateKey.from_private_bytes(hashlib.sha256(name.encode()).digest()))


class Workbench:
    """One fleet with one device, and the line between them."""

    def __init__(self, baud: int = BAUD) -> None:
        self._baud = baud
        self._bench = Bench("bench")
        self._bench.root, self._bench.gateway = fixed_key("root"), fixed_key("gateway")
        held = delegation.Delegation(self._bench.gateway.public_key, self._bench.vendor, epoch=1)
        self._bench.delegation = delegation.delegate(self._bench.root, held)
        self._made: Made = self._bench.device("node", address=ADDRESS)
        self._library = HostLibrary(LIBRARY)

    def run(self, packs: list[bytes], *, reports: int = 0, **line: float | bool) -> list[Run]:
        """Update a new device to each pack in turn, after this many reports on the line; return the costs."""
        agent = self.device(make_pack(0))
        try:
            return run_simulated(self._updates(self.line(agent, **line), agent, packs, reports))
        finally:
            agent.close()

    def device(self, pack: bytes, geometry: Geometry | None = None) -> HostAgent:
        """Make a new device that runs a pack."""
        return HostAgent(self._library, self._made.region(pack), geometry=geometry)

    def line(self, agent: HostAgent, **line: float | bool) -> SimulatedLine:
        """Connect a device to a line of its own."""
        station = AgentStation(LIBRARY, agent, ADDRESS)
        return SimulatedLine([station], baud=self._baud, turnaround_s=TURNAROUND_S, **line)  # type: ignore[arg-type]

    def session(self, line: SimulatedLine) -> LinkSession:
        """Make the gateway's end of the line. Its nonces are the same on every run."""
        numbers = itertools.count()
        return LinkSession(
            SerialLink(line, {NODE: ADDRESS}),
            lambda _, cose, nonce: self._made.open_signed(cose, nonce),
            make_nonce=lambda: hashlib.sha256(b"%d" % next(numbers)).digest()[:8],
        )

    async def _updates(self, line: SimulatedLine, agent: HostAgent, packs: list[bytes], reports: int) -> list[Run]:
        fleet = self.session(line)
        running = asyncio.create_task(fleet.run())
        for _ in range(reports):
            await fleet.ask(NODE, ReportKind.REPORT)
        runs = [await self._one(fleet, line, agent, pack) for pack in packs]
        running.cancel()
        return runs

    async def _one(self, fleet: LinkSession, line: SimulatedLine, agent: HostAgent, pack: bytes) -> Run:
        loop = asyncio.get_running_loop()
        asked_s, sent, received = loop.time(), line.sent_bytes, line.received_bytes
        report = _report(await fleet.ask(NODE, ReportKind.REPORT))
        outcome, effort = await fleet.update(self._job(fleet, report, pack))
        if not isinstance(outcome, Confirmed) or agent.running() != hashlib.sha256(pack).digest():
            raise SystemExit(f"the update ended in {outcome}")
        return Run(loop.time() - asked_s, effort, line.sent_bytes - sent, line.received_bytes - received)

    def _job(self, fleet: LinkSession, report: DeviceReport, pack: bytes) -> TransferJob:
        digest16 = hashlib.sha256(pack).digest()[:16]
        held = report.other == digest16
        payload = smallest(pack)
        sequence = report.sequence + 1
        return TransferJob(
            device=NODE,
            transfer=sequence % 24,
            envelope=self._envelope(report, pack, sequence),
            sequence=sequence,
            counter=report.counter,
            digest16=digest16,
            payload=b"" if held else payload.data,
            encoding=payload.encoding,
            block_bytes=fleet.link.block_bytes(1024),
        )

    def _envelope(self, report: DeviceReport, pack: bytes, sequence: int) -> bytes:
        held = None if report.epoch else self._bench.delegation  # sent only once
        order = envelope.InstallOrder(sequence, hashlib.sha256(pack).digest(), len(pack))
        return envelope.make(self._bench.gateway, self._made.target, order, held)


def _report(outcome: Outcome) -> DeviceReport:
    if not isinstance(outcome, Answered) or not isinstance(outcome.body, DeviceReport):
        raise SystemExit(f"no report: {outcome}")
    return outcome.body


def overhead_percent(run: Run, payload_bytes: int) -> float:
    """Return the overhead of an update over the bare payload's time on the wire."""
    return (run.took_s * BAUD / 10 / payload_bytes - 1) * 100


def main() -> None:
    """Print the figures of other protocols, then ours."""
    starter, large = make_pack(1), incompressible_pack(LARGE_BYTES)
    print_peers(large)
    workbench = Workbench()
    for trees in (10, 50):
        forest = forest_pack(trees)
        size = len(smallest(forest).data)
        _, update, back = workbench.run([starter, forest, starter])
        print(f"forest{trees}_pack_bytes={len(forest)} forest{trees}_payload_bytes={size}")
        print(f"t{trees}_sent_bytes={update.sent_bytes} t{trees}_received_bytes={update.received_bytes}")
        print(f"t{trees}_s={update.took_s:.2f}")
        if trees == 10:  # noqa: PLR2004  # one of the two is enough
            print(f"rollback_s={back.took_s:.2f}")
    size = len(smallest(large).data)
    for name, reports in (("", 0), ("_in_service", REPORTS)):
        clean = workbench.run([starter, large], reports=reports)[1]
        print(f"large_payload_bytes={size} clean{name}_s={clean.took_s:.1f}")
        print(f"overhead_clean{name}_percent={overhead_percent(clean, size):.2f}")
        print_noisy(
            f"ber5e5{name}", [overhead_percent(run, size) for run in noisy_runs(workbench, [starter, large], reports)]
        )
    framing = noisy_runs(workbench, [starter, large], REPORTS, framing_errors=True)
    print_noisy("ber5e5_in_service_with_framing_errors", [overhead_percent(run, size) for run in framing])


def print_peers(large: bytes) -> None:
    """Print the times of pySerialTransfer and ZMODEM on the same line."""
    for trees in (10, 50):
        dumped = forest_json(ROWS, trees)
        print(f"peer_json{trees}_bytes={len(dumped)}")
        print(f"peer_pyserialtransfer_t{trees}_s={serial_transfer_s(dumped, BAUD):.0f}")
    for name, rate in (("clean", 0.0), ("ber5e5", BIT_ERROR_RATE)):
        print(f"peer_zmodem_{name}_percent={zmodem_overhead_percent(large, BAUD, TURNAROUND_S, rate):.1f}")


def noisy_runs(workbench: Workbench, packs: list[bytes], reports: int, *, framing_errors: bool = False) -> list[Run]:
    """Run the last update once for each seed."""
    noise = {"bit_error_rate": BIT_ERROR_RATE, "framing_errors": framing_errors}
    return [workbench.run(packs, reports=reports, seed=seed, **noise)[-1] for seed in SEEDS]


def print_noisy(name: str, costs: list[float]) -> None:
    """Print the mean and the maximum over all seeds."""
    print(f"{name}_seeds={len(costs)} {name}_worst_percent={max(costs):.2f}")
    print(f"overhead_{name}_percent={fmean(costs):.2f}")


if __name__ == "__main__":
    main()
