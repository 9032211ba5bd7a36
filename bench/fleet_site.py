# SPDX-License-Identifier: Apache-2.0
"""A large site to measure: a broker as `tinyfleet pki broker-config` configures it, and devices in a few processes."""

from __future__ import annotations

import getpass
import os
import resource
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from demo.gateway_configuration import Broker
from demo.site import Site, send_command
from demo.world import FLEET, GATEWAY, TINYFLEET, VDEV, Running, World
from reconciler.daemon import runtime_status
from signing import pki, pki_keys, pki_store
from signing.pki import Role, Subject, ValidityPeriod
from signing.pki_keys import KeyKind
from tests import mosquitto

BROKER = "localhost"
DESCRIPTORS_PER_DEVICE = 3
OTHER_DESCRIPTORS = 200
RESTART_WITHIN_S = 300.0
REST_S, REST_PERCENT = 2.0, 10.0
TICKS = os.sysconf("SC_CLK_TCK")


class LargeSite:
    """Devices behind one broker, and what is measured of them and of the daemon."""

    def __init__(self, world: World, size: int) -> None:
        self.world = world
        self.size = size
        self._certificates = world.folder / "pki"
        self._broker = Broker(mosquitto.free_port(), self._certificates)
        self.site = Site(world, tuple(f"d{number:05}" for number in range(size)), self._broker)
        self._processes = 0

    @contextmanager
    def running(self) -> Iterator[None]:
        """Set everything up and power the devices; the caller starts the daemon."""
        allow_descriptors()
        self._make_certificates()
        self.site.set_up()
        broker = mosquitto.start(self._configuration(), self._broker.port)
        try:
            self._start_devices()
            self.world.commit("Begin", self.site.first_files())
            yield
        finally:
            mosquitto.stop(broker)

    def all_ready(self, version: str) -> bool:
        """Return whether the status ref counts all devices as ready with this version."""
        readme = self._git("show", f"status/{GATEWAY}:README.md")
        if f"{self.size} of {self.size} devices" not in readme:
            return False
        found = self._git("grep", "-c", f"model: vibration@{version}", f"status/{GATEWAY}", "--", "devices")
        return len(found.splitlines()) == self.size

    def await_version(self, version: str, within_s: float) -> None:
        """Wait until all devices run this version, according to the status ref."""
        self.world.wait_for(f"{version} everywhere", lambda: self.all_ready(version), within_s=within_s)

    def status_commits(self) -> int:
        """Count the commits on the status ref."""
        return int(self._git("rev-list", "--count", f"status/{GATEWAY}"))

    def restart_daemon(self, watched_s: float) -> tuple[float, int]:
        """Restart the daemon; return after how long it has planned, and how many questions it asks soon after."""
        self.site.gateway.stop()
        address = self.world.folder / "notify"
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notified:
            notified.bind(str(address))
            notified.settimeout(RESTART_WITHIN_S)
            started = time.monotonic()
            self.site.start_gateway("env", f"NOTIFY_SOCKET={address}")
            while not notified.recv(4096).startswith(b"READY=1"):  # sent after the first plan
                pass
            planned_s = time.monotonic() - started
        time.sleep(watched_s)  # the time over which questions are counted
        live = runtime_status.read(self.world.folder / "state")
        return planned_s, live["links"]["mqtt"]["questions"] if live is not None else 0

    def tell_devices(self, command: str) -> None:
        """Send a command to the control sockets of all devices."""
        for number in range(self._processes):
            send_command(self.world.folder / f"control-{number}", command)

    def _git(self, *words: str) -> str:
        command = ["git", "--git-dir", str(self.world.remote), *words]
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout

    # ------------------------------------------------------------ set-up

    def _make_certificates(self) -> None:
        """Issue certificates to broker and gateway as in production; the devices' are signed but not recorded.

        An authority records each certificate that it issues and syncs it to the disk, which takes a minute for two
        thousand. None of these is ever revoked or outlives this run.
        """
        directory, passphrase = self.world.folder / "ca", b"a passphrase for a bench"
        term = ValidityPeriod(datetime.now(UTC), days=2)
        store = pki_store.init(directory, FLEET, KeyKind.P256, passphrase, (term, term))
        issuer = pki_store.Issuer(store, lambda: passphrase)
        issuer.issue(self._certificates, Subject(Role.BROKER, BROKER), KeyKind.P256, term)
        issuer.issue(self._certificates, Subject(Role.GATEWAY, GATEWAY), KeyKind.P256, term)
        authority = pki.CertificateAuthority(
            store.certificate, pki_keys.load(directory / pki_store.KEY, lambda: passphrase)
        )
        for device in self.site.devices:
            key = pki_keys.generate(KeyKind.P256)
            certificate = pki.certify(authority, key.public_key(), Subject(Role.DEVICE, device), term)
            (self._certificates / f"{device}.crt").write_bytes(pki_store.pem(certificate))
            pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
            (self._certificates / f"{device}.key").write_bytes(pem)

    def _configuration(self) -> Path:
        """Run `pki broker-config`, and write a configuration that includes its files."""
        ca, to = self.world.folder / "ca", self._certificates
        where = ("--port", str(self._broker.port), "--bind", "127.0.0.1")
        self.world.run(TINYFLEET, "pki", "broker-config", "--ca", ca, "--broker", BROKER, "-o", to, *where)
        main = self.world.folder / "mosquitto.conf"
        main.write_text(f"user {getpass.getuser()}\nlog_type none\ninclude_dir {to}\n", encoding="utf-8")
        return main

    def _start_devices(self) -> None:
        """Power the devices, in as many processes as their descriptors need."""
        limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        a_process = max(1, (limit - OTHER_DESCRIPTORS) // DESCRIPTORS_PER_DEVICE)
        for at in range(0, self.size, a_process):
            folder = self.world.folder / f"devices-{self._processes}"
            for kind in ("images", "flash"):
                (folder / kind).mkdir(parents=True)
            for device in self.site.devices[at : at + a_process]:
                (self.world.folder / "images" / device).rename(folder / "images" / device)
            tls = ("--tls-ca", self._certificates / "ca.crt", "--certificates", self._certificates)
            kept = ("--images", folder / "images", "--flash", folder / "flash")
            broker = ("--broker", f"{BROKER}:{self._broker.port}")
            control = ("--control", self.world.folder / f"control-{self._processes}", "--infer-every", "0")
            self.world.start(f"vdev-{self._processes}", VDEV, *kept, *broker, *tls, *control)
            self._processes += 1


def allow_descriptors() -> None:
    """Raise the limit of open descriptors for this process and its children."""
    _, maximum = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (maximum, maximum))


def cpu_s(running: Running) -> float:
    """Return the processor time that a process has used."""
    fields = Path(f"/proc/{running.pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def await_rest(running: Running) -> None:
    """Wait until a process has little to do, so that the work of its start is not counted as that of an update."""
    while idle_percent(running, REST_S) > REST_PERCENT:
        pass


def peak_mib(running: Running) -> float:
    """Return the peak memory of a process."""
    status = Path(f"/proc/{running.pid}/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def idle_percent(running: Running, for_s: float) -> float:
    """Return the processor share of a process that has nothing to do."""
    before = cpu_s(running)
    time.sleep(for_s)  # the time over which it is measured
    return 100 * (cpu_s(running) - before) / for_s
