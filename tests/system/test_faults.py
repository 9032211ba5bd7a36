# SPDX-License-Identifier: Apache-2.0
"""Faults of every kind, with the real parts: nothing is lost, only what Git allows runs, and everything converges."""

from __future__ import annotations

import contextlib
import itertools
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from demo.site import Site, model, rollout
from demo.world import GATEWAY, threshold_model
from tests import mosquitto
from tests.firmware.broker import Broker

WITHIN_S = 90
SECOND = threshold_model([3, -4, 2] * 40, 800)
THIRD = threshold_model([2, -4, 2] * 50, 700)


def begin(site: Site) -> None:
    site.start_devices("--infer-every", "0")
    site.world.commit("Begin", site.first_files())
    site.start_gateway()
    arrive(site, "1.0.0")


def arrive(site: Site, version: str) -> None:
    site.world.wait_for(version, lambda: site.are_ready(version), within_s=WITHIN_S)


def roll_out(site: Site, version: str, data: bytes) -> None:
    site.world.commit(version, {"rollout.yaml": rollout(version), **model(version, data)})


def readme(site: Site) -> str:
    return site.world.status_file("README.md") or ""


# ---------------------------------------------------------------- the daemon is killed


@pytest.mark.parametrize("log_line", ["was fetched", "building", "built", "blocks sent", "Confirmed"])
def test_a_daemon_that_is_killed_here_continues(broker_site: Site, log_line: str) -> None:
    site = broker_site
    site.start_devices("--infer-every", "0")
    site.world.commit("Begin", site.first_files())
    site.start_gateway()
    arrive(site, "1.0.0")
    roll_out(site, "1.1.0", SECOND)
    seen = site.gateway.said.count(log_line)
    with contextlib.suppress(AssertionError):
        site.world.wait_for(log_line, lambda: site.gateway.said.count(log_line) > seen, within_s=20)
    site.gateway.kill()
    site.start_gateway()
    arrive(site, "1.1.0")


def test_a_daemon_that_is_killed_again_and_again_finishes(broker_site: Site) -> None:
    """Each run is a little longer than the last, so that the kills hit later and later steps."""
    site = broker_site
    site.start_devices("--infer-every", "0")
    site.world.commit("Begin", site.first_files())
    roll_out(site, "1.1.0", SECOND)
    for life in itertools.count():
        site.start_gateway()
        try:
            site.world.wait_for("1.1.0", lambda: site.are_ready("1.1.0"), within_s=1.2**life)
        except AssertionError:
            site.gateway.kill()
        else:
            break
    assert all(site.world.device_status(device)["sequence"] < 20 for device in site.devices)


# ---------------------------------------------------------------- its surroundings fail


def test_a_broker_that_stops_and_comes_back(broker_site: Site, broker: Broker) -> None:
    site = broker_site
    begin(site)
    broker.stop()
    site.world.wait_for("the reason in the status", lambda: "LinkDown" in readme(site), within_s=WITHIN_S)
    roll_out(site, "1.1.0", SECOND)
    broker.start()
    arrive(site, "1.1.0")
    site.world.wait_for("Ready", lambda: "**Ready**" in readme(site), within_s=WITHIN_S)


def damage_database(state: Path) -> None:
    data = bytearray((state / "state.db").read_bytes())
    data[100:4000] = b"\x5a" * 3900
    (state / "state.db").write_bytes(data)


def damage_mirror(state: Path) -> None:
    for file in [*(state / "mirror.git" / "objects").rglob("*.pack"), state / "mirror.git" / "HEAD"]:
        file.chmod(0o644)
        file.write_bytes(b"rot" * 100)


def damage_artifacts(state: Path) -> None:
    for file in (path for path in (state / "artifacts").rglob("*") if path.is_file()):
        file.write_bytes(file.read_bytes()[:-7] + b"\0" * 7)


def lose_everything(state: Path) -> None:
    shutil.rmtree(state)


@pytest.mark.parametrize("damage", [damage_database, damage_mirror, damage_artifacts, lose_everything])
def test_damaged_or_lost_files_of_the_gateway_are_rebuilt(broker_site: Site, damage: Callable[[Path], None]) -> None:
    site = broker_site
    begin(site)
    roll_out(site, "1.1.0", SECOND)
    arrive(site, "1.1.0")
    assert site.gateway.stop() == 0
    damage(site.world.folder / "state")
    site.start_gateway()
    roll_out(site, "1.2.0", THIRD)
    arrive(site, "1.2.0")


