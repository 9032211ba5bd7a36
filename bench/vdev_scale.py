# SPDX-License-Identifier: Apache-2.0
"""The cost of thousands of virtual devices in one process: memory per device, idle processor time, time to connect.

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
    """Return the processor time that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def private_bytes(pid: int) -> int:
    """Return the private memory of a process, which would be freed if it ended."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Private_"))


def await_presence(broker: Broker, count: int) -> float:
    """Return the time until this many devices have announced their presence."""
    began = time.monotonic()
    there: set[str] = set()
    client = broker.client()
    client.on_message = lambda _client, _data, message: there.add(message.topic)
    client.subscribe("tinyfleet/+/+/presence", 1)
    while len(there) < count and time.monotonic() - began < CONNECT_S:
        time.sleep(0.05)  # nothing signals a change of the count
    client.disconnect()
    client.loop_stop()
    if len(there) < count:
        raise SystemExit(f"only {len(there)} of {count} devices connected in {CONNECT_S} s")
    return time.monotonic() - began


def main() -> None:
    """Start the devices and print the figures."""
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
        time.sleep(IDLE_S)  # the interval of the idle measurement
        idle = (processor_s(vdev.pid) - used) / IDLE_S
        memory = private_bytes(vdev.pid)
    print(
        f"devices={len(made)} connect_s={connect_s:.2f} private_bytes_per_device={memory // len(made)} "
        f"idle_cores={idle:.3f}"
    )


if __name__ == "__main__":
    main()
