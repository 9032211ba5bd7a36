# SPDX-License-Identifier: Apache-2.0
"""From a merged commit to a confirmed model and a status commit, and what happens on interruptions and mistakes."""

from __future__ import annotations

import re
import time

import pytest

from demo.site import SerialLine, Site, model, rollout
from demo.world import GATEWAY, threshold_model

WITHIN_S = 60
SECOND = threshold_model([3, -4, 2] * 40, 800)
LARGE = threshold_model([(7 * i * i) % 41 - 20 for i in range(3000)], 800)
LARGE_BLOCKS = 12
WRITTEN = 5  # flash operations of a device: some blocks have arrived


def begin(site: Site, *options: str) -> None:
    """Start a site, and wait until its devices run their pre-baked model."""
    site.start_devices(*options)
    site.world.commit("Begin", site.first_files())
    site.start_gateway()
    site.world.wait_for("1.0.0", lambda: site.are_ready("1.0.0"), within_s=WITHIN_S)


def status_commits(site: Site) -> int:
    return int(site.world.run("git", "--git-dir", site.world.remote, "rev-list", "--count", f"status/{GATEWAY}"))


def operations(site: Site) -> dict[str, int]:
    """Count the flash operations of each device that is receiving."""
    found = re.findall(r"^(\S+) alive=1 phase=1 .* operations=(\d+)", site.phases(), re.MULTILINE)
    return {name: int(count) for name, count in found}


def test_a_commit_changes_what_runs_on_every_device(site: Site) -> None:
    begin(site)
    site.world.commit("1.1.0", {"rollout.yaml": rollout("1.1.0"), **model("1.1.0", SECOND)})
    site.world.wait_for("1.1.0", lambda: site.are_ready("1.1.0"), within_s=WITHIN_S)
    readme = site.world.status_file("README.md")
    assert readme is not None
    assert "3 of 3 devices" in readme


def test_a_revert_needs_no_blocks(site: Site) -> None:
    """A revert is a newer envelope with the older digest: a pack that the device holds is not sent."""
    begin(site)
    site.world.commit("1.1.0", {"rollout.yaml": rollout("1.1.0"), **model("1.1.0", SECOND)})
    site.world.wait_for("1.1.0", lambda: site.are_ready("1.1.0"), within_s=WITHIN_S)
    before = site.world.device_status("pump-1")
    site.world.commit("back", {"rollout.yaml": rollout("1.0.0")})
    site.world.wait_for("1.0.0 again", lambda: site.are_ready("1.0.0"), within_s=WITHIN_S)
    after = site.world.device_status("pump-1")
    assert after["sequence"] == before["sequence"] + 1
    assert re.search(r"pump-1: vibration@1\.0\.0: Confirmed \(0 blocks sent", site.gateway.said)


def test_a_parameter_changes_without_a_pack(site: Site) -> None:
    begin(site)
    site.world.commit("threshold", {"rollout.yaml": rollout("1.0.0", parameters={"threshold": 1234})})
    site.world.wait_for(
        "the next sequence",
        lambda: site.are_ready("1.0.0") and site.world.device_status("pump-3")["sequence"] == 1,
        within_s=WITHIN_S,
    )


def test_a_killed_daemon_resumes_its_transfers(site: Site) -> None:
    site.link = SerialLine(9600)  # slow enough to be killed in the middle
    site.start_devices()
    site.world.commit("Begin", site.first_files())
    site.start_gateway()
    site.world.wait_for("1.0.0", lambda: site.are_ready("1.0.0"), within_s=WITHIN_S)
    site.world.commit("large", {"rollout.yaml": rollout("2.0.0"), **model("2.0.0", LARGE)})
    receiving = site.world.wait_for("a transfer in progress", lambda: operations(site), within_s=WITHIN_S)
    (device, before), *_ = receiving.items()
    site.world.wait_for("blocks", lambda: operations(site).get(device, 0) > before + WRITTEN, within_s=WITHIN_S)
    site.gateway.kill()
    site.start_gateway()
    site.world.wait_for("2.0.0", lambda: site.are_ready("2.0.0"), within_s=WITHIN_S)
    sent = [int(count) for count in re.findall(r"vibration@2\.0\.0: Confirmed \((\d+) blocks", site.gateway.said)]
    assert len(sent) == len(site.devices)
    assert min(sent) < LARGE_BLOCKS  # the others had arrived before the kill


def test_nothing_is_committed_when_nothing_changes(site: Site) -> None:
    begin(site)
    site.world.wait_for(
        "the parameters of each device",
        lambda: all("parameters" in site.world.device_status(device) for device in site.devices),
        within_s=WITHIN_S,
    )
    site.gateway.stop()  # which commits what there is to say
    before = status_commits(site)
    site.start_gateway()
    deadline = time.monotonic() + 4
    site.world.wait_for("some polls", lambda: time.monotonic() > deadline, within_s=10)
    assert status_commits(site) == before


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [("not: [yaml", "Invalid"), ("apiVersion: tinyfleet/v1alpha1\nkind: Rollot\n", "Invalid")],
)
def test_with_an_invalid_commit_the_last_valid_one_stays_enforced(site: Site, wrong: str, reason: str) -> None:
    begin(site)
    site.world.commit("a mistake", {"rollout.yaml": wrong.encode(), **model("1.1.0", SECOND)})
    site.world.wait_for(reason, lambda: f"**{reason}**" in (site.world.status_file("README.md") or ""), within_s=20)
    assert site.are_ready("1.0.0")
    site.world.commit("fixed", {"rollout.yaml": rollout("1.1.0")})
    site.world.wait_for("1.1.0", lambda: site.are_ready("1.1.0"), within_s=WITHIN_S)


def test_an_unsigned_commit_is_refused_and_reported(site: Site) -> None:
    begin(site)
    site.world.run("git", "config", "commit.gpgsign", "false", cwd=site.world.work)
    site.world.commit("unsigned", {"rollout.yaml": rollout("1.1.0"), **model("1.1.0", SECOND)})
    site.world.wait_for(
        "the reason", lambda: "UnsignedCommit" in (site.world.status_file("README.md") or ""), within_s=20
    )
    assert site.are_ready("1.0.0")


def test_a_model_that_fails_its_trial_is_quarantined(site: Site) -> None:
    begin(site, "--fault", "golden=1")
    site.world.commit("bad", {"rollout.yaml": rollout("1.1.0"), **model("1.1.0", SECOND)})

    def stopped() -> bool:
        reasons = {site.world.device_status(device)["conditions"][0]["reason"] for device in site.devices}
        return "Quarantined" in reasons and reasons <= {"Quarantined", "HeldFailureBudget"}

    site.world.wait_for("the rollout to stop", stopped, within_s=WITHIN_S)
    assert all(site.world.device_status(device)["model"] == "vibration@1.0.0" for device in site.devices)
