# SPDX-License-Identifier: Apache-2.0
"""What a person does with a proposal: reads its evidence, declines it, or lets the gateway commit without them."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from typing import Any

import pytest

from demo.site import SerialLine, Site
from demo.world import World
from tests.system.contest_site import CONTEST, FALSE_POSITIVES, OPERATORS, ROUGH, SAMPLE_OPTIONS, SMOOTH, ContestSite

WITHIN_S = 240
DEVICE = "pump-1"

pytestmark = [pytest.mark.build, pytest.mark.timeout(900)]


@pytest.fixture
def made(firmware: None, world: World) -> ContestSite:  # noqa: ARG001 - must have been built
    site = Site(world, (DEVICE,), SerialLine(115_200), operators=OPERATORS)
    site.set_up()
    return ContestSite(site)


def wait(made: ContestSite, what: str, condition: Callable[[], Any]) -> Any:  # noqa: ANN401 - what the condition found
    return made.world.wait_for(what, condition, within_s=WITHIN_S)


def raise_false_alarms(made: ContestSite, files: dict[str, bytes]) -> None:
    made.site.start_devices(*SAMPLE_OPTIONS)
    made.world.commit("Begin", files)
    made.site.start_gateway()
    wait(made, "the champion runs", lambda: made.runs("1.0.0"))
    made.feel(DEVICE, 21, 8, SMOOTH)
    assert len(made.feel(DEVICE, 22, FALSE_POSITIVES + 2, ROUGH)[0]) >= FALSE_POSITIVES


def test_a_proposal_that_is_declined_stays_declined_over_a_restart(made: ContestSite) -> None:
    raise_false_alarms(made, made.files())
    world = made.world
    commit = wait(made, "the proposal", made.proposal)
    message = world.run("git", "show", "--no-patch", "--format=%B", commit, cwd=world.remote)
    stated = re.search(r"^Evidence: (\S+) (\S+) sha256:([0-9a-f]{64})$", message, re.MULTILINE)
    assert stated is not None, message

    def evidence_is_published() -> bool:
        found = world.file_at(stated[1], stated[2])
        return found is not None and hashlib.sha256(found.encode()).hexdigest() == stated[3]

    wait(made, "the evidence in the status branch", evidence_is_published)
    wait(made, "Open", lambda: made.condition("Proposed").get("reason") == "Open")
    world.run("git", "push", "-q", "origin", f":propose/bench/{CONTEST}", cwd=world.work)
    wait(made, "Declined", lambda: made.condition("Proposed").get("reason") == "Declined")
    made.site.gateway.stop()
    again = made.site.start_gateway()
    later = world.commit("Something else", {"README.md": b"a fleet\n"})
    wait(made, "the next commit", lambda: world.enforced() == later)
    wait(made, "a poll after that", lambda: again.log.count("is the newest") or None)
    assert made.condition("Proposed")["reason"] == "Declined"
    assert evidence_is_published()  # the status has changed since
    assert made.proposal() is None
    assert made.commits_by_gateway() == [commit]


def test_a_direct_contest_replaces_its_champion_without_a_person(made: ContestSite) -> None:
    configuration = made.world.folder / "gateway.toml"
    configuration.write_text(configuration.read_text().replace("[automation]\n", "[automation]\ndirect = true\n"))
    files = made.files()
    contest = files["contest.yaml"].rstrip() + b"\n  propose: direct\n"
    raise_false_alarms(made, {**files, "contest.yaml": contest})
    wait(made, "the successor runs", lambda: made.runs("1.1.0"))
    world = made.world
    head = world.run("git", "rev-parse", "main", cwd=world.remote).strip()
    assert made.commits_by_gateway() == [head]
    assert made.proposal() is None
    wait(made, "another round", lambda: made.status().get("champion", "").startswith("forest@1.1.0"))
    wait(made, "the count of replacements", lambda: made.status().get("replacements") == 1)
