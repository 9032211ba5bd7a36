# SPDX-License-Identifier: Apache-2.0
"""The signed statements on artifacts, as files of the status branch (docs/specs/provenance.md).

A statement is made once, for the commit at which the artifact was first available. Making it reads the store and Git,
so it runs in a task; the pass after its end publishes it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from reconciler.engine.artifacts.build_service_adapter import Builder
from reconciler.engine.artifacts.catalog import AvailableArtifacts
from reconciler.engine.task_cancellation import cancel_and_wait
from reconciler.errors import FleetError
from reconciler.model import Artifact, Desired, GatewayId, Observed, ShortDigest, short_digest
from reconciler.model.snapshot_cache import SnapshotCache
from reconciler.provenance.statement import (
    DELEGATION_PATH,
    FOLDER,
    PAYLOAD_TYPE,
    PREFIX_DIGITS,
    NoStatement,
    builder_id,
    make_statement,
    read_statement,
    statement_path,
)
from signing.dsse import MAX_DSSE_BYTES, DsseError, read_dsse, sign_dsse
from signing.gateway_keystore import GatewayKey

log = logging.getLogger(__name__)

MAX_STATEMENTS = 500


@dataclass(frozen=True, slots=True)
class _Kept:
    """A statement as the branch has it, and the recipe that it states."""

    envelope: bytes
    recipe_sha256: str


@dataclass(frozen=True, slots=True)
class _WantedStatements:
    """The artifacts that get a statement, by its path, and the packs that devices run."""

    artifacts: Mapping[str, Artifact]
    running: frozenset[str]  # the digits of digests that paths have

    def has(self, path: str) -> bool:
        """Return whether a statement stays: also that on a pack which Git no longer describes, while it runs."""
        return path in self.artifacts or path[-PREFIX_DIGITS - 5 : -5] in self.running


class StatementKeeper:
    """Keeps the statements of one gateway. For the event loop's thread only."""

    def __init__(
        self,
        name: GatewayId,
        builder: Builder,
        gateway: GatewayKey,
        before: Mapping[str, bytes],
        on_change: Callable[[], None],
    ) -> None:
        self._name = name
        self._builder = builder
        self._gateway = gateway
        self._on_change = on_change
        self._published = {path: data for path, data in before.items() if path.startswith(FOLDER)}
        self._kept: dict[str, _Kept] = {}
        for path, data in self._published.items():
            kept = _signed_again(data, gateway) if path != DELEGATION_PATH else None
            if kept is not None:
                self._kept[path] = kept
        self._without: set[tuple[str, str]] = set()  # the store has no artifact of these paths and recipes
        self._task: asyncio.Task[None] | None = None
        self._current: SnapshotCache[_WantedStatements] = SnapshotCache()

    def files(
        self, desired: Desired, available: AvailableArtifacts, observed: Observed
    ) -> tuple[dict[str, bytes], set[str]]:
        """Return the files that are new or different, and the paths that are gone; start to make what is missing."""
        wanted = self._current.get(desired, available, observed.devices)
        if wanted is None:
            running = {short_digest(each.running) for each in observed.devices.values() if each.running is not None}
            chosen = select_artifacts(desired, available.by_key.values(), running)
            prefixes = frozenset(digest[:PREFIX_DIGITS] for digest in running)
            wanted = self._current.put(_WantedStatements(chosen, prefixes), desired, available, observed.devices)
        self._make_missing(desired, wanted.artifacts)
        self._kept = {path: kept for path, kept in self._kept.items() if wanted.has(path)}
        present = {path: kept.envelope for path, kept in sorted(self._kept.items())[:MAX_STATEMENTS]}
        if present:
            present[DELEGATION_PATH] = self._gateway.cwt
        changed = {path: data for path, data in present.items() if self._published.get(path) != data}
        gone = set(self._published.keys() - present.keys())
        self._published = present
        return changed, gone

    @property
    def busy(self) -> bool:
        """Return whether statements are being made."""
        return self._task is not None

    async def stop(self) -> None:
        """Cancel what is in progress."""
        if self._task is not None:
            await cancel_and_wait([self._task])

    def _make_missing(self, desired: Desired, wanted: Mapping[str, Artifact]) -> None:
        if self._task is not None:
            return
        missing = {}
        for path, artifact in wanted.items():
            if artifact.model not in desired.models:
                continue  # what it was made of is no longer in Git; an older statement stays
            recipe = self._builder.source(desired, (artifact.model, artifact.type))
            kept = self._kept.get(path)
            if (kept is None or kept.recipe_sha256 != recipe) and (path, recipe) not in self._without:
                missing[path] = (artifact, recipe)
        if missing:
            self._task = asyncio.create_task(self._make(desired, missing), name="statements on artifacts")

    async def _make(self, desired: Desired, missing: Mapping[str, tuple[Artifact, str]]) -> None:
        try:
            for path, (artifact, recipe) in missing.items():
                kept = await self._made(desired, artifact)
                if kept is None:
                    self._without.add((path, recipe))
                else:
                    self._kept[path] = kept
        except FleetError as failure:  # the next pass tries it again
            log.warning("making statements failed: %s: %s", failure.reason, failure)
        finally:
            self._task = None
        self._on_change()

    async def _made(self, desired: Desired, artifact: Artifact) -> _Kept | None:
        record = await self._builder.record(desired, artifact)
        if record is None:
            return None
        payload = make_statement(record, builder_id(desired.fleet.name, self._name))
        envelope = sign_dsse(self._gateway.signer, PAYLOAD_TYPE, payload)
        if len(envelope) > MAX_DSSE_BYTES:
            log.warning("the statement on %s for %s has %d bytes", artifact.model, artifact.type, len(envelope))
            return None
        return _Kept(envelope, record.recipe.digest)


def select_artifacts(
    desired: Desired, artifacts: Iterable[Artifact], running: set[ShortDigest]
) -> Mapping[str, Artifact]:
    """Return the artifacts that get a statement, by its path: what runs first, then what Git has."""
    by_path = {statement_path(str(each.model), each.type, each.digest): each for each in artifacts}

    def rank(item: tuple[str, Artifact]) -> tuple[bool, bool, str]:
        path, artifact = item
        return short_digest(artifact.digest) not in running, artifact.model not in desired.models, path

    return dict(sorted(by_path.items(), key=rank)[:MAX_STATEMENTS])


def _signed_again(data: bytes, gateway: GatewayKey) -> _Kept | None:
    """Return a statement of an earlier run, signed by the key that is in use now."""
    try:
        envelope = read_dsse(data)
        statement = read_statement(envelope.payload)
    except (DsseError, NoStatement) as error:
        log.warning("a statement is made again: %s", error)
        return None
    if not envelope.is_signed_by(gateway.signer.public_key):
        data = sign_dsse(gateway.signer, PAYLOAD_TYPE, envelope.payload)
    return _Kept(data, statement.recipe_sha256)
