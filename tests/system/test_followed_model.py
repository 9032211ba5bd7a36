# SPDX-License-Identifier: Apache-2.0
"""A real daemon follows an alias of a registry: it pushes one signed proposal, which moves the rollout."""

from __future__ import annotations

import subprocess

import yaml

from demo.site import MODEL, PREBAKED_MODEL, Site, model
from demo.world import GATEWAY
from tests.registries.recorded_mlflow import RecordedMlflow

WITHIN_S = 120
BRANCH = f"refs/heads/propose/{GATEWAY}/model_{MODEL}"


def give_key(site: Site) -> None:
    """Give the gateway a key for proposals."""
    folder = site.world.folder
    site.world.run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / "automation-key")
    public = (folder / "automation-key.pub").read_text().split()
    (folder / "automation").write_text(f"{GATEWAY} {public[0]} {public[1]}\n")
    with (folder / "gateway.toml").open("a", encoding="utf-8") as file:
        file.write('\n[automation]\nkey = "automation-key"\nallowed_signers = "automation"\n')


def remote(site: Site, *words: str) -> str:
    done = subprocess.run(["git", "--git-dir", site.world.remote, *words], capture_output=True, text=True, check=False)
    return done.stdout


def test_a_daemon_proposes_what_an_alias_points_to(site: Site) -> None:
    registry = RecordedMlflow()
    with registry.served() as host:
        give_key(site)
        files = {**site.first_files(), **model("1.0.0", PREBAKED_MODEL)}
        path = next(name for name in files if name.startswith("models/") and name.endswith(".yaml"))
        document = yaml.safe_load(files[path])
        url = f"mlflow://{host}/pump-vibration@champion/model.tflite"
        document["spec"]["follow"] = {"url": url, "gateway": GATEWAY}
        site.start_devices()
        first = site.world.commit("Begin", {**files, path: yaml.safe_dump(document).encode()})
        site.start_gateway()
        site.world.wait_for("the proposal", lambda: remote(site, "rev-parse", "--verify", BRANCH), within_s=WITHIN_S)
        assert remote(site, "rev-list", "--count", f"{first}..{BRANCH}").strip() == "1"
        changed = remote(site, "diff", "--name-only", first, BRANCH).split()
        assert changed == [f"models/{MODEL}/mlflow-1/model.yaml", "rollout.yaml"]
        assert "-> vibration@mlflow-1 on" in remote(site, "log", "-1", "--format=%B", BRANCH)
        site.gateway.stop()
