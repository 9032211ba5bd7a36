# SPDX-License-Identifier: Apache-2.0
"""What thousands of virtual devices in one process cost: memory a device, processor time when idle, time to connect.

usage: python -m bench.vdev_scale [--devices N] [--tls]
"""

from __future__ import annotations

import argparse
import contextlib
import os
import tempfile
import time
from pathlib import Path

from tests.firmware.bench import Bench, make_pack
from tests.firmware.broker import Authority, Broker
from tests.firmware.conftest import build
from tests.firmware.vdev import Vdev

IDLE_S = 10.0
CONNECT_S = 120.0


def processor_s(pid: int) -> float:
    """How much processor time a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def private_bytes(pid: int) -> int:
    """What a process has for itself: what would come back if it ended."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Private_"))


def await_presence(broker: Broker, count: int) -> float:
    """Return how long it takes until so many devices have said that they are there."""
    began = time.monotonic()
    there: set[str] = set()
    client = broker.client()
    client.on_message = lambda _client, _data, message: there.add(message.topic)
    client.subscribe("tinyfleet/+/+/presence", 1)
    while len(there) < count and time.monotonic() - began < CONNECT_S:
        time.sleep(0.05)  # a count tells nobody
    client.disconnect()
    client.loop_stop()
    if len(there) < count:
        raise SystemExit(f"only {len(there)} of {count} devices connected in {CONNECT_S} s")
    return time.monotonic() - began


def main() -> None:
    """Run it and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--devices", type=int, default=1000)
    parser.add_argument("--tls", action="store_true")
    arguments = parser.parse_args()
    fleet = Bench("plant")
    made = [fleet.device(f"d{i}") for i in range(arguments.devices)]
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as running:
        folder = Path(name)
        options: list[str] = []
        authority = None
        if arguments.tls:
            authority = Authority(folder / "certificates")
            for one in made:
                authority.issue(one.name)
            options = ["--tls-ca", str(authority.folder / "ca.crt"), "--certificates", str(authority.folder)]
        broker = Broker(folder, authority)
        running.callback(broker.stop)
        program = build("host") / "tinyfleet-vdev"
        prebaked = (make_pack(1, inputs=4000),)
        vdev = running.enter_context(Vdev(program, made, prebaked, "--broker", f"localhost:{broker.port}", *options))
        connect_s = await_presence(broker, len(made))
        used = processor_s(vdev.pid)
        time.sleep(IDLE_S)  # the time over which idling is measured
        idle = (processor_s(vdev.pid) - used) / IDLE_S
        memory = private_bytes(vdev.pid)
    print(
        f"devices={len(made)} connect_s={connect_s:.2f} private_bytes_per_device={memory // len(made)} "
        f"idle_cores={idle:.3f}"
    )


if __name__ == "__main__":
    main()
