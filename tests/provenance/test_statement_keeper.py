# SPDX-License-Identifier: Apache-2.0
"""A gateway writes a statement once: a restart changes nothing, and a rotated key signs the same content again."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping

import pytest

from reconciler.model import Observed
from reconciler.provenance.statement import DELEGATION_PATH
from signing import keys
from signing.dsse import read_dsse
from signing.gateway_keystore import GatewayKey
from tests.provenance.audited_fleet import RUNS, AuditedFleet, GatewayAtWork, audited_fleet, gateway_key, running

Files = Mapping[str, bytes]


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> AuditedFleet:
    return audited_fleet(tmp_path_factory.mktemp("kept"))


@pytest.fixture(scope="module")
def first(fleet: AuditedFleet) -> Files:
    return passes(fleet, fleet.gateway, {})[0]


def passes(
    fleet: AuditedFleet, key: GatewayKey, before: Files, *, without: frozenset[str] = frozenset()
) -> tuple[Files, set[str]]:
    """Start a gateway from its last files, and return what changes; some models are no longer in its catalog."""
    at_work = GatewayAtWork(fleet.history.path, fleet.folder / "store", key, before)

    async def work() -> tuple[Files, set[str]]:
        desired = fleet.desired()
        artifacts = await at_work.build(desired)
        kept = {pair: each for pair, each in artifacts.items() if pair[0].name not in without}
        return await at_work.files(desired, kept, Observed() if without else running(artifacts))

    try:
        return asyncio.run(work())
    finally:
        at_work.close()


@pytest.fixture
def changed_fleet(fleet: AuditedFleet) -> Iterator[AuditedFleet]:
    """Add a commit that changes no model."""
    fleet.history.commit({"README.md": "a note"})
    yield fleet
    fleet.history.git("reset", "--quiet", "--hard", fleet.commit)


def test_each_artifact_has_a_statement_next_to_the_delegation(fleet: AuditedFleet, first: Files) -> None:
    assert first[DELEGATION_PATH] == fleet.gateway.cwt
    assert len(first) == len(RUNS) + 1
    assert all(fleet.status_file(path) == data for path, data in first.items() if path != DELEGATION_PATH)


def test_neither_a_restart_nor_another_commit_changes_anything(changed_fleet: AuditedFleet, first: Files) -> None:
    assert passes(changed_fleet, changed_fleet.gateway, first) == ({}, set())


def test_a_rotated_key_signs_the_same_statements(fleet: AuditedFleet, first: Files) -> None:
    rotated = gateway_key(fleet.root)
    changed, gone = passes(fleet, rotated, first)
    assert (changed.keys(), gone) == (first.keys(), set())
    for path in changed.keys() - {DELEGATION_PATH}:
        assert read_dsse(changed[path]).payload == read_dsse(first[path]).payload
        assert read_dsse(changed[path]).is_signed_by(rotated.signer.public_key)


def test_a_statement_goes_with_its_artifact(fleet: AuditedFleet, first: Files) -> None:
    changed, gone = passes(fleet, fleet.gateway, first, without=frozenset({"wear"}))
    assert (changed, [path.split("/")[1] for path in gone]) == ({}, ["wear"])


def test_a_damaged_statement_is_removed_and_made_again(fleet: AuditedFleet, first: Files) -> None:
    path = next(each for each in first if "/score/" in each)
    changed, gone = passes(fleet, fleet.gateway, {**first, path: b"{}"})
    assert (changed, gone) == ({path: first[path]}, {path})


def test_an_unknown_key_signs_nothing_of_a_gateway(first: Files) -> None:
    for path in first.keys() - {DELEGATION_PATH}:
        assert not read_dsse(first[path]).is_signed_by(keys.generate().public_key)
