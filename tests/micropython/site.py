# SPDX-License-Identifier: Apache-2.0
"""A site with one device that runs MicroPython: the daemon, Git, and the agent as a process of the real interpreter."""

from __future__ import annotations

import hashlib
import os
import pty
import sys
import threading
import tty
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from demo.gateway_configuration import Broker
from demo.signing_keys import root_key
from demo.site import LINE, MODEL, SerialLine, Site
from demo.world import FLEET, Running, World, document
from reconciler.compiler.micropython.translation import translate
from reconciler.compiler.pack.package_format import disassemble_package
from reconciler.devices.flash_image import Identity
from reconciler.devices.micropython_files import PrebakedPackage, ReportedLimits, device_files
from signing import identifiers
from signing.keys import read_public_key
from tests.micropython.device import CONTRACT, TREE_ENSEMBLE
from tests.micropython.interpreter import AGENT, ON_DEVICE, unix_command

TYPE = "line-sensor"
SLOT_BYTES, ARENA_BYTES = 65536, 65536
RESTARTING = Path(__file__).with_name("restarting.py")


class Wire:
    """Two terminals, each of which gets what is written to the other: a serial line between two processes."""

    def __init__(self) -> None:
        self._masters: list[int] = []
        self.ends: list[str] = []
        self._slaves: list[int] = []
        for _ in "ab":
            master, slave = pty.openpty()
            tty.setraw(slave)
            self._masters.append(master)
            self._slaves.append(slave)
            self.ends.append(os.ttyname(slave))
        for source, sink in (self._masters, reversed(self._masters)):
            threading.Thread(target=_pass_on, args=(source, sink), daemon=True).start()

    def close(self) -> None:
        """Disconnect both ends."""
        for descriptor in (*self._slaves, *self._masters):
            os.close(descriptor)


def _pass_on(source: int, sink: int) -> None:
    try:
        while data := os.read(source, 4096):
            os.write(sink, data)
    except OSError:
        return  # closed


class MicroPythonSite(Site):
    """One device with the agent in MicroPython. Its first pre-baked model is built from the file in the repository."""

    def __init__(
        self, world: World, link: SerialLine | Broker, models: Mapping[str, bytes], wire: Wire | None = None
    ) -> None:
        super().__init__(world, ("pump-9",), link, operators=frozenset({"TREE_ENSEMBLE"}))
        self.models = models
        self.root = world.folder / "device"
        self._wire = wire

    def start_device(self) -> Running:
        """Power the device on; a reset restarts the process on the same files."""
        arguments: tuple[str | Path, ...]
        if isinstance(self.link, SerialLine):
            assert self._wire is not None
            arguments = ("serial", self._wire.ends[1], str(self.link.baud))
        else:
            arguments = ("mqtt", "localhost", str(self.link.port), "tls")
        command = unix_command(ON_DEVICE / "site_device.py", self.root, *arguments)
        return self.world.start("device", "env", f"MICROPYPATH={AGENT}:.frozen", sys.executable, RESTARTING, *command)

    def first_files(self) -> dict[str, bytes]:
        """Return the files of the first commit."""
        files = {path: data for path, data in super().first_files().items() if not path.startswith("models/")}
        return files | forest_model("1.0.0", self.models["1.0.0"])

    def _type(self) -> Mapping[str, Any]:
        return {
            "architecture": "esp32",
            "runtime": "micropython",
            "slotBytes": SLOT_BYTES,
            "arenaBytes": ARENA_BYTES,
            "operators": ["TREE_ENSEMBLE"],
            "prebaked": [{"name": MODEL, "version": "1.0.0"}],
        }

    def _provision(self, device: str, address: int, prebaked: bytes) -> str:  # noqa: ARG002 - a pack of another kind
        target = identifiers.target(FLEET, device, CONTRACT)
        seed = hashlib.sha256(device.encode()).digest()
        root = read_public_key(root_key(self.world))
        identity = Identity(target.vendor, target.klass, target.device, root, seed, TYPE, FLEET, device, address)
        package = translate(self.models["1.0.0"]).data
        held = [PrebakedPackage(hashlib.sha256(package).digest(), len(package), disassemble_package(package))]
        limits = ReportedLimits(SLOT_BYTES, ARENA_BYTES, (TREE_ENSEMBLE,))
        for path, data in (device_files(identity, limits, held) | self._certificates(device)).items():
            (self.root / path).parent.mkdir(parents=True, exist_ok=True)
            (self.root / path).write_bytes(data)
        return Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw().hex()

    def _certificates(self, device: str) -> dict[str, bytes]:
        """Return authority, certificate and key in the form that MicroPython reads."""
        if isinstance(self.link, SerialLine):
            return {}
        folder = self.link.folder
        found = {
            f"{to}.der": x509.load_pem_x509_certificate((folder / f"{name}.crt").read_bytes()).public_bytes(
                Encoding.DER
            )
            for name, to in (("ca", "ca"), (device, "device"))
        }
        key = load_pem_private_key((folder / f"{device}.key").read_bytes(), None)
        found["device.key.der"] = key.private_bytes(Encoding.DER, PrivateFormat.TraditionalOpenSSL, NoEncryption())
        return found

    def _link_section(self) -> str:
        if isinstance(self.link, SerialLine):
            assert self._wire is not None
            return f'[[serial]]\nname = "{LINE}"\nport = "{self._wire.ends[0]}"\n'
        return super()._link_section()


def forest_model(version: str, pack: bytes) -> dict[str, bytes]:
    """Return one version of the model, whose source is a pack."""
    path = f"models/{MODEL}-{version}.pack"
    spec = {
        "version": version,
        "source": {"path": path, "sha256": hashlib.sha256(pack).hexdigest()},
        "needs": {"operators": ["TREE_ENSEMBLE"]},
        "parameters": {"threshold": 0.5},
    }
    return {path: pack, f"models/{MODEL}-{version}.yaml": document("Model", MODEL, spec)}
