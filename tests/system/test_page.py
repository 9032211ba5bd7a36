# SPDX-License-Identifier: Apache-2.0
"""The fleet page of a running fleet: served by the daemon, written as files, and committed; all three agree."""

from __future__ import annotations

import asyncio
import json
import re
import socket
import time
import urllib.request

from click.testing import CliRunner

from demo.site import Site
from demo.world import FLEET, GATEWAY, document
from reconciler import config
from reconciler.cli import cli
from reconciler.daemon.assembly import assembled
from reconciler.daemon.fleet_page import FleetPage
from reconciler.daemon.instance_lock import held
from reconciler.daemon.metrics import Metrics
from reconciler.daemon.single_run import reconcile_once

WITHIN_S = 60


def test_a_daemon_shows_its_fleet_and_counters_make_no_commits(site: Site) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    toml = site.world.folder / "gateway.toml"
    text = re.sub(r"listen = .*", f'listen = "127.0.0.1:{port}"', toml.read_text())
    toml.write_text(text.replace("[status]\n", "[status]\npage = true\n"))
    site.start_devices("--infer-every", "20")
    site.world.wait_for(
        "inferences on every device",
        lambda: len(re.findall(r"inferences=[1-9]\d", phases_or_none(site))) == len(site.devices),
        within_s=WITHIN_S,
    )
    often = document("Fleet", FLEET, {"reportEvery": "1s"})
    site.world.commit("Begin", {**site.first_files(), "fleet.yaml": often})
    site.start_gateway()
    site.world.wait_for("1.0.0", lambda: site.are_ready("1.0.0"), within_s=WITHIN_S)
    wanted = f">{len(site.devices)}</b> ready"

    def committed() -> str | None:
        page = site.world.status_file("index.html") or ""
        return page if wanted in page and ">complete<" in page else None

    page = site.world.wait_for("the committed page", committed, within_s=WITHIN_S)
    assert all(f"devices/{device}.yaml" not in page for device in site.devices)  # none of them needs attention
    assert "Links" not in page
    before = site.world.status_commit() or ""

    def inferences() -> int:
        """Return the inferences as `status` counts them: pages and metrics may be half a minute behind."""
        result = CliRunner().invoke(cli, ["status", "--output", "json", "--config", str(toml)])
        found = json.loads(result.stdout)["models"].get("vibration@1.0.0", {"devices": 0})
        return int(found["inferences"]) if found["devices"] == len(site.devices) else 0

    earlier = site.world.wait_for("counters", inferences, within_s=WITHIN_S)
    site.gateway.stop()
    site.start_gateway()  # the devices have continued to count
    site.world.wait_for("the listener", lambda: listening(port), within_s=WITHIN_S)
    site.world.wait_for("other counters", lambda: inferences() > earlier, within_s=WITHIN_S)
    shown = served(port, "/")
    assert wanted in shown
    assert "inferences on 3 devices" in shown
    assert "115\u202f200 baud" in shown
    assert "vibration@1.0.0" in served(port, "/devices?name=pump-1&reason=Ready")
    device = served(port, "/devices/pump-1")
    assert "<dt>firmware</dt>" in device
    assert ">rollout</dt>" in device
    assert "Done (3)" in served(port, "/rollouts/" + re.findall(r'href="/rollouts/([\w-]+)"', shown)[0])
    folder = site.world.folder / "page"
    result = CliRunner().invoke(cli, ["status", "--output", "html", "--out", str(folder), "--config", str(toml)])
    assert result.exit_code == 0, result.output
    assert wanted in (folder / "index.html").read_text("utf-8")
    # Everything was counted and polled again. Whatever was committed since has a status that changed.
    news = (".yaml", ".json")  # of a device, a rollout or the gateway; and the statement about an artifact
    assert all(any(path.endswith(news) for path in paths) for paths in commits_since(site, before))


def test_the_pages_of_an_engine_in_this_process(site: Site) -> None:
    """The daemon's page, next to what the engine itself reports."""
    site.start_devices()
    site.world.commit("Begin", site.first_files())
    settings = config.read(site.world.folder / "gateway.toml")
    with held(settings.state_dir), assembled(settings) as assembly:
        metrics = Metrics(assembly, time.monotonic)
        page = FleetPage(assembly, metrics)
        assert page("/devices/pump-1", "") is None  # nothing is known yet
        assert page("/metrics", "") is None
        asyncio.run(reconcile_once(assembly, lambda _: None, deliver=True, timeout_s=WITHIN_S))
        shown = {path: (page(path, "") or b"").decode() for path in ("/", "/devices", "/devices/pump-1")}
        assert page("/devices/nobody", "") is None
        assert 'tinyfleet_devices{reason="Ready"} 3.0' in metrics.exposition().decode()
    assert f">{len(site.devices)}</b> ready" in shown["/"]
    assert all(f">{device}</a>" in shown["/devices"] for device in site.devices)
    assert "<dt>boots</dt>" in shown["/devices/pump-1"]


def commits_since(site: Site, commit: str) -> list[list[str]]:
    """Return the paths that each later commit of the status ref changed."""
    log = site.world._git("log", "--name-only", "--format=tformat:commit", f"{commit}..refs/heads/status/{GATEWAY}")
    assert log is not None
    return [each.split() for each in log.decode().split("commit\n")[1:]]


def phases_or_none(site: Site) -> str:
    try:
        return site.phases()
    except OSError:  # the devices do not listen yet
        return ""


def listening(port: int) -> bool:
    try:
        return served(port, "/healthz") == "ok\n"
    except OSError:
        return False


def served(port: int, path: str) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as answer:
        text: str = answer.read().decode()
    return text
