# SPDX-License-Identifier: Apache-2.0
"""The fleet of the demo: mills behind a broker, a sealed sensor without updates, and a press on a slow line."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from demo import models
from demo.board import ARENA_BYTES, FLASH_BYTES, JOURNAL, PROVISIONED, SLOT_BYTES, Board
from demo.broker import free_port, set_up_broker, start_broker
from demo.gateway_configuration import Broker, mqtt_link, serial_link, write_configuration
from demo.models import MODEL, NIGHT_MODEL, NIGHT_NAME, PREBAKED, Recipe
from demo.signing_keys import make_keys, root_key
from demo.site import LINE, send_command
from demo.world import FLEET, GATEWAY, TINYFLEET, VDEV, NotObservedError, Running, World, document

BAUD = 2400
MILLS = tuple(f"mill-{number:02}" for number in range(1, 12))
SEALED, PRESS = "sealed-1", "press-1"
CANARY = MILLS[0]
ON_BROKER = (*MILLS, SEALED)
DEVICES = (*ON_BROKER, PRESS)
ROLLED_OUT_TO = (*MILLS, PRESS)  # the sealed sensor takes no updates
REPORT_EVERY = "2s"  # so that gates are evaluated quickly; five minutes are usual
INFER_EVERY_MS = 100
ENOUGH_INFERENCES = 12
PROVISIONED_AT_ONCE = 2
OPERATORS = ["THRESHOLD", "TREE_ENSEMBLE"]
COHORT = "machine"  # the label whose values the page and the dashboard count by


class DemoFleet:
    """The processes of the demo, and the content of the fleet repository."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.board = Board(world, world.folder / "images" / PRESS, BAUD)
        self.http_port = free_port()
        self._recordings = models.recordings()
        self._broker: Broker | None = None

    def make_keys(self) -> None:
        """Create keys and certificates, and start the broker."""
        make_keys(self.world)
        self._broker = set_up_broker(self.world, ON_BROKER)
        start_broker(self.world, self._broker)

    def make_repository(self) -> None:
        """Create the repository and its remote; no device has a key yet."""
        self.world.make_repository()
        (self.world.folder / "images").mkdir()
        self._write(self._first_files())

    def provision(self, advance: Callable[[int], None]) -> None:
        """Provision all devices, and add their public keys to the repository."""
        patches = []
        with ThreadPoolExecutor(PROVISIONED_AT_ONCE) as workers:
            for patch in workers.map(self._provision, DEVICES):
                patches.append(patch)
                advance(len(patches))
        keys = self.world.folder / "keys.patch"  # applied at the end, because provisioning reads the repository
        keys.write_text("".join(patches))
        self.world.run("git", "apply", keys, cwd=self.world.work)

    def start(self) -> Running:
        """Start the devices and the daemon of the gateway."""
        world, broker = self.world, self._broker
        if broker is None:
            raise NotObservedError("call make_keys first")
        tls = ("--broker", f"localhost:{broker.port}", "--tls-ca", broker.folder / "ca.crt")
        vdev = world.folder / "vdev"
        vdev.mkdir()
        for name in ON_BROKER:
            (world.folder / "images" / name).rename(vdev / name)
        options = ("--certificates", broker.folder, "--control", world.folder / "control")
        pace = ("--infer-every", str(INFER_EVERY_MS))
        world.start("devices", VDEV, "--images", vdev, *tls, *options, *pace)
        self.board.switch_on()
        self.board.line.start()
        write_configuration(
            self.world,
            mqtt_link(broker),
            serial_link(LINE, self.board.line_end),
            listen=f"127.0.0.1:{self.http_port}",
            store=self.world.folder / "artifacts",
        )
        return world.start("gateway", TINYFLEET, "run", "--config", world.folder / "gateway.toml")

    def stop(self) -> None:
        """Stop what is not a separate process."""
        self.board.line.stop()

    def device_state(self, device: str) -> dict[str, str]:
        """Ask a virtual device directly over its control socket, not through tinyfleet."""
        first, *_ = send_command(self.world.folder / "control", f"status {device}").splitlines()
        return dict(field.split("=") for field in first.split()[1:])

    def version(self, recipe: Recipe) -> Mapping[str, bytes]:
        """Return the files of one version of a model."""
        return models.files(recipe, self._recordings[recipe.data])

    # ------------------------------------------------------------ documents

    def fleet_rollout(self, recipe: Recipe) -> dict[str, bytes]:
        """Roll a model out in waves: one mill, a quarter, the rest."""
        spec = {
            "model": {"name": recipe.name, "version": recipe.version},
            "selector": {},
            "waves": [
                {"name": "canary", "selector": {"devices": [CANARY]}, "soak": "1s"},
                {"name": "quarter", "percent": 25},
            ],
            "gates": [{"metric": "anomaly-rate-change", "atMost": 0.3, "minInferences": ENOUGH_INFERENCES}],
            "onFailure": "rollback",
            "fallback": "prebaked",
        }
        return {"rollouts/fleet.yaml": document("Rollout", "fleet", spec)}

    def own_rollout(self, name: str, kind: str, recipe: Recipe) -> dict[str, bytes]:
        """Roll a model out to the devices of one type."""
        spec = {
            "model": {"name": recipe.name, "version": recipe.version},
            "selector": {"types": [kind]},
            "priority": 10,
        }
        return {f"rollouts/{name}.yaml": document("Rollout", name, spec)}

    def _first_files(self) -> dict[str, bytes]:
        links = {"mqtt": {}, "serial": [{"port": LINE, "baud": BAUD}]}
        return {
            "fleet.yaml": document("Fleet", FLEET, {"reportEvery": REPORT_EVERY, "cohortLabel": COHORT}),
            "gateway.yaml": document("Gateway", GATEWAY, {"selector": {}, "links": links}),
            **{f"types/{name}.yaml": document("DeviceType", name, spec) for name, spec in _types().items()},
            **{f"devices/{name}.yaml": _device(name) for name in DEVICES},
            **self._recordings,
            **self.version(PREBAKED),
            **self.version(NIGHT_MODEL),
            **self.fleet_rollout(PREBAKED),
        }

    def _write(self, files: Mapping[str, bytes]) -> None:
        for name, data in files.items():
            path = self.world.work / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)

    # ------------------------------------------------------------ provisioning and configuration

    def _provision(self, device: str) -> str:
        folder = self.world.folder
        whole = ("--whole",) if device == PRESS else ()
        where = ("--out", folder / "images" / device, *whole, "--store", folder / "artifacts")
        return self.world.run(TINYFLEET, "provision", device, self.world.work, "--root", root_key(self.world), *where)


def _types() -> dict[str, dict[str, Any]]:
    baked = [{"name": MODEL, "version": PREBAKED.version}]
    sensor = {"architecture": "host", "slotBytes": 131072, "arenaBytes": 32768, "operators": OPERATORS}
    flash = {"bytes": FLASH_BYTES, "provisioned": PROVISIONED, "journal": JOURNAL}
    return {
        "mill-sensor": {**sensor, "prebaked": baked},
        "sealed-sensor": {
            **sensor,
            "updates": "none",
            "prebaked": [*baked, {"name": NIGHT_NAME, "version": NIGHT_MODEL.version}],
        },
        "press-sensor": {
            "architecture": "cortex-m4",
            "slotBytes": SLOT_BYTES,
            "arenaBytes": ARENA_BYTES,
            "operators": OPERATORS,
            "prebaked": baked,
            "flash": flash,
        },
    }


def _device(name: str) -> bytes:
    kind = {SEALED: "sealed-sensor", PRESS: "press-sensor"}.get(name, "mill-sensor")
    link = {"serial": {"port": LINE, "baud": BAUD, "address": 1}} if name == PRESS else {"mqtt": {}}
    return document("Device", name, {"type": kind, "link": link}, {COHORT: name.partition("-")[0]})
