# SPDX-License-Identifier: Apache-2.0
"""`tinyfleet status --output html`: the state of a gateway as files."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from reconciler.daemon.instance_lock import held
from reconciler.model import Blocked, BlockedReason, DeviceId, NoChange, RolloutId
from reconciler.page.layout import MARK
from tests.cli.gateway_folder import FAILED, GatewayFolder, gateway_folder

RUNS_IT = NoChange(DeviceId("pump-1"), "runs wear@1")
SILENT = Blocked(DeviceId("pump-2"), RolloutId("wear"), BlockedReason.SILENT, "not reporting since noon")


@pytest.fixture
def gateway(tmp_path: Path) -> GatewayFolder:
    return gateway_folder(tmp_path)


def written(gateway: GatewayFolder) -> dict[str, str]:
    folder = gateway.folder / "page"
    result = gateway.tinyfleet("status", "--output", "html", "--out", str(folder))
    assert result.exit_code == 0, result.output
    return {str(path.relative_to(folder)): path.read_text("utf-8") for path in folder.rglob("*") if path.is_file()}


def test_files_show_what_status_shows(gateway: GatewayFolder) -> None:
    gateway.publish(RUNS_IT, SILENT)
    gateway.record_report("pump-1", timedelta(minutes=3))
    pages = written(gateway)
    assert pages.keys() == {"index.html", "devices.html", "devices/pump-1.html", "devices/pump-2.html"}
    assert "The daemon is not running" in pages["index.html"]
    assert "not reporting since noon" in pages["index.html"]
    assert "wear@1" in pages["index.html"]  # with its scores
    assert f"{FAILED[:12]}</code>: the trial failed with -31" in pages["devices/pump-1.html"]
    assert "GOLDEN_VECTORS_FAILED, INFERENCE_FAULT" in pages["devices/pump-1.html"]
    assert "never" in pages["devices/pump-2.html"]


def test_files_include_the_runtime_status(gateway: GatewayFolder) -> None:
    gateway.publish(RUNS_IT, SILENT)
    gateway.write_runtime_status()
    with held(gateway.folder / "state"):
        pages = written(gateway)
    assert "The daemon is not running" not in pages["index.html"]
    for text in ("1 update in progress", "building wear@3 for board", "auc is 0.7", "no such port", "pump-99"):
        assert text in pages["index.html"], text
    assert "14 messages in the name of pump-3 failed verification" in pages["index.html"]
    assert "wear@2 is to be transferred" in pages["devices/pump-1.html"]
    assert "lost: no answer to 6 questions" in pages["devices/pump-2.html"]


def test_stale_pages_are_removed_and_other_files_stay(gateway: GatewayFolder) -> None:
    gateway.publish(RUNS_IT, SILENT)
    assert "devices/pump-2.html" in written(gateway)
    folder = gateway.folder / "page"
    (folder / "about.html").write_text("<!DOCTYPE html><title>by hand</title>")
    (folder / "devices" / "notes.txt").write_bytes(MARK)
    (folder / "rollouts.html").mkdir()
    state = gateway.state()
    state.save_status_files({}, {"devices/pump-2.yaml"})
    state.close()
    assert written(gateway).keys() == {
        "index.html",
        "devices.html",
        "devices/pump-1.html",
        "devices/notes.txt",
        "about.html",
    }


def test_a_folder_that_cannot_be_written_is_reported(gateway: GatewayFolder) -> None:
    gateway.publish(RUNS_IT)
    (gateway.folder / "page").write_text("a file")
    result = gateway.tinyfleet("status", "--output", "html", "--out", str(gateway.folder / "page"))
    assert result.exit_code != 0
    assert "page" in result.output
