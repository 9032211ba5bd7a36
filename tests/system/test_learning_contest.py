# SPDX-License-Identifier: Apache-2.0
"""A device teaches itself, and what it has learned becomes a model that all may get.

Its starter is from before the machine got rougher, so it alarms. The forest that the device grows from its own windows
does not. The gateway fetches it, grows it again from the same rows, has it vote, and proposes it.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import pytest

from demo.gateway_configuration import Broker as BrokerLink
from demo.site import Site
from demo.world import GATEWAY, World, document
from reconciler.knowledge.reader import read_knowledge
from reconciler.knowledge.records import LearnedForest
from reconciler.knowledge.schema import KNOWLEDGE_FILE
from tests.firmware.broker import Authority, Broker
from tests.system.contest_site import (
    BROKEN,
    CONTEST,
    ROUGH,
    SINCE,
    SMOOTH,
    VOTERS,
    ContestSite,
    forest,
)
from tests.system.learning_site import EVERY, OPERATORS, OPTIONS, ROWS, LearningSite, learner, rollout

WITHIN_S = 120
DEVICE = "pump-00"
BRANCH = f"propose/{GATEWAY}/learned_{CONTEST}"

pytestmark = [pytest.mark.build, pytest.mark.timeout(900)]


def files(site: Site) -> dict[str, bytes]:
    """Return a contest whose champion is a starter, with three models that know the rougher machine."""
    first = {path: data for path, data in site.first_files().items() if path != "rollout.yaml"}
    contest = {
        "rollout": "vibration",
        "gateway": GATEWAY,
        "collect": {"every": "1s", "normal": 2, "lineShare": 90},
        "pool": {"models": [{"name": name, "version": "1.0.0"} for name in VOTERS], "local": True, "candidates": False},
        "candidates": {"models": ["forest"]},
        "replace": {"tenure": "1s", "decided": 20, "normals": 1, "falsePositives": 1000},
    }
    voters: dict[str, bytes] = {}
    for seed, name in enumerate(VOTERS, 2):
        voters |= forest(name, "1.0.0", SINCE, seed=seed, pool_only=True)
    return {
        **first,
        "fleet.yaml": document("Fleet", "demo", {"reportEvery": "5s", "silentAfter": "10m"}),
        **learner(mostAnomalous=30),
        **voters,
        "rollouts/pumps.yaml": rollout(),
        "contest.yaml": document("Contest", CONTEST, contest),
    }


def learned(site: ContestSite) -> list[LearnedForest]:
    """Return what the knowledge base has of forests of devices."""
    path = site.state_dir / KNOWLEDGE_FILE
    if not path.exists():
        return []
    with read_knowledge(path, daemon_runs=True) as knowledge:
        return knowledge.learned_forests()


def running_models(site: ContestSite) -> set[tuple[str, str]]:
    """Return which models made the samples, by name and version."""
    with read_knowledge(site.state_dir / KNOWLEDGE_FILE, daemon_runs=True) as knowledge:
        return {(each.model.name, each.model.version) for each in knowledge.contexts().values()}


def proposed(site: ContestSite) -> str:
    listed = site.world.run("git", "--git-dir", site.world.remote, "for-each-ref", f"refs/heads/{BRANCH}")
    return listed.split()[0] if listed else ""


@pytest.mark.usefixtures("firmware")
def test_what_a_device_has_learned_is_proposed_as_a_model_for_all() -> None:
    with tempfile.TemporaryDirectory(prefix="site") as folder, World(Path(folder)) as world:
        authority = Authority(world.folder / "pki")
        for name in (GATEWAY, DEVICE):
            authority.issue(name)
        broker = Broker(world.folder, authority)
        try:
            site = Site(world, (DEVICE,), BrokerLink(broker.port, authority.folder), operators=OPERATORS)
            site.set_up()
            play(ContestSite(site))
        finally:
            broker.stop()


def play(site: ContestSite) -> None:
    world, learning = site.world, LearningSite(site.site)

    def wait(what: str, condition: Any) -> Any:  # noqa: ANN401 - what the condition found
        return world.wait_for(what, condition, within_s=WITHIN_S)

    site.site.start_devices(*OPTIONS)
    world.commit("Begin", files(site.site))
    site.site.start_gateway()
    wait("it collects rows", lambda: learning.is_at(DEVICE, "CollectingRows"))
    site.feel(DEVICE, 31, EVERY * ROWS, ROUGH)
    wait("it has grown a forest", lambda: learning.is_at(DEVICE, "ForestGrown"))
    (forest_of_it,) = wait("the gateway has grown it, too", lambda: learned(site))
    assert (forest_of_it.device, forest_of_it.rows) == (DEVICE, ROWS)
    site.feel(DEVICE, 32, 30, ROUGH)
    site.feel(DEVICE, 33, 3, SMOOTH)
    site.feel(DEVICE, 34, 6, BROKEN)
    head = wait("its forest is proposed", lambda: proposed(site))
    version = f"learned-{forest_of_it.sha256.hex()[:12]}"
    assert ("forest", version) in running_models(site)
    site.site.gateway.kill()
    site.site.start_gateway()
    message = world.run("git", "--git-dir", world.remote, "cat-file", "commit", head)
    assert f"Device: {DEVICE}" in message
    assert f"Forest: sha256:{forest_of_it.sha256.hex()}" in message
    world.run("git", "fetch", "-q", "origin", cwd=world.work)
    world.run("git", "merge", "-q", "--no-ff", "-S", "-m", "Take it", f"origin/{BRANCH}", cwd=world.work)
    merged = world.push()
    wait("the merge is enforced", lambda: world.enforced() == merged)
    wait("the branch is deleted", lambda: not proposed(site))
    world.commit("Give it to all", {"rollouts/pumps.yaml": rollout(version)})
    wait("it runs as any other model", lambda: site.runs(version))
    assert learning.condition(DEVICE) == {}
