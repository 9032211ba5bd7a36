# SPDX-License-Identifier: Apache-2.0
"""The certificates of the fleet, and a mosquitto with TLS, set up with `tinyfleet pki` as in docs/pki.md."""

from __future__ import annotations

import getpass
import shutil
import socket

from demo.gateway_configuration import Broker
from demo.signing_keys import passphrase_options
from demo.world import FLEET, GATEWAY, TINYFLEET, World


def set_up_broker(world: World, devices: tuple[str, ...], clients: tuple[str, ...] = ()) -> Broker:
    """Create the certificate authority, all certificates, and the configuration of the broker."""
    ca, folder, port = world.folder / "ca", world.folder / "pki", free_port()
    secret = passphrase_options(world)
    world.run(TINYFLEET, "pki", "init", ca, "--fleet", FLEET, *secret)
    issued = ("--ca", ca, "-o", folder, *secret)
    world.run(TINYFLEET, "pki", "issue", "broker", "localhost", "--host", "127.0.0.1", *issued)
    world.run(TINYFLEET, "pki", "issue", "gateway", GATEWAY, *issued)
    for role, names in (("device", devices), ("client", clients)):
        if names:
            world.run(TINYFLEET, "pki", "issue", role, *names, *issued)
    where = ("--port", str(port), "--bind", "127.0.0.1")
    world.run(TINYFLEET, "pki", "broker-config", "--ca", ca, "--broker", "localhost", "-o", folder, *where)
    return Broker(port, folder)


def start_broker(world: World, broker: Broker) -> None:
    """Start the broker and wait until it listens."""
    path = world.folder / "mosquitto.conf"
    path.write_text(f"user {getpass.getuser()}\nlog_type warning\nlog_dest stderr\ninclude_dir {broker.folder}\n")
    program = shutil.which("mosquitto") or "/usr/sbin/mosquitto"
    world.start("mosquitto", program, "-c", path)
    world.wait_for("the broker to listen", lambda: _listens(broker.port), within_s=30)


def free_port() -> int:
    """Find an unused port of this machine."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True
