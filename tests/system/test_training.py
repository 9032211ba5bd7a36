# SPDX-License-Identifier: Apache-2.0
"""A machine got rougher, and no candidate knows it: a training makes one, a person merges it, the contest proposes it.

The daemon, the agents, the line and the repository are real. The daemon is killed while trials run.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest
import yaml

from demo.site import SerialLine, Site
from demo.world import GATEWAY, World, document
from tests.system.contest_site import (
    BROKEN,
    CONTEST,
    OPERATORS,
    ROUGH,
    SAMPLE_OPTIONS,
    SINCE,
    SMOOTH,
    VOTERS,
    ContestSite,
    forest,
)

WITHIN_S = 400
DEVICES = ("pump-1", "pump-2", "pump-3")
NAME = "nightly"
FINDS_FAULTS = 0.62  # the pool calls a fault anomalous from this threshold on down
BRANCH = f"propose/{GATEWAY}/training_{NAME}"
TRAINING = {
    "contest": CONTEST,
    "model": "forest",
    "when": {"newWindows": 60},
    "data": {"holdout": 40},
    "try": [
        {
            "method": "isolation-forest",
            "trees": [10, 20],
            "samples": [32, 64],
            "features": {"choose": [2, 3], "of": [{"statistic": name} for name in ("std", "peak", "rms", "mean")]},
        }
    ],
    "trials": 12,
    "objective": {"metric": "false-alarms-per-1000", "detection": 60},
}

pytestmark = [pytest.mark.build, pytest.mark.timeout(1800)]


class TrainingSite(ContestSite):
    """A site whose contest has no candidate but the champion, until a training makes one."""

    def all_files(self) -> dict[str, bytes]:
        files = {path: data for path, data in self.files(margin=5).items() if path != "models/forest-1.1.0.yaml"}
        for seed, voter in enumerate(VOTERS, 2):
            files |= forest(voter, "1.0.0", SINCE, seed=seed, pool_only=True, threshold=FINDS_FAULTS)
        return {**files, "training.yaml": document("Training", NAME, TRAINING)}

    def live_through(self) -> None:
        """Have each machine run smoothly and roughly in turn, after two faults: the run that follows knows of some."""
        for place, device in enumerate(DEVICES):
            self.feel(device, 100 * place + 99, 2, BROKEN)
            for turn in range(4):
                seed = 100 * place + 10 * turn
                self.feel(device, seed, 6, SMOOTH)
                self.feel(device, seed + 1, 3, ROUGH)

    def training(self) -> Mapping[str, Any]:
        """Return the training's status on the status branch."""
        text = self.world.status_file(f"trainings/{NAME}.yaml")
        return yaml.load(text, yaml.CSafeLoader)["status"] if text else {}

    def trained(self) -> Mapping[str, Any]:
        """Return the condition `Trained`."""
        found = [each for each in self.training().get("conditions", []) if each["type"] == "Trained"]
        return found[0] if found else {}

    def head_of(self, branch: str) -> str | None:
        git = ("git", "--git-dir", self.world.remote)
        listed = self.world.run(*git, "for-each-ref", "--format=%(objectname)", f"refs/heads/{branch}")
        return listed.strip() or None

    def merge_branch(self, branch: str) -> str:
        """Merge a proposal as a person does; return the commit."""
        work = self.world.work
        self.world.run("git", "fetch", "-q", "origin", cwd=work)
        self.world.run("git", "merge", "-q", "--no-ff", "-S", "-m", "Merge", f"origin/{branch}", cwd=work)
        return self.world.push()

    def changed_by(self, commit: str) -> list[str]:
        return self.world.run(
            "git", "--git-dir", self.world.remote, "diff-tree", "-r", "--name-only", "--no-commit-id", commit
        ).split()


@pytest.fixture
def made(firmware: None, world: World) -> TrainingSite:  # noqa: ARG001 - must have been built
    site = Site(world, DEVICES, SerialLine(115_200), operators=OPERATORS)
    site.set_up()
    return TrainingSite(site)


def test_a_training_makes_a_candidate_that_a_contest_proposes_and_a_merge_rolls_out(made: TrainingSite) -> None:
    def wait(what: str, condition: Callable[[], Any]) -> Any:  # noqa: ANN401 - what the condition found
        return made.world.wait_for(f"{what}\n{made.training()}", condition, within_s=WITHIN_S)

    world = made.world
    made.site.start_devices(*SAMPLE_OPTIONS)
    world.commit("Begin", made.all_files())
    made.site.start_gateway()
    wait("the champion runs", lambda: made.runs("1.0.0"))
    made.live_through()
    record = made.state_dir / "trainings" / NAME / "run.json"
    wait("trials run", record.exists)
    made.site.gateway.kill()
    begun = json.loads(record.read_bytes())
    made.site.start_gateway()
    commit = wait("models are proposed", lambda: made.head_of(BRANCH))
    wait("the status says so", lambda: made.trained().get("reason") == "Open")
    assert json.loads(record.read_bytes())["digest"] == begun["digest"]  # the run that was killed continued
    assert not (record.parent / "snapshot").exists()

    version = made.training()["best"][0]["model"].removeprefix("forest@")
    assert version.endswith(begun["digest"][:8])
    folder = f"models/forest/{version}"
    assert made.changed_by(commit) == [f"{folder}/{name}" for name in ("model.pack", "model.yaml", "provenance.json")]
    provenance = json.loads(world.file_at(commit, f"{folder}/provenance.json") or "")
    assert provenance["snapshot"]["sha256"] == begun["snapshot"]
    assert provenance["trial"]["of"] == 12
    assert provenance["score"]["detection"] >= 60

    merged = made.merge_branch(BRANCH)
    wait("the merge is enforced", lambda: world.enforced() == merged)
    wait("the branch is deleted", lambda: made.head_of(BRANCH) is None)
    wait("the status says that it was merged", lambda: made.trained().get("reason") == "Merged")
    wait("the contest proposes what was trained", made.proposal)
    assert f"forest@{version}" in made.status()["successor"]
    made.merge()
    wait("the trained model runs", lambda: made.runs(version))
    assert len(made.commits_by_gateway()) == 2
    assert len(VOTERS) < len(next(iter(made.tallies().values())))  # what was trained votes too
