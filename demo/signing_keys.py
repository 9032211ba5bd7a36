# SPDX-License-Identifier: Apache-2.0
"""The signing keys of a fleet: an offline root key, and a delegated gateway key."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from demo.world import FLEET, TINYFLEET, World


def make_keys(world: World) -> None:
    """Create the root key and the gateway key, and delegate to the gateway."""
    passphrase = world.folder / "passphrase"
    passphrase.touch(mode=0o600)
    passphrase.write_text(hashlib.sha256(os.urandom(32)).hexdigest())
    root, gateway = world.folder / "root", world.folder / "gateway"
    secret = passphrase_options(world)
    world.run(TINYFLEET, "keys", "root", "init", root, *secret)
    world.run(TINYFLEET, "keys", "gateway", "init", gateway, "--fleet", FLEET)
    world.run(TINYFLEET, "keys", "delegate", gateway / "request.cose", "--root", root, "--fleet", FLEET, *secret)
    delegation = next(gateway.glob("*.cwt"))
    world.run(TINYFLEET, "keys", "gateway", "install", gateway, delegation, "--root", root_key(world), "--fleet", FLEET)


def passphrase_options(world: World) -> tuple[str | Path, ...]:
    """Return the options that give a command the passphrase."""
    return ("--passphrase-file", world.folder / "passphrase")


def root_key(world: World) -> Path:
    """Return the path of the public root key."""
    return world.folder / "root" / "root.pub.pem"
