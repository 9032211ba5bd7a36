# SPDX-License-Identifier: Apache-2.0
"""What commands, the README and the webhook show of a rollout: with a daemon, without one, and from a clone."""

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


def output_of(*words: str | Path) -> Any:  # noqa: ANN401 - any JSON value
    result = CliRunner().invoke(cli, [*map(str, words), "--output", "json"])
    assert result.stdout, (result.output, result.exception)
    return json.loads(result.stdout)


def test_a_rollout_is_listed_explained_and_announced(site: Site) -> None:
    configuration = site.world.folder / "gateway.toml"
    secret = site.world.folder / "webhook.secret"
    secret.write_bytes(b"0123456789abcdef")
    secret.chmod(0o600)
    receiver = Receiver()
    with receiver.served() as url:
        with configuration.open("a", encoding="utf-8") as file:
            file.write(f'\n[webhook]\nurl = "{url}"\nsecret = "webhook.secret"\n')
        site.start_devices()
        site.world.commit("Begin", site.first_files())
        gateway = site.start_gateway()
        site.world.wait_for("1.0.0", lambda: site.are_ready("1.0.0"), within_s=WITHIN_S)
        head = site.world.commit("1.1.0", {"rollout.yaml": rollout("1.1.0"), **model("1.1.0", SECOND)})
        site.world.wait_for("1.1.0", lambda: site.are_ready("1.1.0"), within_s=WITHIN_S)
        event = site.world.wait_for("the event", lambda: _event_of(receiver, head), within_s=WITHIN_S)
        assert (event["event"], event["model"]) == ("complete", "vibration@1.1.0")
        listed = output_of("rollout", "list", "--config", configuration)
        explained = output_of("explain", "pump-2", "--config", configuration)
        gateway.stop()
    (row,) = listed
    assert (row["state"], row["done"], row["devices"]) == ("complete", 3, 3)
    assert explained["next"] == ["nothing, until Git changes"]
    assert any("the last order was" in each["what"] for each in explained["done"])
    assert explained["commits"][0]["commit"] == head
    without = output_of("explain", "pump-2", "--config", configuration)
    assert "no daemon works" in without["next"][0]
    name = row["rollout"]
    history = output_of("rollout", "show", name, "--config", configuration)["history"]
    assert [each["model"] for each in history] == ["vibration@1.1.0", "vibration@1.0.0"]
    assert history[0]["outcome"] == "complete"
    readme = site.world.status_file("README.md")
    assert readme is not None
    assert f"| {name} | vibration@1.1.0 | Ready | ████████████ 3 of 3 |" in readme
    clone = site.world.folder / "clone"
    site.world.run("git", "clone", "-q", site.world.remote, clone)
    from_clone = output_of("rollout", "show", name, clone)
    assert (from_clone["state"], len(from_clone["history"])) == ("complete", 2)
    assert output_of("explain", "pump-2", clone)["next"] == ["nothing, until Git changes"]


def _event_of(receiver: Receiver, commit: str) -> Any:  # noqa: ANN401 - any JSON value
    while not receiver.taken.empty():
        document = receiver.taken.get_nowait().document
        if document["commit"] == commit or document["model"].endswith("@1.1.0"):
            return document
    return None
