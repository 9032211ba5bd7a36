# SPDX-License-Identifier: Apache-2.0
"""The fleet's keys: an offline root, and a gateway's key that it delegates to."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from demo.world import FLEET, TINYFLEET, World


def make_keys(world: World) -> None:
    """Make the root and the gateway's key, and have the one delegate to the other."""
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
    """Return how a command is told the passphrase."""
    return ("--passphrase-file", world.folder / "passphrase")


def root_key(world: World) -> Path:
    """Return where the root's public half is."""
    return world.folder / "root" / "root.pub.pem"
