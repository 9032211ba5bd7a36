# SPDX-License-Identifier: Apache-2.0
"""The walking skeleton: a commit becomes a model that a device has confirmed, and the outcome is a commit again.

One device behind one gateway, everything real: signed commits in a Git repository, the daemon, the device agent in C
on a 2400-baud line, keys made for this run. Exits 0 only if each scene was observed.
"""

from __future__ import annotations

import hashlib
import os
import signal
import sys
import tempfile
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from demo.world import FLEET, GATEWAY, TINYFLEET, VDEV, World, document, threshold_model
from reconciler.build.interchange import threshold_pack
from reconciler.devices.flash_image import Identity, provisioned_region
from signing import names
from signing.keys import read_public_key

DEVICE = "pump-1"
BAUD = 2400
OPERATORS = frozenset({"THRESHOLD"})
FIRST, SECOND = threshold_model([3, -5, 2] * 20, 900), threshold_model([3, -4, 2] * 40, 800)


def say(text: str) -> None:
    """Tell what happens."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def make_keys(world: World) -> None:
    """Make the root and the gateway's key, and have the one delegate to the other."""
    passphrase = world.folder / "passphrase"
    passphrase.write_text(hashlib.sha256(os.urandom(32)).hexdigest())
    passphrase.chmod(0o600)
    root, gateway = world.folder / "root", world.folder / "gateway"
    secret = ("--passphrase-file", passphrase)
    world.run(TINYFLEET, "keys", "root", "init", root, *secret)
    world.run(TINYFLEET, "keys", "gateway", "init", gateway, "--fleet", FLEET)
    world.run(TINYFLEET, "keys", "delegate", gateway / "request.cose", "--root", root, "--fleet", FLEET, *secret)
    delegation = next(gateway.glob("*.cwt"))
    options = ("--root", root / "root.pub.pem", "--fleet", FLEET)
    world.run(TINYFLEET, "keys", "gateway", "install", gateway, delegation, *options)


def provision(world: World) -> str:
    """Make the device's first flash content; returns its public key for the fleet repository."""
    target = names.target(FLEET, DEVICE, names.Engine(pack_format=1, operators=OPERATORS))
    seed = os.urandom(32)
    identity = Identity(
        vendor=target.vendor,
        class_id=target.klass,
        device=target.device,
        root_public=read_public_key(world.folder / "root" / "root.pub.pem"),
        seed=seed,
        type_name="line-sensor",
        fleet=FLEET,
        name=DEVICE,
        address=1,
    )
    images = world.folder / "images"
    images.mkdir()
    (images / DEVICE).write_bytes(provisioned_region(identity, [threshold_pack(FIRST)]))
    return Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw().hex()


def fleet_files(public_key: str) -> dict[str, bytes]:
    """Write the first commit of the fleet repository."""
    return {
        "fleet.yaml": document("Fleet", FLEET, {"reportEvery": "30s"}),
        "gateway.yaml": document("Gateway", GATEWAY, {"selector": {}}),
        "type.yaml": document(
            "DeviceType",
            "line-sensor",
            {
                "architecture": "host",
                "slotBytes": 131072,
                "arenaBytes": 32768,
                "operators": sorted(OPERATORS),
                "prebaked": [{"name": "vibration", "version": "1.0.0"}],
            },
        ),
        "device.yaml": document(
            "Device",
            DEVICE,
            {
                "type": "line-sensor",
                "link": {"serial": {"port": "/dev/line", "baud": BAUD, "address": 1}},
                "publicKey": public_key,
            },
        ),
        "rollout.yaml": rollout("1.0.0"),
        **model("1.0.0", FIRST),
    }


def model(version: str, data: bytes) -> dict[str, bytes]:
    """Write one version of the model: its document and its file."""
    path = f"models/vibration-{version}.json"
    spec = {
        "version": version,
        "source": {"path": path, "sha256": hashlib.sha256(data).hexdigest()},
        "needs": {"operators": ["THRESHOLD"]},
    }
    return {path: data, f"models/vibration-{version}.yaml": document("Model", "vibration", spec)}


def rollout(version: str) -> bytes:
    """Write what the rollout wants."""
    return document("Rollout", "vibration", {"model": {"name": "vibration", "version": version}, "selector": {}})


def configuration(world: World) -> Path:
    """Write gateway.toml."""
    path = world.folder / "gateway.toml"
    path.write_text(
        f"""name = "{GATEWAY}"
state_dir = "state"
[repository]
url = "{world.remote}"
[signers]
allowed_signers = "allowed_signers"
[keys]
gateway = "gateway"
[[serial]]
name = "/dev/line"
port = "unix:{world.folder}/line"
[status]
interval = "500ms"
"""
    )
    return path


def main() -> None:
    """Tell the story."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # so that what was started is ended
    with tempfile.TemporaryDirectory(prefix="tinyfleet-demo-") as folder, World(Path(folder)) as world:
        say("keys: an offline root, a gateway key that it delegates to")
        make_keys(world)
        public_key = provision(world)
        world.make_repository()
        say("device: pump-1 on a 2400-baud line, provisioned with the pre-baked model vibration@1.0.0")
        world.start("vdev", VDEV, "--images", world.folder / "images", "--line", f"unix:{world.folder}/line")
        first = world.commit("Begin with what the devices were made with", fleet_files(public_key))
        say(f"commit {first[:12]}: the fleet, and a rollout of vibration@1.0.0")
        log = world.start("gateway", TINYFLEET, "run", "-v", "--config", configuration(world))

        def ready(version: str) -> bool:
            status = world.device_status(DEVICE)
            return status.get("model") == f"vibration@{version}" and status["conditions"][0]["status"] == "True"

        world.wait_for("1.0.0 in the status ref", lambda: ready("1.0.0"), within_s=60, log=log)
        say("status/bench: pump-1 runs vibration@1.0.0 and is ready")
        second = world.commit("Roll out vibration 1.1.0", {"rollout.yaml": rollout("1.1.0"), **model("1.1.0", SECOND)})
        say(f"commit {second[:12]}: roll out vibration@1.1.0")
        world.wait_for("1.1.0 in the status ref", lambda: ready("1.1.0"), within_s=90, log=log)
        say("status/bench: the device has received, checked, tried and confirmed vibration@1.1.0\n")
        say(world.status_file("README.md") or "")
        say("scenes=2/2")


if __name__ == "__main__":
    main()
