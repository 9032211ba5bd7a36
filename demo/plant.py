# SPDX-License-Identifier: Apache-2.0
"""The plant of the demo: mills behind a broker, a sensor that is sealed in, a press at the end of a slow line."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from demo import models
from demo.authority import make_keys, root_key
from demo.board import ARENA_BYTES, FLASH_BYTES, JOURNAL, PROVISIONED, SLOT_BYTES, Board
from demo.broker import free_port, set_up_broker, start_broker
from demo.models import BORN_WITH, MODEL, NIGHT, QUIET, Recipe
from demo.site import LINE, Broker, tell
from demo.world import FLEET, GATEWAY, TINYFLEET, VDEV, NotObservedError, Running, World, document

BAUD = 2400
MILLS = tuple(f"mill-{number:02}" for number in range(1, 12))
SEALED, PRESS = "sealed-1", "press-1"
CANARY = MILLS[0]
ON_BROKER = (*MILLS, SEALED)
DEVICES = (*ON_BROKER, PRESS)
ROLLED_OUT_TO = (*MILLS, PRESS)  # the sealed one takes no new model
REPORT_EVERY = "2s"  # so that gates are judged at once; five minutes are usual
INFER_EVERY_MS = 100
ENOUGH_INFERENCES = 12
PROVISIONED_AT_ONCE = 2
OPERATORS = ["THRESHOLD", "TREE_ENSEMBLE"]


class Plant:
    """Everything that runs, and what is in Git."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.board = Board(world, world.folder / "images" / PRESS, BAUD)
        self.http_port = free_port()
        self._recordings = models.recordings()
        self._broker: Broker | None = None

    def make_keys(self) -> None:
        """Make keys and certificates, and start the broker that asks for them."""
        make_keys(self.world)
        self._broker = set_up_broker(self.world, ON_BROKER)
        start_broker(self.world, self._broker)

    def make_repository(self) -> None:
        """Make the repository with its remote; no device has a key yet."""
        self.world.make_repository()
        (self.world.folder / "images").mkdir()
        self._write(self._first_files())

    def provision(self, advance: Callable[[int], None]) -> None:
        """Make each device's first flash content, and put its public key into the repository."""
        patches = []
        with ThreadPoolExecutor(PROVISIONED_AT_ONCE) as desks:
            for patch in desks.map(self._provision, DEVICES):
                patches.append(patch)
                advance(len(patches))
        keys = self.world.folder / "keys.patch"  # all at the end: nobody changes a repository that others read
        keys.write_text("".join(patches))
        self.world.run("git", "apply", keys, cwd=self.world.work)

    def start(self) -> Running:
        """Switch on the devices and start the gateway's daemon."""
        world, broker = self.world, self._broker
        if broker is None:
            raise NotObservedError("make_keys comes first")
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
        self._configure(broker)
        return world.start("gateway", TINYFLEET, "run", "--config", world.folder / "gateway.toml")

    def stop(self) -> None:
        """End what is no process of its own."""
        self.board.line.stop()

    def device_says(self, device: str) -> dict[str, str]:
        """Ask a device behind the broker itself, not through the system."""
        first, *_ = tell(self.world.folder / "control", f"status {device}").splitlines()
        return dict(field.split("=") for field in first.split()[1:])

    def version(self, recipe: Recipe) -> Mapping[str, bytes]:
        """Return the files of one version of a model."""
        return models.files(recipe, self._recordings[recipe.data])

    # ------------------------------------------------------------ what is in Git

    def fleet_rollout(self, recipe: Recipe) -> dict[str, bytes]:
        """Roll a model out to all: one mill, a quarter, the rest."""
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
        """Give the devices of one type a model of their own."""
        spec = {
            "model": {"name": recipe.name, "version": recipe.version},
            "selector": {"types": [kind]},
            "priority": 10,
        }
        return {f"rollouts/{name}.yaml": document("Rollout", name, spec)}

    def _first_files(self) -> dict[str, bytes]:
        links = {"mqtt": {}, "serial": [{"port": LINE, "baud": BAUD}]}
        return {
            "fleet.yaml": document("Fleet", FLEET, {"reportEvery": REPORT_EVERY}),
            "gateway.yaml": document("Gateway", GATEWAY, {"selector": {}, "links": links}),
            **{f"types/{name}.yaml": document("DeviceType", name, spec) for name, spec in _types().items()},
            **{f"devices/{name}.yaml": _device(name) for name in DEVICES},
            **self._recordings,
            **self.version(BORN_WITH),
            **self.version(QUIET),
            **self.fleet_rollout(BORN_WITH),
        }

    def _write(self, files: Mapping[str, bytes]) -> None:
        for name, data in files.items():
            path = self.world.work / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)

    # ------------------------------------------------------------ what is not

    def _provision(self, device: str) -> str:
        folder = self.world.folder
        whole = ("--whole",) if device == PRESS else ()
        where = ("--output", folder / "images" / device, *whole, "--store", folder / "artifacts")
        return self.world.run(TINYFLEET, "provision", device, self.world.work, "--root", root_key(self.world), *where)

    def _configure(self, broker: Broker) -> None:
        folder = broker.folder
        (self.world.folder / "gateway.toml").write_text(
            f"""name = "{GATEWAY}"
state_dir = "state"
[repository]
url = "{self.world.remote}"
[signers]
allowed_signers = "allowed_signers"
[keys]
gateway = "gateway"
[build]
store = "{self.world.folder}/artifacts"
[status]
interval = "500ms"
[http]
listen = "127.0.0.1:{self.http_port}"
[mqtt]
host = "localhost"
port = {broker.port}
ca = "{folder}/ca.crt"
certificate = "{folder}/{GATEWAY}.crt"
key = "{folder}/{GATEWAY}.key"
[[serial]]
name = "{LINE}"
port = "unix:{self.board.line_end}"
"""
        )


def _types() -> dict[str, dict[str, Any]]:
    baked = [{"name": MODEL, "version": BORN_WITH.version}]
    sensor = {"architecture": "host", "slotBytes": 131072, "arenaBytes": 32768, "operators": OPERATORS}
    flash = {"bytes": FLASH_BYTES, "provisioned": PROVISIONED, "journal": JOURNAL}
    return {
        "mill-sensor": {**sensor, "prebaked": baked},
        "sealed-sensor": {
            **sensor,
            "updates": "none",
            "prebaked": [*baked, {"name": NIGHT, "version": QUIET.version}],
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
    return document("Device", name, {"type": kind, "link": link})
