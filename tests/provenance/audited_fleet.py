# SPDX-License-Identifier: Apache-2.0
"""A fleet with a model of each kind, really built, and what its gateway commits about them."""

from __future__ import annotations

import asyncio
import hashlib
import json
import random
import shutil
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from click.testing import CliRunner, Result

from demo.world import document
from reconciler.cli import cli
from reconciler.cli.inputs.repositories import find_repository
from reconciler.compiler.artifact_store import ArtifactStore
from reconciler.compiler.forest.forest_pack import assemble_forest
from reconciler.compiler.pack.forest_head import ForestMode
from reconciler.compiler.pack.parameter_values import encode_values
from reconciler.compiler.pack.tunable_parameters_section import Parameter, ParameterEncoding, name_hash
from reconciler.compiler.service import BuildService
from reconciler.compiler.training.messages import TrialOutcome
from reconciler.engine.artifacts.build_service_adapter import ServiceBuilder
from reconciler.engine.artifacts.catalog import AvailableArtifacts
from reconciler.engine.artifacts.statements import StatementKeeper
from reconciler.engine.trainings.models_of_run import best_models, wanted_models
from reconciler.load import CheckCache
from reconciler.model import (
    Artifact,
    ArtifactKey,
    Commit,
    Desired,
    DeviceId,
    GatewayId,
    ModelRef,
    NoChange,
    Observed,
    ObservedDevice,
    Phase,
    TypeId,
    Version,
    short_digest,
)
from reconciler.report.device_status import DeviceFacts, PassStamp, device_status
from reconciler.report.status_files import device_file
from reconciler.training.objective import TrialScore
from signing import keys
from signing.delegation import Delegation, delegate, read_delegation
from signing.gateway_keystore import GatewayKey
from signing.identifiers import vendor_id
from signing.keys import FileKey
from tests.compiler.random_forests import random_forest
from tests.engine.samples.test_contest_work import WINDOW
from tests.engine.trainings.test_models_of_run import RECORD, TRIALS
from tests.review.changes import NOON, FleetHistory, fleet_history
from tests.training.documents import TRAINING

HALL = GatewayId("hall")
KIND = TypeId("board")
RULE = ModelRef("wear", Version("1"))
SCORED = ModelRef("score", Version("1"))
TRAINED = ModelRef("forest", Version("20261129-01234567"))
RUNS = {"pump-1": RULE, "pump-2": SCORED, "pump-3": TRAINED}
TRAINED_FOLDER = "models/forest/20261129-01234567"
ROOT = "root.pub.pem"


def rows(seed: int, *, labelled: bool) -> bytes:
    """Return windows of three samples around zero; with labels, every fourth is far from it."""
    draws = random.Random(seed)
    lines = ["a,b,c,label" if labelled else "a,b,c"]
    for number in range(200):
        far = 4000 if labelled and number % 4 == 0 else 0
        line = [str(far + draws.randrange(-300, 300)) for _ in range(3)]
        lines.append(",".join([*line, *([str(int(far > 0))] if labelled else [])]))
    return "\n".join(lines).encode() + b"\n"


def documents(files: Mapping[str, bytes]) -> str:
    """Describe a hall of three pumps, each with a model of another kind."""

    def source(path: str) -> dict[str, str]:
        return {"path": path, "sha256": hashlib.sha256(files[path]).hexdigest()}

    board = {"architecture": "cortex-m4", "slotBytes": 65536, "arenaBytes": 8192}
    rule = {"version": "1", "source": source("rule.json"), "parameters": {"threshold": 100}}
    scored = {
        "version": "1",
        "source": source("normal.csv"),
        "train": {"method": "isolation-forest", "trees": 5, "samples": 64, "seed": 3},
        "inputs": [{"name": "acceleration", "shape": [3], "dtype": "int16"}],
        "gates": [{"metric": "auc", "atLeast": 0.9, "data": source("labelled.csv")}],
    }
    parts = [
        document("Fleet", "works", {}),
        document("Gateway", HALL, {"selector": {}}),
        document("DeviceType", KIND, {**board, "operators": ["THRESHOLD", "TREE_ENSEMBLE"]}),
        document("Model", RULE.name, rule),
        document("Model", SCORED.name, scored),
    ]
    for device, ref in RUNS.items():
        model = {"name": ref.name, "version": str(ref.version)}
        parts.append(document("Rollout", ref.name, {"model": model, "selector": {"devices": [device]}}))
        parts.append(document("Device", device, {"type": KIND, "link": {"mqtt": {}}}))
    return b"---\n".join(parts).decode()


