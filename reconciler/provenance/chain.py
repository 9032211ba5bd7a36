# SPDX-License-Identifier: Apache-2.0
"""The chain from what a device runs back to what it was made of, link by link (docs/specs/provenance.md section 4)."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol

from reconciler.compiler.recipe import recipe_of
from reconciler.model import Commit, Desired, Model, ModelRef, TypeId, Version
from reconciler.provenance.statement import (
    PAYLOAD_TYPE,
    ArtifactStatement,
    Dependency,
    NoStatement,
    read_statement,
    recipe_digest,
)
from signing.dsse import DsseError, read_dsse

_RUN_DIGITS = 8  # of a run, in the version of a model (reconciler.training.identity)
_SNAPSHOT = re.compile(r"^Snapshot: sha256:([0-9a-f]{64})$", re.MULTILINE)
_VERSIONS = frozenset({"builder", "format"})  # of a recipe: they are those of the program that built


class ChainLinkState(StrEnum):
    """How far a link can be relied on."""

    VERIFIED = "verified"
    STATED = "stated"  # by the signer, and there is nothing in the clone to compare it with
    BROKEN = "broken"


@dataclass(frozen=True, slots=True)
class ChainLink:
    """One link of the chain."""

    name: str
    state: ChainLinkState
    text: str
    remedy: str = ""  # what to do about a broken link

    def as_dict(self) -> dict[str, str]:
        """Return the fields for JSON."""
        more = {"remedy": self.remedy} if self.remedy else {}
        return {"link": self.name, "state": self.state.value, "text": self.text, **more}


@dataclass(slots=True)
class Chain:
    """The links of one artifact, from the device to the data."""

    subject: str
    links: list[ChainLink] = field(default_factory=list)
    statement: ArtifactStatement | None = None  # once its signature is verified
    model: Model | None = None  # as the commit of the statement describes it
    training: Mapping[str, Any] | None = None  # the verified content of the training's provenance

    @property
    def broken(self) -> list[ChainLink]:
        """The links at which the chain breaks."""
        return [each for each in self.links if each.state is ChainLinkState.BROKEN]

    def verified(self, name: str, text: str) -> None:
        """Add a link that holds."""
        self.links.append(ChainLink(name, ChainLinkState.VERIFIED, text))

    def stated(self, name: str, text: str) -> None:
        """Add a link for which there is only what the signer says."""
        self.links.append(ChainLink(name, ChainLinkState.STATED, text))

    def breaks(self, name: str, text: str, remedy: str) -> None:
        """Add a link that does not hold."""
        self.links.append(ChainLink(name, ChainLinkState.BROKEN, text, remedy))


class History(Protocol):
    """The fleet repository, as the chain needs it. Paths are relative to the root of the fleet."""

    def has(self, commit: Commit) -> bool:
        """Return whether the clone has a commit."""

    def fleet(self, commit: Commit) -> Desired | None:
        """Load the fleet of a commit; None: it is not valid."""

    def read(self, commit: Commit, path: str) -> bytes | None:
        """Return the bytes of a file in a commit; None: there is no such file."""

    def message_of_addition(self, commit: Commit, path: str) -> str:
        """Return the message of the commit that added a file, as seen from a commit; empty: unknown."""


@dataclass(frozen=True, slots=True)
class SignedStatement:
    """A statement as the branch has it, the key that must have signed it, and what it must be about."""

    envelope: bytes
    key: bytes
    pack_prefix: str  # digits of the pack's digest, as many as are known
    model: str | None
    type: str | None


def follow(chain: Chain, signed: SignedStatement, history: History, head: Commit) -> Chain:
    """Verify a statement with the key of its gateway, and follow it to the data."""
    statement = _verified_statement(chain, signed)
    if statement is None:
        return chain
    chain.statement = statement
    desired = _fleet_of(chain, statement, history)
    if desired is None:
        return chain
    _check_recipe(chain, statement, desired)
    for file in statement.dependencies:
        if file.role != "training":
            _check_file(chain, file, statement.commit, history)
    if statement.training is not None:
        _check_training(chain, statement, statement.training, history, head)
    return chain


def _verified_statement(chain: Chain, expected: SignedStatement) -> ArtifactStatement | None:
    why, statement = _read_signed(expected)
    if statement is None:
        remedy = (
            "do not rely on this artifact: find out who changed the status branch, and have the gateway write "
            "the statement again"
        )
        chain.breaks("signature", why, remedy)
        return None
    chain.verified("signature", f"{statement.builder} signed the statement with key {_key_id(expected.key)}")
    return statement


def _read_signed(expected: SignedStatement) -> tuple[str, ArtifactStatement | None]:
    """Return the statement, or why it cannot be relied on."""
    try:
        signed = read_dsse(expected.envelope)
    except DsseError as error:
        return f"the file of the statement is unusable: {error}", None
    if signed.payload_type != PAYLOAD_TYPE:
        return f"the payload of the statement has the type {signed.payload_type}", None
    if not signed.is_signed_by(expected.key):
        other = f"; it names key {signed.key_id.hex()}" if signed.key_id.hex() != _key_id(expected.key) else ""
        return f"the statement is not signed by the gateway's key {_key_id(expected.key)}{other}", None
    try:
        statement = read_statement(signed.payload)
    except NoStatement as error:
        return f"the statement is unusable: {error}", None
    wrong = list(_differences(statement, expected))
    if wrong:
        return f"the statement is about another artifact: {'; '.join(wrong)}", None
    return "", statement


def _differences(statement: ArtifactStatement, expected: SignedStatement) -> Iterator[str]:
    if not statement.pack_sha256.startswith(expected.pack_prefix):
        yield f"its pack is {statement.pack_sha256}"
    if expected.model is not None and statement.model != expected.model:
        yield f"its model is {statement.model}"
    if expected.type is not None and statement.type != expected.type:
        yield f"its device type is {statement.type}"


def _fleet_of(chain: Chain, statement: ArtifactStatement, history: History) -> Desired | None:
    commit = statement.commit
    if not history.has(commit):
        chain.breaks(
            "commit",
            f"the clone has no commit {commit}",
            "fetch the whole history (`git fetch --unshallow`); if the commit is not on the server either, "
            "the history was rewritten",
        )
        return None
    desired = history.fleet(commit)
    if desired is None:
        chain.breaks("commit", f"the fleet of commit {commit} is not valid", "run `tinyfleet validate` on that commit")
        return None
    chain.verified("commit", f"built from commit {commit}")
    return desired


def _check_recipe(chain: Chain, statement: ArtifactStatement, desired: Desired) -> None:
    again = "the statement and the commit disagree on how the artifact was built: build the model from this commit"
    found = recipe_digest(statement.recipe)
    if found != statement.recipe_sha256:
        chain.breaks("recipe", f"its digest is {found}, and the statement says {statement.recipe_sha256}", again)
        return
    name, _, version = statement.model.rpartition("@")
    model = desired.models.get(ModelRef(name, Version(version)))
    kind = desired.types.get(TypeId(statement.type))
    if model is None or kind is None:
        missing = f"model {statement.model}" if model is None else f"device type {statement.type}"
        chain.breaks("recipe", f"the commit has no {missing}", again)
        return
    chain.model = model
    ours, theirs = json.loads(recipe_of(model, kind).to_json()), statement.recipe
    fields = sorted(each for each in ours.keys() | theirs.keys() if ours.get(each) != theirs.get(each))
    others = [each for each in fields if each not in _VERSIONS]
    if others:
        chain.breaks("recipe", f"the documents of the commit make another recipe: {', '.join(others)}", again)
    elif fields:
        chain.verified("recipe", f"{statement.recipe_sha256}, by another version of the compiler")
    else:
        chain.verified("recipe", statement.recipe_sha256)


def _check_file(chain: Chain, file: Dependency, commit: Commit, history: History) -> None:
    if file.path is None:
        chain.stated(file.role, f"{file.url} has {file.sha256}; compare it with `sha256sum` of a download")
        return
    wrong = _wrong_file(file, file.path, commit, history)
    if wrong:
        chain.breaks(file.role, wrong, "the artifact was not built from the file of this commit: build it again")
    else:
        chain.verified(file.role, f"{file.path} has {file.sha256}")


def _wrong_file(file: Dependency, path: str, commit: Commit, history: History) -> str:
    data = history.read(commit, path)
    if data is None:
        return f"commit {commit[:12]} has no file {path}"
    found = hashlib.sha256(data).hexdigest()
    if found == file.sha256:
        return ""
    return f"{path} has {found} in commit {commit[:12]}, and the statement says {file.sha256}"


def _check_training(
    chain: Chain, statement: ArtifactStatement, file: Dependency, history: History, head: Commit
) -> None:
    path, commit = file.path or "", statement.commit
    restore = "restore the file that the training has committed, and find out who changed it"
    wrong = _wrong_file(file, path, commit, history)
    now = history.read(head, path)
    data = history.read(commit, path) or b""
    if not wrong and now is not None and now != data:
        wrong = f"{path} has changed since commit {commit[:12]}"
    if wrong:
        chain.breaks("training", wrong, restore)
        return
    try:
        content = json.loads(data)
        pack, run, snapshot = content["pack"], content["run"], content["snapshot"]["sha256"]
        summary = f"training {content['training']} of gateway {content['gateway']}"
    except (ValueError, KeyError, TypeError, RecursionError):
        chain.breaks("training", f"{path} is not the provenance of a training", restore)
        return
    sources = [each.sha256 for each in statement.of_role("source")]
    if sources != [pack]:
        chain.breaks("training", f"{path} is about another pack: {pack}", restore)
        return
    chain.verified("training", f"{summary} made the pack")
    chain.training = content
    _check_snapshot(chain, statement, history.message_of_addition(head, path), str(run), str(snapshot))


def _check_snapshot(chain: Chain, statement: ArtifactStatement, message: str, run: str, snapshot: str) -> None:
    restore = "the file was edited before it was merged: compare it with the branch that the gateway proposed"
    _, _, version = statement.model.rpartition("@")
    if run[:_RUN_DIGITS] not in version.split("-"):
        chain.breaks("snapshot", f"the run {run[:_RUN_DIGITS]} is not in the version {version}", restore)
        return
    stated = _SNAPSHOT.findall(message)
    if stated and snapshot not in stated:
        chain.breaks("snapshot", f"the commit that added the model names the snapshot {stated[0]}", restore)
        return
    if not stated:
        chain.stated("snapshot", f"the windows have {snapshot}; no commit of a training confirms it")
        return
    chain.verified("snapshot", f"the windows have {snapshot}, as the commit of the training says")


def _key_id(key: bytes) -> str:
    return hashlib.sha256(key).hexdigest()[:16]
