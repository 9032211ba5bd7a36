# SPDX-License-Identifier: Apache-2.0
"""A man in the middle answers orders in the name of devices: their updates are delayed, and nothing is decided."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from demo.site import MODEL, Site, model, rollout
from demo.world import threshold_model
from reconciler.devices.messages import Offer
from reconciler.report.rollout_file import read_rollout_file
from tests.devices.man_in_the_middle import answering
from tests.system.attacked_line import AttackedLine

WITHIN_S = 90
SECOND = threshold_model([3, -4, 2] * 40, 800)
REFUSED, FEIGNED, LEFT_ALONE = "pump-1", "pump-2", "pump-3"


@pytest.fixture
def attacked(site: Site) -> Iterator[AttackedLine]:
    """A line on which each offer to one device is refused, and each to another accepted, without either hearing it."""
    attacks = {REFUSED: answering(Offer, -16, withheld=True), FEIGNED: answering(Offer, 0, withheld=True)}
    with AttackedLine.of(site, attacks) as line:
        yield line


def test_forged_results_neither_stop_a_rollout_nor_confirm_it(site: Site, attacked: AttackedLine) -> None:
    site.start_devices("--infer-every", "0")
    site.world.commit("Begin", site.first_files())
    site.start_gateway()
    site.world.wait_for("1.0.0", lambda: site.are_ready("1.0.0"), within_s=WITHIN_S)
    spec = {"onFailure": "rollback"}
    site.world.commit("1.1.0", {"rollout.yaml": rollout("1.1.0", **spec), **model("1.1.0", SECOND)})
    site.world.wait_for("two tries", lambda: attacked.forged[1] > 1 and attacked.forged[2] > 1, within_s=WITHIN_S)
    site.world.wait_for("its update", lambda: site.is_ready(LEFT_ALONE, "1.1.0"), within_s=WITHIN_S)
    assert not site.is_ready(REFUSED, "1.1.0")
    assert not site.is_ready(FEIGNED, "1.1.0")
    assert "quarantin" not in (site.world.status_file("README.md") or "").lower()
    data = site.world.status_files()[f"rollouts/{MODEL}.yaml"]
    assert read_rollout_file(data).facts.report.stopped == ""

    attacked.give_up()
    site.world.wait_for("1.1.0", lambda: site.are_ready("1.1.0"), within_s=WITHIN_S)
