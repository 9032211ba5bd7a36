# SPDX-License-Identifier: Apache-2.0
"""A small valid fleet repository, which each test breaks in one place."""

from __future__ import annotations

import hashlib
from pathlib import Path

from reconciler.load import DirectoryTree, LoadResult, Problem, load
from reconciler.model import Commit
from reconciler.tree import TreeEntry, blob_id

MODEL_BYTES = b"not a model, but bytes all the same\n"
SHA256 = hashlib.sha256(MODEL_BYTES).hexdigest()
HEAD = "apiVersion: tinyfleet/v1alpha1\nkind: {kind}\nmetadata: {{name: {name}{more}}}\n"


class Repo:
    """Files below a directory, and the result of loading them."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.write("fleet.yaml", self.document("Fleet", "plant", "spec: {}\n"))
        self.write("gateways.yaml", self.document("Gateway", "hall", "spec:\n  selector: {}\n"))
        spec = "spec:\n  architecture: cortex-m4\n  slotBytes: 65536\n  arenaBytes: 8192\n  operators: [CONV_2D]\n"
        self.write("types.yaml", self.document("DeviceType", "sensor", spec))
        self.write("devices.yaml", self.device("pump-1") + "---\n" + self.device("pump-2"))
        self.write_bytes("models/vibration.tflite", MODEL_BYTES)
        self.write("models/vibration.yaml", self.model("vibration", "1.0.0"))
        self.write("rollouts.yaml", self.rollout("canary"))

    @staticmethod
    def document(kind: str, name: str, spec: str, labels: str = "") -> str:
        more = f", labels: {{{labels}}}" if labels else ""
        return HEAD.format(kind=kind, name=name, more=more) + spec

    def device(self, name: str, *, kind: str = "sensor", link: str = "mqtt: {}", labels: str = "site: north") -> str:
        return self.document("Device", name, f"spec:\n  type: {kind}\n  link: {{{link}}}\n", labels)

    def model(self, name: str, version: str, *, path: str = "models/vibration.tflite", sha256: str = SHA256) -> str:
        source = f"{{path: {path}, sha256: '{sha256}'}}"
        return self.document(
            "Model", name, f"spec:\n  version: '{version}'\n  source: {source}\n  parameters: {{limit: 1}}\n"
        )

    def rollout(self, name: str, more: str = "", *, selector: str = "{}", version: str = "1.0.0") -> str:
        spec = f"spec:\n  model: {{name: vibration, version: '{version}'}}\n  selector: {selector}\n{more}"
        return self.document("Rollout", name, spec)

    def write(self, path: str, text: str) -> Repo:
        return self.write_bytes(path, text.encode())

    def write_bytes(self, path: str, data: bytes) -> Repo:
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)
        return self

    def append(self, path: str, document: str) -> Repo:
        return self.write(path, (self.root / path).read_text() + "---\n" + document)

    def replace(self, path: str, old: str, new: str) -> Repo:
        text = (self.root / path).read_text()
        assert old in text
        return self.write(path, text.replace(old, new, 1))

    def load(self) -> LoadResult:
        return load(DirectoryTree(self.root), commit=Commit(""))

    def problems(self) -> tuple[Problem, ...]:
        loaded = self.load()
        assert (loaded.desired is None) == bool(loaded.errors)
        return loaded.problems

    def only(self) -> Problem:
        """Return the only problem."""
        (problem,) = self.problems()
        return problem


class GivenTree:
    """A tree with arbitrary entries, as a hostile Git repository may have."""

    def __init__(self, *entries: tuple[str, int, bytes]) -> None:
        self._files = {path: (TreeEntry(path, mode, blob_id(data), len(data)), data) for path, mode, data in entries}

    def entries(self) -> list[TreeEntry]:
        return [entry for entry, _ in self._files.values()]

    def read(self, entry: TreeEntry) -> bytes:
        return self._files[entry.path][1]