@pytest.mark.parametrize("days", ["-2d", "+40d"])
def test_a_clock_that_jumps(site: Site, days: str) -> None:
    """Over a serial line: with a clock that is days off, TLS rightly finds no certificate valid."""
    begin(site)
    site.gateway.stop()
    (library,) = Path("/usr/lib").glob("*/faketime/libfaketime.so.1")  # not the program: it would get the signals
    site.start_gateway("env", f"LD_PRELOAD={library}", f"FAKETIME={days}")
    roll_out(site, "1.1.0", SECOND)
    arrive(site, "1.1.0")
    site.gateway.stop()
    site.start_gateway()
    roll_out(site, "1.2.0", THIRD)
    arrive(site, "1.2.0")


@pytest.fixture
def small_disk(broker_site: Site) -> Path:
    """A file system of a few megabytes for the gateway's state."""
    state = broker_site.world.folder / "state"
    state.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=4m", "none", str(state)], check=False, capture_output=True
    )
    if mounted.returncode != 0:
        pytest.skip("mounting needs root")
    return state


def test_a_full_disk_is_reported_and_recovered_from(broker_site: Site, small_disk: Path) -> None:
    site = broker_site
    try:
        begin(site)
        ballast = small_disk / "ballast"
        with contextlib.suppress(OSError), ballast.open("wb") as file:
            while True:
                file.write(b"\0" * 65536)
                file.flush()
        roll_out(site, "1.1.0", SECOND)
        site.world.wait_for(
            "a log line about it",
            lambda: "No space left" in site.gateway.said or "full" in site.gateway.said,
            within_s=WITHIN_S,
        )
        ballast.unlink()
        if site.gateway.ended_by_itself:  # as systemd would
            site.start_gateway()
        arrive(site, "1.1.0")
    finally:
        site.gateway.stop()
        subprocess.run(["umount", "-l", str(small_disk)], check=True)


# ---------------------------------------------------------------- Git


def test_a_rewritten_history_is_refused_and_reported(broker_site: Site) -> None:
    site = broker_site
    begin(site)
    roll_out(site, "1.1.0", SECOND)
    arrive(site, "1.1.0")
    work = site.world.work
    site.world.run("git", "reset", "-q", "--hard", "HEAD~1", cwd=work)
    site.world.commit("another past", {"note.txt": b"nothing\n"}, force=True)
    site.world.wait_for("the reason", lambda: "HistoryRewritten" in readme(site), within_s=WITHIN_S)
    assert site.are_ready("1.1.0")


# ---------------------------------------------------------------- devices


def test_all_devices_reboot_in_the_middle_of_a_rollout(broker_site: Site) -> None:
    site = broker_site
    begin(site)
    roll_out(site, "1.1.0", SECOND)
    site.tell_devices("restart *")
    arrive(site, "1.1.0")
    before = site.world.run("git", "--git-dir", site.world.remote, "rev-list", "--count", f"status/{GATEWAY}")
    site.tell_devices("restart *")
    roll_out(site, "1.2.0", THIRD)
    arrive(site, "1.2.0")
    assert before


def test_a_device_that_sends_garbage_harms_no_other(broker_site: Site, broker: Broker) -> None:
    site = broker_site
    begin(site)
    loud = site.devices[0]
    client = broker.client(loud)
    topic = f"tinyfleet/demo/{loud}/up"
    for number in range(5000):
        client.publish(topic, bytes([number % 256]) * (number % 300), qos=0)
    roll_out(site, "1.1.0", SECOND)
    others = site.devices[1:]
    site.world.wait_for("the others", lambda: all(site.is_ready(each, "1.1.0") for each in others), within_s=WITHIN_S)
    mosquitto.disconnect(client)
    arrive(site, "1.1.0")


def test_a_device_with_another_key_is_ignored(broker_site: Site) -> None:
    """An impostor in the name of a device: none of its reports counts."""
    site = broker_site
    impostor = site.devices[1]
    site.forget_key(impostor)
    site.start_devices("--infer-every", "0")
    site.world.commit("Begin", site.first_files())
    site.start_gateway()
    others = [device for device in site.devices if device != impostor]
    site.world.wait_for("the others", lambda: all(site.is_ready(each, "1.0.0") for each in others), within_s=WITHIN_S)
    assert site.world.device_status(impostor)["conditions"][0]["status"] != "True"
    assert site.world.device_status(impostor)["running"] is None
