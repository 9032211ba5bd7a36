# SPDX-License-Identifier: Apache-2.0
"""A gateway that builds only from signed files: the real builder, with a bundle that model-signing made."""

from __future__ import annotations

import asyncio
import hashlib
import json
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey

from reconciler.compiler.artifact_store import ArtifactStore
from reconciler.compiler.service import BuildService
from reconciler.compiler.source_signatures import ModelUnsigned
from reconciler.engine.artifacts.build_service_adapter import ServiceBuilder
from reconciler.load import DirectoryTree
from reconciler.model import Artifact, Commit, Digest, Model, ModelRef, ModelSource, Version
from signing.model_bundle import read_model_keys
from tests.plan.example_fleet import ESP32, device, fleet

VECTORS = Path(__file__).parents[1] / "vectors" / "model-signing"
KEYS = read_model_keys((VECTORS / "model_keys.pem").read_bytes())
REF = ModelRef("vibration", Version("1"))
SIGNATURE = "models/model.json.sig"
BOARD = replace(ESP32, operators=frozenset({"THRESHOLD"}))


class Commits:
    """A folder as the files of every commit."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @contextmanager
    def tree(self, _commit: Commit) -> Iterator[DirectoryTree]:
        yield DirectoryTree(self._folder)


@dataclass
class Repository:
    """A fleet repository with one model, and the store of a gateway."""

    folder: Path

    @property
    def model(self) -> Path:
        return self.folder / "models" / "model.json"

    def build(
        self, signature: str | None = SIGNATURE, keys: tuple[EllipticCurvePublicKey, ...] = KEYS
    ) -> tuple[Artifact, Artifact | None]:
        """Build the model, and look it up again; return both."""
        digest = Digest(hashlib.sha256(self.model.read_bytes()).hexdigest())
        model = Model(REF, ModelSource(digest, path="models/model.json", signature=signature))
        desired = replace(fleet([device(1)]), models={REF: model}, types={BOARD.name: BOARD})
        service = BuildService(ArtifactStore(str(self.folder / "store")))

        async def main() -> tuple[Artifact, Artifact | None]:
            with ThreadPoolExecutor(1) as git_thread:
                builder = ServiceBuilder(service, Commits(self.folder), git_thread, keys)  # type: ignore[arg-type]  # only its files matter
                key = (REF, BOARD.name)
                found = await builder.find(desired, key)
                return await builder.build(desired, key), found

        try:
            return asyncio.run(main())
        finally:
            service.close()


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    shutil.copytree(VECTORS, tmp_path / "models")
    return Repository(tmp_path)


def test_a_signed_file_is_built_and_found_again(repository: Repository) -> None:
    built, before = repository.build()
    assert before is None
    assert repository.build()[1] == built
    assert repository.build("models/folder.sig")[0] == built  # the signature of the whole folder covers it, too


@pytest.mark.parametrize(
    ("signature", "message"),
    [
        (None, "models/model.json has no signature, and this gateway builds only from signed files"),
        ("models/other.sig", "the fleet repository has no file models/other.sig"),
        ("models/model.json", "the signature models/model.json of models/model.json is refused: it is not a bundle"),
    ],
)
def test_an_unsigned_file_is_not_built(repository: Repository, signature: str | None, message: str) -> None:
    with pytest.raises(ModelUnsigned, match=message):
        repository.build(signature)


def test_what_another_gateway_built_from_unsigned_files_is_not_used(repository: Repository) -> None:
    """Both share a store."""
    built, _ = repository.build(None, keys=())
    assert repository.build(None, keys=())[1] == built
    with pytest.raises(ModelUnsigned):
        repository.build(None)


def test_a_file_that_was_changed_after_it_was_signed_is_not_built(repository: Repository) -> None:
    """The document has the new digest, so only the signature shows the change."""
    changed = json.loads(repository.model.read_text())
    changed["threshold"] += 1
    repository.model.write_text(json.dumps(changed))
    with pytest.raises(ModelUnsigned, match="is of other files than models"):
        repository.build()


def test_a_signature_by_a_key_that_is_not_accepted_counts_for_nothing(repository: Repository) -> None:
    stranger = ec.generate_private_key(ec.SECP256R1()).public_key()
    with pytest.raises(ModelUnsigned, match="none of the accepted keys has signed it"):
        repository.build(keys=(stranger,))
