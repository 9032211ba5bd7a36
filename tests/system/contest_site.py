# SPDX-License-Identifier: Apache-2.0
"""A site with a contest: a machine that got rougher, a champion that was trained before, and better models."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from demo.site import COHORT, MODEL, Site
from demo.world import GATEWAY, document
from reconciler.knowledge.reader import KnowledgeReader, read_knowledge
from reconciler.knowledge.schema import KNOWLEDGE_FILE
from reconciler.model import ContestId
from reconciler.model.samples import Sample

OPERATORS = frozenset({"THRESHOLD", "TREE_ENSEMBLE"})
CONTEST = "pumps"
SAMPLES = 32
SMOOTH, ROUGH, BROKEN = 200.0, 700.0, 9000.0  # the standard deviation of the vibration
SAMPLE_OPTIONS = ("--infer-every", "0", "--samples-bytes", "32768")
VOTERS = ("voter-a", "voter-b", "voter-c")
FALSE_POSITIVES = 5
BRANCH = f"refs/heads/propose/{GATEWAY}/{CONTEST}"


def windows(seed: int, count: int, spread: float) -> np.ndarray:
    """Return windows of a vibration, in the integers of the sensor."""
    return np.clip(np.random.default_rng(seed).normal(0, spread, (count, SAMPLES)), -32_000, 32_000).astype("<i2")


def recording(seed: int, *spreads: float) -> bytes:
    """Return training data: windows of these machines."""
    rows = np.concatenate([windows(seed + number, 120, spread) for number, spread in enumerate(spreads)])
    lines = [",".join(f"s{index}" for index in range(SAMPLES)), *(",".join(map(str, row)) for row in rows.tolist())]
    return "\n".join(lines).encode() + b"\n"


BEFORE, SINCE = recording(1, SMOOTH), recording(11, SMOOTH, 1.5 * SMOOTH, 0.6 * ROUGH, ROUGH, 1.3 * ROUGH)


def forest(  # noqa: PLR0913 - what makes a model
    name: str, version: str, data: bytes, *, seed: int = 0, pool_only: bool = False, threshold: float | None = None
) -> dict[str, bytes]:
    """Return a model: a forest that is trained from a recording."""
    path = f"models/{hashlib.sha256(data).hexdigest()[:8]}.csv"
    spec: dict[str, Any] = {
        "version": version,
        "source": {"path": path, "sha256": hashlib.sha256(data).hexdigest()},
        "train": {
            "method": "isolation-forest",
            "trees": 10,
            "samples": 64,
            "seed": seed,
            "features": [{"statistic": "std"}, {"statistic": "peak"}],
        },
        "quantize": {"scheme": "int16"},
        "parameters": {"threshold": threshold or (0.75 if pool_only else 0.62), "sample-every": 0},
        **({"poolOnly": True} if pool_only else {}),
    }
    return {path: data, f"models/{name}-{version}.yaml": document("Model", name, spec)}


class ContestSite:
    """A site whose devices run version 1.0.0, and whose contest knows version 1.1.0 and three models of the pool."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.world = site.world
        self._give_key()

    @property
    def state_dir(self) -> Path:
        return self.world.folder / "state"

    def _give_key(self) -> None:
        """Give the gateway a key for proposals, and have it accept commits by it within their scope."""
        folder = self.world.folder
        self.world.run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", GATEWAY, "-f", folder / "automation-key")
        public = (folder / "automation-key.pub").read_text().split()
        (folder / "automation").write_text(f"{GATEWAY} {public[0]} {public[1]}\n")
        with (folder / "gateway.toml").open("a", encoding="utf-8") as file:
            file.write('\n[automation]\nkey = "automation-key"\nallowed_signers = "automation"\n')

    def files(self, **replace: Any) -> dict[str, bytes]:  # noqa: ANN401 - fields of the rules
        """Return the files of the first commit."""
        first = {path: data for path, data in self.site.first_files().items() if path != "rollout.yaml"}
        rules = {"falsePositives": FALSE_POSITIVES, "tenure": "1s", "decided": 5, "normals": 1, **replace}
        contest = {
            "rollout": MODEL,
            "gateway": GATEWAY,
            "collect": {"every": "1s", "normal": 2, "lineShare": 90},
            "pool": {"models": [{"name": name, "version": "1.0.0"} for name in VOTERS]},
            "candidates": {"models": ["forest"]},
            "replace": rules,
        }
        voters: dict[str, bytes] = {}
        for seed, name in enumerate(VOTERS, 2):
            voters |= forest(name, "1.0.0", SINCE, seed=seed, pool_only=True)
        return {
            **first,
            "fleet.yaml": document("Fleet", "demo", {"reportEvery": "5s", "silentAfter": "10m", "cohortLabel": COHORT}),
            **forest("forest", "1.0.0", BEFORE),
            **forest("forest", "1.1.0", SINCE, seed=1),
            **voters,
            "rollouts/pumps.yaml": self.rollout("1.0.0"),
            "contest.yaml": document("Contest", CONTEST, contest),
        }

    @staticmethod
    def rollout(version: str) -> bytes:
        spec = {"model": {"name": "forest", "version": version}, "selector": {}}
        return document("Rollout", MODEL, spec)

    def runs(self, version: str) -> bool:
        """Return whether every device runs a version of the forest and is ready, by the status branch."""
        return all(
            (status := self.world.device_status(device)).get("model") == f"forest@{version}"
            and status["conditions"][0]["status"] == "True"
            for device in self.site.devices
        )

    def feel(self, device: str, seed: int, count: int, spread: float) -> tuple[list[bytes], list[bytes]]:
        """Give a device windows of its sensor; return those that its model calls anomalous, and the others."""
        anomalous: list[bytes] = []
        normal: list[bytes] = []
        for window in windows(seed, count, spread):
            said = self.site.tell_devices(f"infer {device} {window.tobytes().hex()}")
            decision = re.search(r"decision=(-?\d+)", said)
            assert decision is not None, said
            (anomalous if decision[1] != "0" else normal).append(window.tobytes())
        return anomalous, normal

    def status(self) -> Mapping[str, Any]:
        """Return the contest's status on the status branch."""
        text = self.world.status_file(f"contests/{CONTEST}.yaml")
        return yaml.load(text, yaml.CSafeLoader)["status"] if text else {}

    def condition(self, kind: str) -> Mapping[str, Any]:
        """Return a condition of the contest."""
        found = [each for each in self.status().get("conditions", []) if each["type"] == kind]
        return found[0] if found else {}

    def samples(self) -> list[Sample]:
        """Return what the knowledge base has."""
        return [each.sample for each in self._read(lambda knowledge: knowledge.samples_after(_NAME, 0, 10_000))]

    def tallies(self) -> dict[tuple[int, int, int], dict[str, bool | None]]:
        """Return the votes on each sample, by what names a sample of one device."""

        def tallied(knowledge: KnowledgeReader) -> dict[tuple[int, int, int], dict[str, bool | None]]:
            votes = knowledge.votes(_NAME)
            return {
                (each.sample.log, each.sample.boots, each.sample.offset): {
                    str(candidate): vote for candidate, vote in votes.get(each.id, {}).items()
                }
                for each in knowledge.samples_after(_NAME, 0, 10_000)
            }

        return dict(self._read(tallied))

    def proposal(self) -> str | None:
        """Return the head of the branch that the gateway proposes."""
        listed = self.world.run("git", "--git-dir", self.world.remote, "for-each-ref", "--format=%(objectname)", BRANCH)
        return listed.strip() or None

    def commits_by_gateway(self) -> list[str]:
        """Return every commit with a proposal that was ever pushed, also those that no branch has any more."""
        git = ("git", "--git-dir", self.world.remote)
        listed = self.world.run(*git, "cat-file", "--batch-all-objects", "--batch-check=%(objecttype) %(objectname)")
        commits = [line.split()[1] for line in listed.splitlines() if line.startswith("commit ")]
        return [each for each in commits if "\nProposes: " in self.world.run(*git, "cat-file", "commit", each)]

    def merge(self) -> str:
        """Merge the proposal as a person does; return the commit."""
        work = self.world.work
        self.world.run("git", "fetch", "-q", "origin", cwd=work)
        branch = BRANCH.replace("refs/heads", "origin")
        self.world.run("git", "merge", "-q", "--no-ff", "-S", "-m", "Merge the proposal", branch, cwd=work)
        return self.world.push()

    def _read(self, question: Callable[[KnowledgeReader], Any]) -> Any:  # noqa: ANN401 - whatever the question answers
        path = self.state_dir / KNOWLEDGE_FILE
        if not path.exists():
            return []
        with read_knowledge(path, daemon_runs=True) as knowledge:
            return question(knowledge)


_NAME = ContestId(CONTEST)
