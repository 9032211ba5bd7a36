# SPDX-License-Identifier: Apache-2.0
"""From the fifth false positive to the replaced champion: the daemon, the agent on a line of 2400 baud, and real Git.

This runs in real time. The device gets windows of a healthy bearing, and its champion knows another one. The fifth
false positive comes right after the others were fetched, so the gateway notices it one whole interval later.
"""

from __future__ import annotations

import hashlib
import re
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from bench.bearings.dataset import BearingRun
from bench.contest.experiment import VotesOf
from bench.contest.forests import COLUMNS, FEATURES, HEALTHY_LIFE, SUBSAMPLE, THRESHOLD, BenchForest, training_windows
from bench.contest.literal_rule import FALSE_POSITIVES
from demo.site import MODEL, SerialLine, Site
from demo.world import GATEWAY, World, document
from reconciler.knowledge.reader import read_knowledge
from reconciler.model import ContestId, ModelRef

CONTEST = "bearings"
SENSOR = "pump-1"
OWN, FOREIGN = 0, 1  # bearings: the one that is measured, and the one that the first champion knows
POOL = [BenchForest(OWN, trees) for trees in (20, 30, 40)]
CHAMPION = BenchForest(FOREIGN, 10)
NORMAL, NORMALS = 2, 2  # one in two travels, and two do
WITHIN_S = 300.0
SETTLE_S, REST_S = 35.0, 60.0  # more than an interval of `collect`, and two of them


@dataclass(frozen=True)
class LoopTimes:
    """Seconds from the decision of the device on the fifth false positive."""

    proposal_s: float  # to the gateway's signed commit on the branch main
    confirmed_s: float  # to the status that shows the confirmed successor
    idle_commits: int  # in a minute when nothing happens, on any branch


def time_loop(run: BearingRun, votes: Sequence[VotesOf], trees: int) -> LoopTimes:
    """Replace a champion by a forest of this many trees."""
    with tempfile.TemporaryDirectory(prefix="loop") as folder, World(Path(folder)) as world:
        site = Site(world, (SENSOR,), SerialLine(2400), operators=frozenset({"THRESHOLD", "TREE_ENSEMBLE"}))
        site.set_up()
        return _Loop(world, site, run).play(_Windows.of(run, votes), trees)


@dataclass(frozen=True)
class _Windows:
    """Healthy windows that every forest of the bearing calls normal, by what the champion says of them."""

    false_positives: Sequence[bytes]
    normals: Sequence[bytes]

    @classmethod
    def of(cls, run: BearingRun, votes: Sequence[VotesOf]) -> _Windows:
        sound = ~np.any([called for forest, called in votes[OWN].items() if forest.bearing == OWN], axis=0)
        cries_wolf = votes[OWN][CHAMPION]
        healthy = run.life < HEALTHY_LIFE

        def inputs(chosen: np.ndarray) -> Sequence[bytes]:
            return [window.astype("<i2").tobytes() for window in run.windows[OWN][chosen & healthy]]

        return cls(inputs(sound & cries_wolf), inputs(sound & ~cries_wolf))


