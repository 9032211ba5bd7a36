# SPDX-License-Identifier: Apache-2.0
"""What people are told of a rollout by a real gateway: while it works, when it has ended, and from a clone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from click.testing import CliRunner

from demo.site import Site, model, rollout
from demo.world import threshold_model
from reconciler.cli import cli
from tests.daemon.receiver import Receiver

WITHIN_S = 60
SECOND = threshold_model([3, -4, 2] * 40, 800)


def told(*words: str | Path) -> Any:  # noqa: ANN401 - any JSON value
    result = CliRunner().invoke(cli, [*map(str, words), "--output", "json"])
    assert result.stdout, (result.output, result.exception)
    return json.loads(result.stdout)


def test_a_rollout_is_shown_explained_and_announced(site: Site) -> None:
    configuration = site.world.folder / "gateway.toml"
    secret = site.world.folder / "notify.secret"
    secret.write_bytes(b"0123456789abcdef")
    secret.chmod(0o600)
    receiver = Receiver()
    with receiver.served() as url:
        with configuration.open("a", encoding="utf-8") as file:
            file.write(f'\n[notify]\nurl = "{url}"\nsecret = "notify.secret"\n')
        site.start_devices()
        site.world.commit("Begin", site.first_files())
        gateway = site.start_gateway()
        site.world.wait_for("1.0.0", lambda: site.are_ready("1.0.0"), within_s=WITHIN_S)
        head = site.world.commit("1.1.0", {"rollout.yaml": rollout("1.1.0"), **model("1.1.0", SECOND)})
        site.world.wait_for("1.1.0", lambda: site.are_ready("1.1.0"), within_s=WITHIN_S)
        notice = site.world.wait_for("the notice", lambda: _of(receiver, head), within_s=WITHIN_S)
        assert (notice["event"], notice["model"]) == ("complete", "vibration@1.1.0")
        beside = told("rollout", "list", "--config", configuration)
        explained = told("explain", "pump-2", "--config", configuration)
        gateway.stop()
    (row,) = beside
    assert (row["state"], row["done"], row["devices"]) == ("complete", 3, 3)
    assert explained["next"] == ["no change until Git changes"]
    assert any("the last order:" in each["text"] for each in explained["history"])
    assert explained["commits"][0]["commit"] == head
    without = told("explain", "pump-2", "--config", configuration)
    assert "is not running" in without["next"][0]
    name = row["rollout"]
    history = told("rollout", "show", name, "--config", configuration)["history"]
    assert [each["model"] for each in history] == ["vibration@1.1.0", "vibration@1.0.0"]
    assert history[0]["outcome"] == "complete"
    readme = site.world.status_file("README.md")
    assert readme is not None
    assert f"| {name} | vibration@1.1.0 | Ready | ████████████ 3 of 3 |" in readme
    clone = site.world.folder / "clone"
    site.world.run("git", "clone", "-q", site.world.remote, clone)
    from_clone = told("rollout", "show", name, clone)
    assert (from_clone["state"], len(from_clone["history"])) == ("complete", 2)
    assert told("explain", "pump-2", clone)["next"] == ["no change until Git changes"]


def _of(receiver: Receiver, commit: str) -> Any:  # noqa: ANN401 - any JSON value
    while not receiver.taken.empty():
        document = receiver.taken.get_nowait().document
        if document["commit"] == commit or document["model"].endswith("@1.1.0"):
            return document
    return None
