# SPDX-License-Identifier: Apache-2.0
"""Which model made a sample is learned from what its device reports, and kept."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

from reconciler.engine.artifacts.catalog import AvailableArtifacts
from reconciler.engine.observed.interpret import PackDefaults
from reconciler.engine.observed.inventory import Inventory
from reconciler.engine.samples.sample_contexts import SampleContexts, context_of
from reconciler.engine.state.writer import StateWriter
from reconciler.knowledge.writer import KnowledgeWriter
from reconciler.model import Artifact, Candidate, Digest, ModelRef, Observed, ShortDigest, TypeId, Version
from tests.engine.reports import NOON, PUMP, report
from tests.firmware.samples import context_of as context_by_device

PACK = b"a pack"
DIGEST = Digest("0" * 64)  # whose first half is what `report` says that it runs
REF = ModelRef("forest", Version("1"))
ARTIFACT = Artifact(REF, TypeId("board"), DIGEST, 900, 64, frozenset())
OWN = {"threshold": 0.6, "sample-every": 0}


def test_the_bytes_are_those_that_a_device_writes() -> None:
    assert context_of(Digest(hashlib.sha256(PACK).hexdigest()), 77) == context_by_device(PACK, 77)


def learnt(tmp_path: Path, state: StateWriter, crc32: int, *, built: bool = True) -> dict[bytes, Candidate]:
    inventory = Inventory(state)
    inventory.record_report(PUMP, replace(report(1), parameters=crc32), NOON, asked=True)
    inventory.record_parameters(PUMP, {"threshold": 0.7, "sample-every": 5}, 99)
    by_digest = {ShortDigest(DIGEST[:32]): ARTIFACT} if built else {}
    available = AvailableArtifacts({}, by_digest, PackDefaults({ShortDigest(DIGEST[:32]): OWN}))
    observed = Observed(inventory.observed(available.defaults, {}).devices)
    knowledge = KnowledgeWriter(tmp_path / "knowledge.db")
    contexts = SampleContexts(knowledge)
    contexts.learn(PUMP, inventory, observed, available)
    assert SampleContexts(knowledge).champions == contexts.champions  # after a restart
    knowledge.close()
    return dict(contexts.champions)


def test_a_pack_with_its_own_parameters(tmp_path: Path, state: StateWriter) -> None:
    assert learnt(tmp_path, state, 0) == {context_of(DIGEST, 0): Candidate(REF, 0.6)}


def test_a_pack_with_parameters_that_this_gateway_set(tmp_path: Path, state: StateWriter) -> None:
    assert learnt(tmp_path, state, 99) == {context_of(DIGEST, 99): Candidate(REF, 0.7)}


def test_parameters_of_another_gateway_are_not_guessed(tmp_path: Path, state: StateWriter) -> None:
    assert learnt(tmp_path, state, 98) == {}


def test_a_pack_that_is_not_known_here_is_not_guessed(tmp_path: Path, state: StateWriter) -> None:
    assert learnt(tmp_path, state, 0, built=False) == {}