def trained_pack(threshold: float) -> bytes:
    """Return the pack of a forest, as a training makes it for this threshold."""
    forest = random_forest(np.random.default_rng(1), ForestMode.ISOLATION, len(WINDOW.features), bits=8)
    limits = (0, (1 << 31) - 1, ParameterEncoding.ISOLATION_SCORE)
    draft = assemble_forest(forest, WINDOW, [Parameter(name_hash("threshold"), 0, *limits)])
    default = encode_values(draft, {"threshold": threshold})[0]
    return assemble_forest(forest, WINDOW, [Parameter(name_hash("threshold"), default, *limits)])


def trained_files() -> tuple[Mapping[str, bytes], str]:
    """Return the files that a training commits, and the message of its commit."""
    pack = trained_pack(0.61)
    outcome = TrialOutcome(TRIALS[0], TrialScore(0.61, 3.0, 3.0, 95.0, len(pack), reached=True), pack)
    wanted = wanted_models(TRAINING, RECORD, best_models(TRAINING, RECORD, [outcome]), HALL)
    return wanted.files, wanted.message


def gateway_key(root: FileKey) -> GatewayKey:
    """Make a key that the root has delegated to."""
    key = keys.generate()
    cwt = delegate(root, Delegation(key.public_key, vendor_id("works"), 1))
    return GatewayKey(key, cwt, read_delegation(cwt, root.public_key))


@dataclass
class AuditedFleet:
    """A fleet repository with the status branch of its gateway."""

    folder: Path
    history: FleetHistory
    root: FileKey
    gateway: GatewayKey
    commit: Commit

    def copy(self, folder: Path) -> AuditedFleet:
        """Copy the repository, so that a test can change it."""
        shutil.copytree(self.history.path, folder / "fleet")
        history = FleetHistory(folder / "fleet", self.history.clock)
        return AuditedFleet(folder, history, self.root, self.gateway, self.commit)

    def desired(self) -> Desired:
        loaded = find_repository(self.history.path).load(Commit(self.history.git("rev-parse", "HEAD")), CheckCache())
        assert loaded.desired is not None, loaded.errors
        return loaded.desired

    def status_file(self, path: str) -> bytes:
        return self.history.git("show", f"status/hall:{path}").encode() + b"\n"

    def statement_path(self, ref: ModelRef) -> str:
        listed = self.history.git(
            "ls-tree", "-r", "--name-only", "status/hall", f"provenance/{ref.name}/{ref.version}/"
        )
        (path,) = listed.splitlines()
        return path

    def packs(self) -> dict[ModelRef, str]:
        """Return the digests that the statements are about, as far as file names have them."""
        return {ref: self.statement_path(ref).removesuffix(".json")[-16:] for ref in RUNS.values()}

    def provenance(self, *arguments: str) -> Result:
        name, *more = arguments
        return CliRunner().invoke(cli, ["provenance", name, str(self.history.path), *more])

    def links(self, name: str, *more: str) -> dict[str, str]:
        """Return the state of each link of a device's chain; equal names become one, and a broken one wins."""
        result = self.provenance(name, *more, "--output", "json")
        (fields,) = json.loads(result.stdout)
        assert result.exit_code == (0 if fields["holds"] else 1)
        found: dict[str, str] = {}
        for link in fields["links"]:
            if found.get(link["link"]) != "broken":
                found[link["link"]] = link["state"]
        return found

    def broken(self, name: str, *more: str) -> list[dict[str, Any]]:
        (fields,) = json.loads(self.provenance(name, *more, "--output", "json").stdout)
        return [link for link in fields["links"] if link["state"] == "broken"]


