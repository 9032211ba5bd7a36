# SPDX-License-Identifier: Apache-2.0
"""The gateway.toml of a demo or a system test."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from demo.world import GATEWAY, World


@dataclass(frozen=True)
class Broker:
    """A broker with TLS: `folder` has ca.crt, and for each client NAME.crt and NAME.key."""

    port: int
    folder: Path


def write_configuration(world: World, *links: str, listen: str = "", store: Path | None = None) -> Path:
    """Write the configuration; `listen` is the address of the fleet page, `store` the build store."""
    path = world.folder / "gateway.toml"
    build = f'[build]\nstore = "{store}"\n' if store else ""
    path.write_text(
        f"""name = "{GATEWAY}"
state_dir = "state"
[repository]
url = "{world.remote}"
[signers]
allowed_signers = "allowed_signers"
[keys]
gateway = "gateway"
[status]
interval = "500ms"
[http]
listen = "{listen}"
{build}{"".join(links)}"""
    )
    return path


def mqtt_link(broker: Broker) -> str:
    """Return the section of a broker."""
    folder = broker.folder
    return f"""[mqtt]
host = "localhost"
port = {broker.port}
ca = "{folder}/ca.crt"
certificate = "{folder}/{GATEWAY}.crt"
key = "{folder}/{GATEWAY}.key"
"""


def serial_link(name: str, socket: Path) -> str:
    """Return the section of a serial line whose other end is a Unix socket."""
    return f'[[serial]]\nname = "{name}"\nport = "unix:{socket}"\n'