class _Loop:
    def __init__(self, world: World, site: Site, run: BearingRun) -> None:
        self._world = world
        self._site = site
        self._run = run

    def play(self, windows: _Windows, trees: int) -> LoopTimes:
        world = self._world
        self._allow_direct_commits()
        self._site.start_devices("--infer-every", "0", "--samples-bytes", "65536")
        begun = world.commit("Begin", self._files(trees))
        self._site.start_gateway()
        world.wait_for("the first champion", lambda: self._runs(CHAMPION), within_s=WITHIN_S)
        world.wait_for("votes", lambda: self._condition("Voting") == "Voting", within_s=WITHIN_S)
        self._feel(windows.normals[: NORMALS * NORMAL], anomalous=False)
        world.wait_for("the normal windows", partial(self._has_stored, NORMALS), within_s=WITHIN_S)
        *early, fifth = windows.false_positives[:FALSE_POSITIVES]
        for number, window in enumerate(early, 1):  # one at a time, as the token bucket of the log allows
            self._feel([window], anomalous=True)
            world.wait_for("a sample", partial(self._has_stored, NORMALS + number), within_s=WITHIN_S)
        self._feel([fifth], anomalous=True)
        fifth_s = time.monotonic()
        world.wait_for("the proposal", lambda: self._head() != begun, within_s=WITHIN_S)
        proposal_s = time.monotonic() - fifth_s
        world.wait_for("the successor", lambda: self._runs(BenchForest(OWN, trees)), within_s=WITHIN_S)
        confirmed_s = time.monotonic() - fifth_s
        time.sleep(SETTLE_S)  # nothing signals that no further status commit follows
        before = self._commits()
        time.sleep(REST_S)  # the device is asked for samples, and nothing else happens
        return LoopTimes(proposal_s, confirmed_s, self._commits() - before)

    # ------------------------------------------------------------ what is in Git

    def _files(self, trees: int) -> dict[str, bytes]:
        first = {path: data for path, data in self._site.first_files().items() if path != "rollout.yaml"}
        successor = BenchForest(OWN, trees)
        forests: dict[str, bytes] = {}
        for forest in (CHAMPION, successor, *POOL):
            forests |= _model(forest, self._recording(forest.bearing))
        return {
            **first,
            **forests,
            "rollouts/bearings.yaml": document("Rollout", MODEL, {"model": _reference(CHAMPION), "selector": {}}),
            "contests/bearings.yaml": document("Contest", CONTEST, _contest(successor)),
        }

    def _recording(self, bearing: int) -> bytes:
        rows = training_windows(self._run, bearing)
        return "\n".join([",".join(COLUMNS), *(",".join(map(str, row)) for row in rows.tolist())]).encode() + b"\n"

    def _allow_direct_commits(self) -> None:
        folder = self._world.folder
        self._world.run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", GATEWAY, "-f", folder / "automation-key")
        public = (folder / "automation-key.pub").read_text().split()
        (folder / "automation").write_text(f"{GATEWAY} {public[0]} {public[1]}\n")
        with (folder / "gateway.toml").open("a") as settings:
            settings.write('[automation]\nkey = "automation-key"\nallowed_signers = "automation"\ndirect = true\n')

    # ------------------------------------------------------------ what happens

    def _feel(self, windows: Sequence[bytes], *, anomalous: bool) -> None:
        """Give the device windows of its sensor, and check what its champion decides."""
        for window in windows:
            said = self._site.tell_devices(f"infer {SENSOR} {window.hex()}")
            decision = re.search(r"decision=(-?\d+)", said)
            if decision is None or (decision[1] != "0") != anomalous:
                raise SystemExit(f"the device decided otherwise: {said}")

    def _runs(self, forest: BenchForest) -> bool:
        status = self._world.device_status(SENSOR)
        return status.get("model") == str(_ref(forest)) and status["conditions"][0]["status"] == "True"

    def _condition(self, kind: str) -> str:
        text = self._world.status_file(f"contests/{CONTEST}.yaml")
        status = yaml.load(text, yaml.CSafeLoader)["status"] if text else {}
        return next((each["reason"] for each in status.get("conditions", []) if each["type"] == kind), "")

    def _has_stored(self, count: int) -> bool:
        path = self._world.folder / "state" / "knowledge.db"
        with read_knowledge(path, daemon_runs=True) as knowledge:
            return len(knowledge.samples_after(ContestId(CONTEST), 0, count)) >= count

    def _head(self) -> str:
        return self._world.run("git", "--git-dir", self._world.remote, "rev-parse", "main").strip()

    def _commits(self) -> int:
        return int(self._world.run("git", "--git-dir", self._world.remote, "rev-list", "--all", "--count"))


def _contest(successor: BenchForest) -> dict[str, Any]:
    return {
        "rollout": MODEL,
        "gateway": GATEWAY,
        "collect": {"normal": NORMAL},
        "pool": {"models": [_reference(forest) for forest in POOL]},
        "candidates": {"models": [CHAMPION.ref.name, _ref(successor).name]},
        "replace": {"falsePositives": FALSE_POSITIVES, "tenure": "1s", "decided": FALSE_POSITIVES, "normals": 1},
        "propose": "direct",
    }


def _ref(forest: BenchForest) -> ModelRef:
    """Return the name and version; models that only vote have names of their own."""
    return replace(forest.ref, name=f"pool-{forest.ref.name}") if forest in POOL else forest.ref


def _reference(forest: BenchForest) -> dict[str, str]:
    return {"name": _ref(forest).name, "version": _ref(forest).version}


def _model(forest: BenchForest, recording: bytes) -> dict[str, bytes]:
    sha256 = hashlib.sha256(recording).hexdigest()
    path = f"models/{sha256[:8]}.csv"
    spec = {
        "version": _ref(forest).version,
        "source": {"path": path, "sha256": sha256},
        "train": {
            "method": "isolation-forest",
            "trees": forest.trees,
            "samples": SUBSAMPLE,
            "seed": forest.seed,
            "features": [{"statistic": statistic} for statistic in FEATURES],
        },
        "quantize": {"scheme": "int8"},
        "parameters": {"threshold": THRESHOLD, "sample-every": 0},
        **({"poolOnly": True} if forest in POOL else {}),
    }
    return {path: recording, f"models/{_ref(forest)}.yaml": document("Model", _ref(forest).name, spec)}
