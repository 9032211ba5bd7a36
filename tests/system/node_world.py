# SPDX-License-Identifier: Apache-2.0
"""A gateway that is a node: the daemon as installed, its broker as configured, and a client."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from demo.gateway_configuration import Broker as BrokerLink
from demo.gateway_configuration import mqtt_link
from demo.site import SerialLine, Site
from demo.world import FLEET, GATEWAY, World, document
from reconciler.client import ClientSettings, OperationClient
from tests.functions.modules import EXAMPLE
from tests.system.broker_site import BrokerSite

WITHIN_S = 60
CLIENT = "line-tool"
WINDOW = {"dtype": "int16", "shape": [None, 3], "unit": "mg"}
NODE: Mapping[str, Any] = {
    "functions": {},
    "storage": {"buckets": [{"name": "vibration", "descriptor": WINDOW, "keep": {"items": 3}}]},
}


class NodeWorld:
    """The gateway, the broker of its clients and, if there are any, devices behind that or on a line."""

    def __init__(  # noqa: PLR0913 - what a gateway may have
        self,
        world: World,
        name: str = GATEWAY,
        *,
        authority: Path | None = None,
        devices: tuple[str, ...] = (),
        line: SerialLine | None = None,
        operators: frozenset[str] | None = None,
    ) -> None:
        self.world, self.name = world, name
        folder = world.folder / "broker"
        folder.mkdir()
        self.broker = BrokerSite(folder, "p256", FLEET, authority=authority)
        self.broker.issue("gateway", name)
        self.broker.issue("client", CLIENT)
        for device in devices:
            self.broker.issue("device", device)
        self.broker.start()
        link = BrokerLink(self.broker.port, self.broker.certificates)
        more = {} if operators is None else {"operators": operators}
        self.site = Site(world, devices, link if line is None else line, **more)
        self.site.set_up()
        configuration = world.folder / "gateway.toml"
        text = configuration.read_text(encoding="utf-8") + ("" if line is None else mqtt_link(link))
        configuration.write_text(text.replace(f'"{GATEWAY}"', f'"{name}"').replace(f"/{GATEWAY}.", f"/{name}."))

    def ask(self, other: NodeWorld) -> None:
        """Give the gateway the address of the broker of another gateway, before it starts."""
        other.broker.issue("uplink", self.name, folder="uplinks")
        files = other.broker.certificates / "uplinks"
        lines = [
            *("", "[[uplink]]", f'gateway = "{other.name}"', 'host = "localhost"', f"port = {other.broker.port}"),
            *(f'ca = "{files}/ca.crt"', f'certificate = "{files}/{self.name}.crt"', f'key = "{files}/{self.name}.key"'),
        ]
        with (self.world.folder / "gateway.toml").open("a", encoding="utf-8") as configuration:
            configuration.write("\n".join(lines) + "\n")

    def stop(self) -> None:
        """End the broker; the world ends the daemon."""
        self.broker.stop()

    def begin(self, *more: Mapping[str, bytes], node: Mapping[str, Any] = NODE) -> None:
        """Commit a node, and start the daemon."""
        files = {**self.site.first_files(), "gateway.yaml": gateway(node)}
        self.world.commit("Begin", {**files, **{path: data for each in more for path, data in each.items()}})
        self.site.start_gateway()

    def client(self) -> OperationClient:
        """Return a client that is not connected yet."""
        return OperationClient(client_settings(self.broker, CLIENT))

    def condition(self, path: str, kind: str) -> Mapping[str, str]:
        """Return a condition from the status branch; empty if there is none."""
        text = self.world.status_file(path)
        conditions = yaml.load(text, yaml.CSafeLoader)["status"]["conditions"] if text else ()
        return next((each for each in conditions if each["type"] == kind), {})

    def wait_for_reason(self, path: str, kind: str, reason: str) -> Mapping[str, str]:
        """Wait until a condition on the status branch has a reason; empty: until it is gone."""

        def found() -> tuple[Mapping[str, str], ...]:
            condition = self.condition(path, kind)
            return (condition,) if condition.get("reason", "") == reason else ()

        condition: Mapping[str, str] = self.world.wait_for(f"{kind} {reason}", found, within_s=WITHIN_S)[0]
        return condition


def client_settings(broker: BrokerSite, name: str) -> ClientSettings:
    """Return how a client connects."""
    files = (broker.certificates / file for file in ("ca.crt", f"{name}.crt", f"{name}.key"))
    return ClientSettings("localhost", FLEET, name, broker.port, *files)


def gateway(node: Mapping[str, Any] | None, name: str = GATEWAY) -> bytes:
    """Return the document of the gateway; its label `site` is its name."""
    spec = {"selector": {"matchLabels": {"site": name}}}
    return document("Gateway", name, spec if node is None else {**spec, "node": dict(node)}, {"site": name})


def function(name: str, source: bytes | Path = EXAMPLE, **more: Any) -> dict[str, bytes]:  # noqa: ANN401 - fields
    """Return a function: its document and its module."""
    data = source if isinstance(source, bytes) else source.read_bytes()
    path = f"functions/{name}.wat"
    spec = {
        "version": "1.0.0",
        "operation": f"features.{name}",
        "source": {"path": path, "sha256": hashlib.sha256(data).hexdigest()},
        "inputs": [{"name": "window", **WINDOW}],
        "outputs": [{"name": "rms", "dtype": "int32", "shape": [3]}],
        "limits": {"fuel": 1_000_000, "timeMs": 60_000},  # so that a busy machine changes nothing
        **more,
    }
    return {path: data, f"functions/{name}.yaml": document("Function", name, spec)}
