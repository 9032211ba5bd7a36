# SPDX-License-Identifier: Apache-2.0
"""The fleet of the story of a contest: two pumps on a slow line, whose sensors feel what the story says."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from demo.narrator import Narrator
from demo.scene_context import StoryContext
from demo.site import SerialLine, Site
from demo.world import GATEWAY, NotObservedError, World, document

BAUD = 2400
PUMPS = ("pump-1", "pump-2")
OPERATORS = frozenset({"THRESHOLD", "TREE_ENSEMBLE", "LEARN"})
ROLLOUT, CONTEST = "pumps", "pumps"
LEARNED = f"learned_{CONTEST}"  # where a forest that a pump has grown is proposed
FOREST, FIRST, SECOND = "forest", "1.0.0", "1.1.0"
STARTER = "2.0.0"  # the same trees as the first, but devices learn with it
ROWS = 80  # that a device collects before it grows a forest
VOTERS = ("reference-a", "reference-b", "reference-c")  # too large for a pump, or meant to be: they vote alone
THRESHOLD = 0.62
FALSE_POSITIVES = 5
PATIENT = 1000  # false positives: a starter stays until the pumps have learned
SAMPLES_A_WINDOW = 32
NEW, WORN_IN, BROKEN = 200.0, 700.0, 9000.0  # the standard deviation of a pump's vibration
DEVICE_OPTIONS = ("--infer-every", "0", "--samples-bytes", "32768", "--learning-bytes", "32768")


class ContestFleet:
    """Two pumps, a gateway that may propose, and a fleet repository with a contest."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.site = Site(world, PUMPS, SerialLine(BAUD), operators=OPERATORS)

    def set_up(self, narrator: Narrator) -> ContestContext:
        """Create everything and start it."""
        self.site.set_up()
        self._let_the_gateway_propose()
        narrator.observe(f"two pumps on one line of {BAUD} baud, and a gateway with a key for proposals")
        self.site.start_devices(*DEVICE_OPTIONS)
        context = ContestContext(self.world, narrator, self.site.start_gateway(), self)
        context.commit("Create the fleet, with a contest", self.first_files())
        return context

    def stop(self) -> None:
        """All parts of this fleet are processes, which end with the world."""

    def feel(self, pump: str, seed: int, count: int, spread: float) -> int:
        """Give a pump's sensor windows of a vibration; return how many of them its model calls anomalous."""
        decisions = []
        for window in _windows(seed, count, spread):
            said = self.site.tell_devices(f"infer {pump} {window.tobytes().hex()}")
            found = re.search(r"decision=(-?\d+)", said)
            if found is None:
                raise NotObservedError(f"{pump} decided nothing: {said}")
            decisions.append(found[1] != "0")
        return sum(decisions)

    def first_files(self) -> dict[str, bytes]:
        """Return the files of the first commit."""
        before = _new_pumps()
        since = _recording(11, 60, *np.linspace(0.4 * NEW, 1.6 * WORN_IN, 12))  # pumps of every age
        voters: dict[str, bytes] = {}
        for seed, name in enumerate(VOTERS, 2):
            voters |= _forest(name, "1.0.0", since, seed=seed, pool_only=True)
        site = {path: data for path, data in self.site.first_files().items() if path != "rollout.yaml"}
        return {
            **site,
            "fleet.yaml": document("Fleet", "demo", {"reportEvery": "5s", "silentAfter": "10m"}),
            **_forest(FOREST, FIRST, before),
            **_forest(FOREST, SECOND, since, seed=1),
            **voters,
            **_rollout(FIRST),
            **_contest(local=False, false_positives=FALSE_POSITIVES),
        }

    @staticmethod
    def learning_files() -> dict[str, bytes]:
        """Return what has the pumps learn: a starter, its rollout, and a contest in which their forests vote."""
        learn = {"rows": ROWS, "every": 1, "seed": 9, "mostAnomalous": 30}
        return {
            **_forest(FOREST, STARTER, _new_pumps(), learn=learn),
            **_rollout(STARTER),
            **_contest(local=True, false_positives=PATIENT),
        }

    def _let_the_gateway_propose(self) -> None:
        folder = self.world.folder
        self.world.run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / "automation_key")
        kind, key = (folder / "automation_key.pub").read_text().split()[:2]
        (folder / "automation").write_text(f"{GATEWAY} {kind} {key}\n")
        path = folder / "gateway.toml"
        section = '[automation]\nallowed_signers = "automation"\nkey = "automation_key"\n'
        path.write_text(path.read_text().replace("[keys]\n", f"{section}[keys]\n"))


