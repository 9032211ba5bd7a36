# SPDX-License-Identifier: Apache-2.0
"""From `git push` to every device confirmed and the status commit in place, over a real mosquitto with TLS.

Virtual devices run the real agent in C, in one process; the daemon is the one that a gateway runs.
Figures: seconds, the daemon's peak memory and its idle CPU share, and status commits while nothing happens.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from demo.site import Broker as BrokerLink
from demo.site import Site, model, rollout
from demo.world import GATEWAY, Running, World, threshold_model
from tests.firmware.broker import Authority, Broker

NEXT = threshold_model([3, -4, 2] * 40, 800)
TICKS = os.sysconf("SC_CLK_TCK")
IDLE_S = 30


def main() -> None:
    """Measure fleets of the sizes given."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # so that what was started is ended
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("sizes", type=int, nargs="*", default=[1000])
    for size in arguments.parse_args().sizes:
        with tempfile.TemporaryDirectory(prefix="fleet-") as folder, World(Path(folder)) as world:
            measure(world, size)


def measure(world: World, size: int) -> None:
    """Bring a fleet of this size from one model to the next."""
    devices = tuple(f"d{number:05}" for number in range(size))
    authority = Authority(world.folder / "pki")
    for name in (GATEWAY, *devices):
        authority.issue(name)
    broker = Broker(world.folder, authority)
    try:
        site = Site(world, devices, BrokerLink(broker.port, authority.folder))
        site.set_up()
        tell(f"{size} devices provisioned")
        site.start_devices("--infer-every", "0")
        world.commit("Begin", site.first_files())
        gateway = site.start_gateway()
        world.wait_for("1.0.0 everywhere", lambda: all_ready(world, size), within_s=60 + size / 10)
        tell("all run what they were made with")
        began = time.monotonic()
        world.commit("1.1.0", {"rollout.yaml": rollout("1.1.0"), **model("1.1.0", NEXT)})
        world.wait_for("1.1.0 everywhere", lambda: all_ready(world, size, "1.1.0"), within_s=60 + size / 5)
        took_s = time.monotonic() - began
        before, commits = cpu_s(gateway), status_commits(world)
        time.sleep(IDLE_S)  # the time over which idling is measured
        idle = 100 * (cpu_s(gateway) - before) / IDLE_S
        sys.stdout.write(
            f"fleet_{size}_s={took_s:.1f}\n"
            f"daemon_rss_mib_{size}={peak_mib(gateway):.0f}\n"
            f"idle_cpu_percent_{size}={idle:.1f}\n"
            f"status_commits_when_idle_{size}={status_commits(world) - commits}\n"
        )
    finally:
        broker.stop()


def all_ready(world: World, size: int, version: str = "1.0.0") -> bool:
    """Tell whether the status ref counts all devices as ready, on this version."""
    readme = world.status_file("README.md") or ""
    if f"{size} of {size} devices" not in readme:
        return False
    wanted = f"model: vibration@{version}"
    found = subprocess.run(
        ["git", "--git-dir", world.remote, "grep", "-c", wanted, f"status/{GATEWAY}", "--", "devices"],
        capture_output=True,
        check=False,
    )
    return len(found.stdout.splitlines()) == size


def status_commits(world: World) -> int:
    """Count the commits on the status ref."""
    return int(world.run("git", "--git-dir", world.remote, "rev-list", "--count", f"status/{GATEWAY}"))


def cpu_s(running: Running) -> float:
    """Return the processor time that a process has used."""
    fields = Path(f"/proc/{running.pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def peak_mib(running: Running) -> float:
    """Return the most memory that a process had."""
    status = Path(f"/proc/{running.pid}/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def tell(text: str) -> None:
    """Say how far it is."""
    sys.stderr.write(f"{text}\n")


if __name__ == "__main__":
    main()
