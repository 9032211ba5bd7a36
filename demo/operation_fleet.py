# SPDX-License-Identifier: Apache-2.0
"""The fleet of the story on operations: one gateway that is a node, its broker, and a program that calls it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import yaml

from demo.broker import set_up_broker, start_broker
from demo.gateway_configuration import mqtt_link, write_configuration
from demo.narrator import Narrator
from demo.scene_context import StoryContext
from demo.signing_keys import make_keys
from demo.world import FLEET, GATEWAY, ROOT, TINYFLEET, World, document
from reconciler.client import ClientSettings, OperationClient

CLIENT = "line-tool"
BUCKET = "vibration"
KEPT = 5  # items
WINDOW = {"dtype": "int16", "shape": [None, 3], "unit": "mg"}
RMS = (ROOT / "fleet-repo-example" / "functions" / "rms.wat").read_bytes()
RUNAWAY = b"""(module (memory (export "memory") 1)
  (func (export "input") (param i32) (result i32) (i32.const 1024))
  (func (export "handle") (param i32 i32) (result i64) (loop $again (br $again)) (i64.const 0)))
"""


@dataclass
class OperationContext(StoryContext):
    """The same, with the program that calls operations."""

    client: OperationClient
    fleet: OperationFleet

    def function(self, name: str) -> dict[str, dict[str, str]]:
        """Return the conditions of a function from the status branch, by type."""
        text = self.world.status_file(f"functions/{name}.yaml")
        status = yaml.load(text, yaml.CSafeLoader)["status"] if text else {"conditions": []}
        return {each["type"]: each for each in status["conditions"]}

    def figures(self, name: str) -> dict[str, Any]:
        """Return what the gateway counts of a function."""
        found: list[dict[str, Any]] = self.query("function", "show", name)
        return found[0]


class OperationFleet:
    """One gateway without devices."""

    def __init__(self, world: World) -> None:
        self.world = world
        self._client: OperationClient | None = None

    def set_up(self, narrator: Narrator) -> OperationContext:
        """Create everything and start it."""
        make_keys(self.world)
        broker = set_up_broker(self.world, (), (CLIENT,))
        start_broker(self.world, broker)
        narrator.observe(f"created keys, and certificates for the gateway and for the program {CLIENT}")
        self.world.make_repository()
        write_configuration(self.world, mqtt_link(broker))
        files = (broker.folder / name for name in ("ca.crt", f"{CLIENT}.crt", f"{CLIENT}.key"))
        self._client = OperationClient(ClientSettings("localhost", FLEET, CLIENT, broker.port, *files))
        self._client.__enter__()
        context = OperationContext(self.world, narrator, self.start(), self._client, self)
        bucket = {"name": BUCKET, "descriptor": WINDOW, "keep": {"items": KEPT}}
        node = {"functions": {}, "storage": {"buckets": [bucket]}}
        context.commit(
            "Make the gateway a node, with a bucket",
            {
                "fleet.yaml": document("Fleet", FLEET, {}),
                "gateway.yaml": document("Gateway", GATEWAY, {"selector": {}, "links": {"mqtt": {}}, "node": node}),
            },
        )
        context.wait("the node", lambda: context.gateway().get("NodeServing", {}).get("status") == "True")
        return context

    def start(self) -> Any:  # noqa: ANN401 - a process
        """Start the daemon of the gateway."""
        return self.world.start("gateway", TINYFLEET, "run", "--config", self.world.folder / "gateway.toml")

    def stop(self) -> None:
        """Disconnect the program."""
        if self._client is not None:
            self._client.close()


def function(name: str, module: bytes, version: str = "1.0.0") -> dict[str, bytes]:
    """Return a function of windows: its document and its module."""
    path = f"functions/{name}.wat"
    spec = {
        "version": version,
        "operation": f"features.{name}",
        "source": {"path": path, "sha256": hashlib.sha256(module).hexdigest()},
        "inputs": [{"name": "window", **WINDOW}],
        "outputs": [{"name": name, "dtype": "int32", "shape": [3], "unit": "mg"}],
        "limits": {"fuel": 1_000_000, "timeMs": 60_000},  # so that fuel ends a function also on a busy machine
    }
    return {path: module, f"functions/{name}.yaml": document("Function", name, spec)}