class ContestContext(StoryContext):
    """What the scenes of this story work with."""

    def __init__(self, world: World, narrator: Narrator, gateway_process: Any, pumps: ContestFleet) -> None:  # noqa: ANN401 - as in the base
        super().__init__(world, narrator, gateway_process)
        self.pumps = pumps

    def contest(self) -> Mapping[str, Any]:
        """Return what `tinyfleet contest show` shows."""
        return dict(self.query("contest", "show", CONTEST)[0])

    def proposal(self, of: str = CONTEST) -> str:
        """Return the commit that the gateway proposes on a branch of its own; empty if there is none."""
        ref = f"refs/heads/{branch(of)}"
        return self.world.run("git", "for-each-ref", "--format=%(objectname)", ref, cwd=self.world.remote).strip()


def branch(of: str = CONTEST) -> str:
    """Return the branch of a proposal."""
    return f"propose/{GATEWAY}/{of}"


def _rollout(version: str) -> dict[str, bytes]:
    spec = {"model": {"name": FOREST, "version": version}, "selector": {}}
    return {"rollouts/pumps.yaml": document("Rollout", ROLLOUT, spec)}


def _contest(*, local: bool, false_positives: int) -> dict[str, bytes]:
    spec = {
        "rollout": ROLLOUT,
        "collect": {"every": "1s", "normal": 2, "lineShare": 90},
        "pool": {"models": [{"name": name, "version": "1.0.0"} for name in VOTERS], "local": local},
        "candidates": {"models": [FOREST]},
        "replace": {"falsePositives": false_positives, "tenure": "1s", "decided": 5, "normals": 1},
    }
    return {"contests/pumps.yaml": document("Contest", CONTEST, spec)}


def _new_pumps() -> bytes:
    return _recording(1, 120, NEW)


def _windows(seed: int, count: int, spread: float) -> np.ndarray:
    drawn = np.random.default_rng(seed).normal(0, spread, (count, SAMPLES_A_WINDOW))
    return np.clip(drawn, -32_000, 32_000).astype("<i2")


def _recording(seed: int, count: int, *spreads: float) -> bytes:
    rows = np.concatenate([_windows(seed + number, count, spread) for number, spread in enumerate(spreads)])
    lines = [",".join(f"s{index}" for index in range(SAMPLES_A_WINDOW)), *(",".join(map(str, row)) for row in rows)]
    return "\n".join(lines).encode() + b"\n"


def _forest(  # noqa: PLR0913 - what makes a model
    name: str,
    version: str,
    data: bytes,
    *,
    seed: int = 0,
    pool_only: bool = False,
    learn: Mapping[str, int] | None = None,
) -> dict[str, bytes]:
    digest = hashlib.sha256(data).hexdigest()
    path = f"models/{digest[:8]}.csv"
    spec: dict[str, Any] = {
        "version": version,
        "source": {"path": path, "sha256": digest},
        "train": {
            "method": "isolation-forest",
            "trees": 10,
            "samples": 64,
            "seed": seed,
            "features": [{"statistic": "std"}, {"statistic": "peak"}],
        },
        "quantize": {"scheme": "int16"},
        "parameters": {"threshold": THRESHOLD, "sample-every": 0, **({"learn-generation": 0} if learn else {})},
        **({"poolOnly": True} if pool_only else {}),
        **({"learn": dict(learn)} if learn else {}),
    }
    return {path: data, f"models/{name}-{version}.yaml": document("Model", name, spec)}
