# SPDX-License-Identifier: Apache-2.0
"""Another root for a fleet that runs: the daemon has its devices follow, and nobody touches them."""

from __future__ import annotations

from demo.signing_keys import passphrase_options
from demo.site import Site, model, rollout
from demo.world import FLEET, TINYFLEET, threshold_model

WITHIN_S = 60
SECOND = threshold_model([3, -4, 2] * 40, 800)


def rotate_root(site: Site) -> None:
    """Do what docs/keys.md says."""
    world, secret = site.world, passphrase_options(site.world)
    old, new, gateway = (world.folder / name for name in ("root", "next-root", "gateway"))
    world.run(TINYFLEET, "keys", "root", "init", new, *secret)
    world.run(TINYFLEET, "keys", "root", "rotate", new, "--root", old, *secret)
    world.run(TINYFLEET, "keys", "delegate", gateway / "request.cose", "--root", new, "--fleet", FLEET, *secret)
    of_root = ("--root", new / "root.pub.pem", "--rotation", new / "rotation.cwt")
    install = (TINYFLEET, "keys", "gateway", "install", gateway, gateway / "request.cwt", "--fleet", FLEET)
    world.run(*install, *of_root)


def test_devices_follow_another_root_and_take_its_orders(site: Site) -> None:
    site.start_devices("--infer-every", "0")
    site.world.commit("Begin", site.first_files())
    gateway = site.start_gateway()
    site.world.wait_for("1.0.0", lambda: site.are_ready("1.0.0"), within_s=WITHIN_S)
    assert gateway.stop() == 0

    rotate_root(site)
    site.start_gateway()
    site.world.commit("1.1.0", {"rollout.yaml": rollout("1.1.0"), **model("1.1.0", SECOND)})
    site.world.wait_for("1.1.0", lambda: site.are_ready("1.1.0"), within_s=WITHIN_S)
    assert site.gateway.said.count(" follows root ") == len(site.devices)
    assert "refuse" not in site.gateway.said
