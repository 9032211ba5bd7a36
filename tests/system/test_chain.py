# SPDX-License-Identifier: Apache-2.0
"""From a merged commit to a confirmed model and back into Git, and what happens when something is cut off or wrong."""

from __future__ import annotations

import re
import time

import pytest

from demo.site import SerialLine, Site, model, rollout
from demo.world import GATEWAY, threshold_model

WITHIN_S = 60
SECOND = threshold_model([3, -4, 2] * 40, 800)
LARGE = threshold_model([(7 * i * i) % 41 - 20 for i in range(3000)], 800)


def begin(site: Site, *options: str) -> None:
    """Bring a site to where its devices run what they were made with."""
    site.start_devices(*options)
    site.world.commit("Begin", site.first_files())
    site.start_gateway()
    site.world.wait_for("1.0.0", lambda: site.are_ready("1.0.0"), within_s=WITHIN_S)


def status_commits(site: Site) -> int:
    return int(site.world.run("git", "--git-dir", site.world.remote, "rev-list", "--count", f"status/{GATEWAY}"))


def test_a_commit_changes_what_runs_on_every_device(site: Site) -> None:
    begin(site)
    site.world.commit("1.1.0", {"rollout.yaml": rollout("1.1.0"), **model("1.1.0", SECOND)})
    site.world.wait_for("1.1.0", lambda: site.are_ready("1.1.0"), within_s=WITHIN_S)
    readme = site.world.status_file("README.md")
    assert readme is not None
    assert "3 of 3 devices" in readme


def test_going_back_needs_no_blocks(site: Site) -> None:
    """A revert is a newer envelope around the older digest: what the device holds does not travel."""
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


def test_a_killed_daemon_goes_on_where_it_was(site: Site) -> None:
    site.link = SerialLine(9600)  # slow enough to be killed on the way
    site.start_devices()
    site.world.commit("Begin", site.first_files())
    site.start_gateway()
    site.world.wait_for("1.0.0", lambda: site.are_ready("1.0.0"), within_s=WITHIN_S)
    begun = time.monotonic()
    site.world.commit("large", {"rollout.yaml": rollout("2.0.0"), **model("2.0.0", LARGE)})
    site.world.wait_for("a transfer under way", lambda: "phase=1" in site.phases(), within_s=WITHIN_S)
    site.world.wait_for("some blocks", lambda: time.monotonic() > begun + 4, within_s=10)
    site.gateway.kill()
    site.start_gateway()
    site.world.wait_for("2.0.0", lambda: site.are_ready("2.0.0"), within_s=WITHIN_S)
    sent = [int(count) for count in re.findall(r"vibration@2\.0\.0: Confirmed \((\d+) blocks", site.gateway.said)]
    assert len(sent) == len(site.devices)
    assert min(sent) < 10  # of 12: the others had arrived before the kill


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
    site.world.wait_for("a look around", lambda: time.monotonic() > deadline, within_s=10)
    assert status_commits(site) == before


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [("not: [yaml", "Invalid"), ("apiVersion: tinyfleet/v1alpha1\nkind: Rollot\n", "Invalid")],
)
def test_a_wrong_commit_leaves_the_last_good_one_in_force(site: Site, wrong: str, reason: str) -> None:
    begin(site)
    site.world.commit("oops", {"rollout.yaml": wrong.encode(), **model("1.1.0", SECOND)})
    site.world.wait_for(reason, lambda: f"**{reason}**" in (site.world.status_file("README.md") or ""), within_s=20)
    assert site.are_ready("1.0.0")
    site.world.commit("mended", {"rollout.yaml": rollout("1.1.0")})
    site.world.wait_for("1.1.0", lambda: site.are_ready("1.1.0"), within_s=WITHIN_S)


def test_an_unsigned_commit_is_refused_and_told(site: Site) -> None:
    begin(site)
    site.world.run("git", "config", "commit.gpgsign", "false", cwd=site.world.work)
    site.world.commit("unsigned", {"rollout.yaml": rollout("1.1.0"), **model("1.1.0", SECOND)})
    site.world.wait_for(
        "the reason", lambda: "UnsignedCommit" in (site.world.status_file("README.md") or ""), within_s=20
    )
    assert site.are_ready("1.0.0")


def test_a_model_that_fails_its_trial_is_left_and_not_tried_again(site: Site) -> None:
    begin(site, "--fault", "golden=1")
    site.world.commit("bad", {"rollout.yaml": rollout("1.1.0"), **model("1.1.0", SECOND)})

    def stopped() -> bool:
        reasons = {site.world.device_status(device)["conditions"][0]["reason"] for device in site.devices}
        return "Quarantined" in reasons and reasons <= {"Quarantined", "HeldFailureBudget"}

    site.world.wait_for("the rollout to stop", stopped, within_s=WITHIN_S)
    assert all(site.world.device_status(device)["model"] == "vibration@1.0.0" for device in site.devices)
