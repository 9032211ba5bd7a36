# SPDX-License-Identifier: Apache-2.0
"""A real mosquitto process, started from a configuration file."""

from __future__ import annotations

import getpass
import shutil
import socket
import subprocess
import time
from pathlib import Path

from paho.mqtt.client import Client

START_S = 10.0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def base_configuration(port: int) -> tuple[str, ...]:
    """Return the settings that every broker of the tests needs."""
    return (
        f"listener {port} 127.0.0.1",
        f"user {getpass.getuser()}",  # started by root, it would otherwise switch to a user who can't read our files
        "log_type error",
        "set_tcp_nodelay true",  # as in systemd/mosquitto.conf
    )


def start(configuration: Path, port: int) -> subprocess.Popen[bytes]:
    """Start the broker and wait until it listens."""
    program = shutil.which("mosquitto") or "/usr/sbin/mosquitto"
    process = subprocess.Popen([program, "-c", str(configuration)])
    ends = time.monotonic() + START_S
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=START_S).close()
        except ConnectionRefusedError:
            assert process.poll() is None, "the broker ended at once"
            assert time.monotonic() < ends, "the broker does not listen"
            time.sleep(0.02)  # nothing signals that a port listens
        else:
            return process


def stop(process: subprocess.Popen[bytes]) -> None:
    """Stop the broker."""
    process.terminate()
    process.wait(START_S)


def disconnect(client: Client) -> None:
    """Disconnect a client and end its thread.

    A thread that ends before it has sent the last packet leaves the socket open, and the interpreter would report that
    in whichever test runs when it collects the socket.
    """
    client.disconnect()
    client.loop_stop()
    left = client.socket()
    if left is not None:
        left.close()
