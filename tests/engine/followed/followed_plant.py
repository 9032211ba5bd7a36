# SPDX-License-Identifier: Apache-2.0
"""A gateway with a real repository, and a model that follows an alias of a recorded MLflow server."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from reconciler.engine.followed.station import CHECK_EVERY_S, FollowedModels
from reconciler.git.proposal_outcomes import ProposalOutcome
from reconciler.model import Desired, ProposalMode
from tests.engine.proposals.repository import AT, NORTH, Gateway, opened
from tests.engine.reports import FixedClock
from tests.load.repo import HEAD
from tests.registries.recorded_mlflow import RecordedMlflow

FIRST, SECOND = bytes(range(200)), b"the second model"  # as recorded
MODEL = """\
# the vibration of pumps
apiVersion: tinyfleet/v1alpha1
kind: Model
metadata: {{name: pump, labels: {{team: pumps}}}}
spec:
  version: "1.0"
  source: {{url: "mlflow://{host}/pump-vibration/1/model.tflite", sha256: "{sha256}"}}
  gates: [{{metric: agreement, atLeast: 0.9}}]
  follow:
    url: mlflow://{host}/pump-vibration@champion/model.tflite
    gateway: north
"""
ROLLOUT = HEAD.format(kind="Rollout", name="fans", more="") + (
    "spec:\n  model: {name: pump, version: '1.0'}  # the vibration\n  selector: {devices: [pump-2]}\n"
    "  waves: [{name: all, percent: 100, soak: 1h}]\n"
)
BRANCH = "propose/north/model_pump"


class SteppedClock(FixedClock):
    """Its steady time is set by the test."""

    steady = 0.0

    def steady_s(self) -> float:
        return self.steady


@dataclass
class FollowedPlant:
    """A gateway, its repository and the registry that its model follows."""

    gateway: Gateway
    registry: RecordedMlflow
    host: str
    clock: SteppedClock
    followed: FollowedModels

    def look(self) -> Desired:
        """Take in the repository, and check what is followed."""

        async def checked() -> Desired:
            desired = self.gateway.poll()
            self.followed.watch(desired)
            await self.followed.stop()
            return desired

        desired = asyncio.run(checked())
        self.clock.steady += CHECK_EVERY_S
        return desired

    def propose(self) -> ProposalOutcome:
        """Check what is followed, and propose what is wanted."""
        desired = self.look()
        (wanted,) = self.followed.wanted(desired)
        return self.gateway.proposer().propose_version(desired, wanted, AT)

    def commits(self) -> list[str]:
        refs = self.gateway.forge.git("for-each-ref", "--format=%(objectname) %(refname)", cwd=self.gateway.forge.bare)
        return refs.splitlines()

    def shown(self, what: str) -> str:
        return self.gateway.forge.git("show", what, cwd=self.gateway.forge.bare)

    def merge(self) -> str:
        self.gateway.forge.git("fetch", "--quiet", "origin")
        return self.gateway.forge.merge(f"origin/{BRANCH}", key=self.gateway.ada)


@contextmanager
def followed_plant(folder: Path) -> Iterator[FollowedPlant]:
    registry = RecordedMlflow()
    with registry.served() as host, opened(folder, ProposalMode.BRANCH) as gateway:
        model = MODEL.format(host=host, sha256=hashlib.sha256(FIRST).hexdigest())
        gateway.forge.commit({"models/pump.yaml": model, "rollouts/fans.yaml": ROLLOUT}, key=gateway.ada)
        clock = SteppedClock()
        yield FollowedPlant(gateway, registry, host, clock, FollowedModels(NORTH, clock, lambda: None))