class GatewayAtWork:
    """What a gateway does about artifacts: it builds them, and keeps statements."""

    def __init__(
        self, fleet: Path, store: Path, gateway: GatewayKey, before: Mapping[str, bytes] | None = None
    ) -> None:
        self._thread = ThreadPoolExecutor(1)
        self._service = BuildService(ArtifactStore(str(store)))
        repository = find_repository(fleet)
        self.builder = ServiceBuilder(self._service, repository, self._thread)  # type: ignore[arg-type]  # only its `tree` is used
        self._made = asyncio.Event()
        self.keeper = StatementKeeper(HALL, self.builder, gateway, before or {}, self._made.set)

    def close(self) -> None:
        self._service.close()
        self._thread.shutdown()

    async def build(self, desired: Desired) -> dict[ArtifactKey, Artifact]:
        return {(ref, KIND): await self.builder.build(desired, (ref, KIND)) for ref in RUNS.values()}

    async def files(
        self, desired: Desired, artifacts: Mapping[ArtifactKey, Artifact], observed: Observed
    ) -> tuple[dict[str, bytes], set[str]]:
        """Run passes until no statement is being made, and return all that changed."""
        available = AvailableArtifacts.of(desired, artifacts)
        changed, gone = self.keeper.files(desired, available, observed)
        while self.keeper.busy:
            await self._made.wait()
            self._made.clear()
            more, also = self.keeper.files(desired, available, observed)
            changed, gone = {**changed, **more}, gone | also
        return changed, gone


def running(artifacts: Mapping[ArtifactKey, Artifact]) -> Observed:
    """Return the devices, each with its model."""
    return Observed(
        {
            DeviceId(name): ObservedDevice(NOON, Phase.CONFIRMED, short_digest(artifacts[ref, KIND].digest), sequence=1)
            for name, ref in RUNS.items()
        }
    )


def device_files(observed: Observed, commit: str) -> dict[str, bytes]:
    """Return the status files of the devices."""
    made = {}
    for name, seen in observed.devices.items():
        facts = DeviceFacts(NoChange(name, "runs it"), seen, str(RUNS[name]))
        made[f"devices/{name}.yaml"] = device_file(device_status(facts, PassStamp(NOON, commit), None))
    return made


def audited_fleet(folder: Path) -> AuditedFleet:
    """Commit the fleet, build its models, and commit what the gateway says about them."""
    root = keys.generate()
    gateway = gateway_key(root)
    history = fleet_history(folder)
    files = {
        "rule.json": json.dumps({"kind": "threshold", "weights": [1, -2, 1], "threshold": 100, "golden": [[0, 0, 0]]}),
        "normal.csv": rows(1, labelled=False).decode(),
        "labelled.csv": rows(2, labelled=True).decode(),
        ROOT: keys.public_pem(root.public_key).decode(),
    }
    trained, message = trained_files()
    for path, data in trained.items():
        (history.path / path).parent.mkdir(parents=True, exist_ok=True)
        (history.path / path).write_bytes(data)
    history.commit({}, message)
    commit = history.commit({**files, "fleet.yaml": documents({path: text.encode() for path, text in files.items()})})
    made = AuditedFleet(folder, history, root, gateway, commit)
    at_work = GatewayAtWork(history.path, folder / "store", gateway)

    async def work() -> dict[str, bytes]:
        desired = made.desired()
        artifacts = await at_work.build(desired)
        observed = running(artifacts)
        changed, gone = await at_work.files(desired, artifacts, observed)
        assert gone == set()
        return {**changed, **device_files(observed, commit)}

    try:
        history.status(asyncio.run(work()))
    finally:
        at_work.close()
    return made


def rebuilt(fleet: AuditedFleet, store: Path) -> dict[ModelRef, str]:
    """Build all models again in an empty store; return the first digits of their digests."""
    at_work = GatewayAtWork(fleet.history.path, store, fleet.gateway)
    try:
        artifacts = asyncio.run(at_work.build(fleet.desired()))
    finally:
        at_work.close()
    return {ref: artifact.digest[:16] for (ref, _), artifact in artifacts.items()}
