# SPDX-License-Identifier: Apache-2.0
"""A look at a fleet that works: served by its daemon, written as files, committed; all three of one truth."""

from __future__ import annotations

import re
import socket
import urllib.request

from click.testing import CliRunner

from demo.site import Site
from reconciler.cli import cli

WITHIN_S = 60


def test_a_daemon_shows_its_fleet_and_counters_make_no_commits(site: Site) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    toml = site.world.folder / "gateway.toml"
    text = re.sub(r"listen = .*", f'listen = "127.0.0.1:{port}"', toml.read_text())
    toml.write_text(text.replace("[status]\n", "[status]\npage = true\n"))
    site.start_devices("--infer-every", "20")
    site.world.wait_for("inferences", lambda: re.search(r"inferences=\d", phases_or_none(site)), within_s=WITHIN_S)
    site.world.commit("Begin", site.first_files())
    site.start_gateway()
    site.world.wait_for("1.0.0", lambda: site.are_ready("1.0.0"), within_s=WITHIN_S)
    wanted = f">{len(site.devices)}</b> where Git wants them"

    def committed() -> str | None:
        page = site.world.status_file("index.html") or ""
        return page if wanted in page and ">complete<" in page else None

    page = site.world.wait_for("the committed page", committed, within_s=WITHIN_S)
    assert all(f"devices/{device}.yaml" not in page for device in site.devices)  # none of them needs anybody
    assert "Links" not in page
    before = site.world.status_commit()

    def inferences() -> int:
        found = re.search(r"(\d+) inferences on 3 devices", served(port, "/").replace("\u202f", ""))
        return int(found[1]) if found is not None else 0

    earlier = site.world.wait_for("counters", inferences, within_s=WITHIN_S)
    site.gateway.stop()
    site.start_gateway()  # it asks all devices anew, and learns that they went on counting
    site.world.wait_for("the listener", lambda: listening(port), within_s=WITHIN_S)
    site.world.wait_for("other counters", lambda: inferences() > earlier, within_s=WITHIN_S)
    shown = served(port, "/")
    assert wanted in shown
    assert "115\u202f200 baud" in shown
    assert "vibration@1.0.0" in served(port, "/devices?name=pump-1&reason=Ready")
    device = served(port, "/devices/pump-1")
    assert "<dt>firmware</dt>" in device
    assert ">rollout</dt>" in device
    assert "Done (3)" in served(port, "/rollouts/" + re.findall(r'href="/rollouts/([\w-]+)"', shown)[0])
    folder = site.world.folder / "page"
    result = CliRunner().invoke(cli, ["status", "--page", str(folder), "--config", str(toml)])
    assert result.exit_code == 0, result.output
    assert wanted in (folder / "index.html").read_text("utf-8")
    assert site.world.status_commit() == before  # though everything was counted, asked and heard again


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
