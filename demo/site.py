# SPDX-License-Identifier: Apache-2.0
"""A site with one gateway and virtual devices: keys, provisioning, fleet repository and gateway.toml."""

from __future__ import annotations

import hashlib
import json
import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from demo.gateway_configuration import Broker, mqtt_link, serial_link, write_configuration
from demo.signing_keys import make_keys, root_key
from demo.world import FLEET, GATEWAY, TINYFLEET, VDEV, NotObservedError, Running, World, document, threshold_model
from reconciler.compiler.threshold.threshold_json import threshold_pack_from_json
from reconciler.devices.flash_image import Identity, provisioned_region
from signing import identifiers
from signing.keys import read_public_key

LINE = "/dev/line"  # the name in Git; gateway.toml maps it to a port of this machine
OPERATORS = frozenset({"THRESHOLD"})
MODEL = "vibration"
COHORT = "hall"  # a label of each device, which a Fleet may name as its cohortLabel
LABELS = {COHORT: "north"}
DEVICES_PER_FILE = 100
PREBAKED_MODEL = threshold_model([3, -5, 2] * 20, 900)


@dataclass(frozen=True)
class SerialLine:
    """One line that all devices share."""

    baud: int


class Site:
    """Devices behind one gateway: on one serial line, or behind a broker."""

    def __init__(
        self,
        world: World,
        devices: tuple[str, ...],
        link: SerialLine | Broker,
        *,
        operators: frozenset[str] = OPERATORS,
    ) -> None:
        self.world = world
        self.devices = devices
        self.link = link
        self.operators = operators  # of the firmware; THRESHOLD, for the pre-baked model, among them
        self._public_keys: dict[str, str] = {}
        self._gateway: Running | None = None

    def set_up(self) -> None:
        """Create keys if there are none, devices and the repository; start nothing."""
        if not root_key(self.world).exists():
            make_keys(self.world)
        (self.world.folder / "images").mkdir()
        prebaked = threshold_pack_from_json(PREBAKED_MODEL)
        for number, device in enumerate(self.devices, start=1):
            address = number if isinstance(self.link, SerialLine) else 0
            self._public_keys[device] = self._provision(device, address, prebaked)
        self.world.make_repository()
        write_configuration(self.world, self._link_section())

    def start_devices(self, *options: str) -> Running:
        """Start the devices; they keep their flash over a restart."""
        flash = self.world.folder / "flash"
        flash.mkdir(exist_ok=True)
        control = ("--control", self.world.folder / "control")
        images = ("--images", self.world.folder / "images", "--flash", flash)
        return self.world.start("vdev", VDEV, *images, *self._link_options(), *control, *options)

    def start_gateway(self, *under: str) -> Running:
        """Start the daemon, optionally under another program."""
        configuration = self.world.folder / "gateway.toml"
        self._gateway = self.world.start("gateway", *under, TINYFLEET, "run", "--config", configuration)
        return self._gateway

    @property
    def gateway(self) -> Running:
        """The daemon that was started last."""
        if self._gateway is None:
            raise NotObservedError("no gateway was started")
        return self._gateway

    def broker_options(self) -> tuple[str | Path, ...]:
        """Return the options with which devices connect to the broker."""
        if not isinstance(self.link, Broker):
            raise NotObservedError("the devices of this site are on a line")
        folder = self.link.folder
        return ("--broker", f"localhost:{self.link.port}", "--tls-ca", folder / "ca.crt", "--certificates", folder)

    def first_files(self) -> dict[str, bytes]:
        """Return the files of the first commit: the devices run their pre-baked model."""
        return {
            "fleet.yaml": document("Fleet", FLEET, {}),
            "gateway.yaml": document("Gateway", GATEWAY, {"selector": {}}),
            "type.yaml": document("DeviceType", "line-sensor", self._type()),
            **self._device_files(),
            "rollout.yaml": rollout("1.0.0"),
            **model("1.0.0", PREBAKED_MODEL),
        }

    def phases(self) -> str:
        """Return the phases that the devices report on their control socket."""
        return self.tell_devices("status *")

    def tell_devices(self, command: str) -> str:
        """Send a command to the control socket of the devices."""
        return send_command(self.world.folder / "control", command)

    def forget_key(self, device: str) -> None:
        """Replace the public key of a device in Git by another one."""
        self._public_keys[device] = Ed25519PrivateKey.generate().public_key().public_bytes_raw().hex()

    def is_ready(self, device: str, version: str) -> bool:
        """Return whether the status branch shows that a device runs this version and is ready."""
        status = self.world.device_status(device)
        return status.get("model") == f"{MODEL}@{version}" and status["conditions"][0]["status"] == "True"

    def are_ready(self, version: str) -> bool:
        """Return whether all devices are ready with this version."""
        return all(self.is_ready(device, version) for device in self.devices)

    # ------------------------------------------------------------ set-up

    def _provision(self, device: str, address: int, prebaked: bytes) -> str:
        """Write the initial flash content of a device; returns its public key."""
        target = identifiers.target(FLEET, device, identifiers.EngineContract(pack_format=1, operators=self.operators))
        seed = os.urandom(32)
        identity = Identity(
            vendor=target.vendor,
            class_id=target.klass,
            device=target.device,
            root_public=read_public_key(root_key(self.world)),
            seed=seed,
            type_name="line-sensor",
            fleet=FLEET,
            name=device,
            address=address,
        )
        (self.world.folder / "images" / device).write_bytes(provisioned_region(identity, [prebaked]))
        return Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw().hex()

    def _type(self) -> Mapping[str, Any]:
        return {
            "architecture": "host",
            "slotBytes": 131072,
            "arenaBytes": 32768,
            "operators": sorted(self.operators),
            "prebaked": [{"name": MODEL, "version": "1.0.0"}],
        }

    def _device_files(self) -> dict[str, bytes]:
        """Return the documents of all devices, several per file."""
        files = {}
        for at in range(0, len(self.devices), DEVICES_PER_FILE):
            some = self.devices[at : at + DEVICES_PER_FILE]
            files[f"devices/{some[0]}.yaml"] = b"---\n".join(self._device(device) for device in some)
        return files

    def _device(self, device: str) -> bytes:
        link: dict[str, Any] = {"mqtt": {}}
        if isinstance(self.link, SerialLine):
            address = self.devices.index(device) + 1
            link = {"serial": {"port": LINE, "baud": self.link.baud, "address": address}}
        spec = {"type": "line-sensor", "link": link, "publicKey": self._public_keys[device]}
        return document("Device", device, spec, LABELS)

    def _link_options(self) -> tuple[str | Path, ...]:
        if isinstance(self.link, SerialLine):
            return ("--line", f"unix:{self.world.folder}/line")
        return self.broker_options()

    def _link_section(self) -> str:
        if isinstance(self.link, SerialLine):
            return serial_link(LINE, self.world.folder / "line")
        return mqtt_link(self.link)


def send_command(control_socket: Path, command: str) -> str:
    """Send a command to the control socket of virtual devices; returns the reply."""
    with socket.socket(socket.AF_UNIX) as control:
        control.settimeout(10)
        control.connect(str(control_socket))
        control.sendall(command.encode() + b"\n")
        reply = b""
        while not reply.endswith(b"\n\n"):
            reply += control.recv(65536)
    return reply.decode()


def model(version: str, data: bytes) -> dict[str, bytes]:
    """Return one version of the model: its document and its file."""
    path = f"models/{MODEL}-{version}.json"
    spec = {
        "version": version,
        "source": {"path": path, "sha256": hashlib.sha256(data).hexdigest()},
        "needs": {"operators": ["THRESHOLD"]},
        "parameters": {"threshold": json.loads(data)["threshold"]},
    }
    return {path: data, f"models/{MODEL}-{version}.yaml": document("Model", MODEL, spec)}


def rollout(version: str, **spec: Any) -> bytes:  # noqa: ANN401 - whatever a Rollout takes
    """Return the document of the rollout."""
    return document("Rollout", MODEL, {"model": {"name": MODEL, "version": version}, "selector": {}, **spec})
