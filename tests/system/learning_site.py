# SPDX-License-Identifier: Apache-2.0
"""A site whose devices grow forests of their own, from the windows of their sensors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml

from demo.site import MODEL, Site
from demo.world import document
from tests.system.contest_site import SMOOTH, forest, recording, windows

OPERATORS = frozenset({"THRESHOLD", "TREE_ENSEMBLE", "LEARN"})
OPTIONS = ("--infer-every", "0", "--samples-bytes", "32768", "--learning-bytes", "32768")
ROWS, SUBSAMPLE, TREES, EVERY, SEED = 80, 64, 10, 2, 9
DATA = recording(1, SMOOTH)


def learner(version: str = "1.0.0", **learn: Any) -> dict[str, bytes]:  # noqa: ANN401 - fields of `learn`
    """Return the model of a starter, with how devices learn."""
    files = forest("forest", version, DATA)
    path = f"models/forest-{version}.yaml"
    document_ = yaml.load(files[path], yaml.CSafeLoader)
    spec = document_["spec"]
    spec["learn"] = {"rows": ROWS, "every": EVERY, "seed": SEED, "mostAnomalous": 20, **learn}
    spec["parameters"] = {**spec["parameters"], "learn-generation": 0}
    return {**files, path: document("Model", "forest", spec)}


def rollout(version: str = "1.0.0", parameters: Mapping[str, float] | None = None) -> bytes:
    """Return the rollout to all devices."""
    spec = {"model": {"name": "forest", "version": version}, "selector": {}, "parameters": dict(parameters or {})}
    return document("Rollout", MODEL, spec)


class LearningSite:
    """Devices that learn behind one gateway."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.world = site.world

    def files(self) -> dict[str, bytes]:
        """Return the files of the first commit."""
        first = {path: data for path, data in self.site.first_files().items() if path != "rollout.yaml"}
        fleet = document("Fleet", "demo", {"reportEvery": "5s", "silentAfter": "10m"})
        return {**first, "fleet.yaml": fleet, **learner(), "rollouts/pumps.yaml": rollout()}

    def feel(self, device: str, seed: int, count: int, spread: float = SMOOTH) -> list[str]:
        """Give a device windows of its sensor; return what it says of each."""
        given = windows(seed, count, spread)
        return [self.site.tell_devices(f"infer {device} {window.tobytes().hex()}") for window in given]

    def condition(self, device: str, kind: str = "Learning") -> Mapping[str, Any]:
        """Return a condition of a device, as the status branch has it."""
        conditions = self.world.device_status(device).get("conditions", [])
        return next((each for each in conditions if each["type"] == kind), {})

    def is_at(self, device: str, reason: str) -> bool:
        """Return whether the status branch says that a device is ready, and how far it is with its forest."""
        return (
            self.condition(device, "Ready").get("status") == "True" and self.condition(device).get("reason") == reason
        )
