# SPDX-License-Identifier: Apache-2.0
"""The statement on one artifact: an in-toto Statement with SLSA provenance (docs/specs/provenance.md section 3)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from reconciler.compiler.build_result import BuildReport, GateOutcome
from reconciler.compiler.recipe import Recipe
from reconciler.model import Commit, Digest, Model, ModelSource

PAYLOAD_TYPE = "application/vnd.in-toto+json"
STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE = "https://slsa.dev/provenance/v1"
BUILD_TYPE = "urn:tinyfleet:build:1"
FLEET = "fleet"
FOLDER = "provenance/"
DELEGATION_PATH = f"{FOLDER}delegation.cwt"
TRAINING_FILE = "provenance.json"
PREFIX_DIGITS = 16  # of the pack's digest, in the name of the file


class NoStatement(ValueError):
    """The payload is not a statement of this form."""


@dataclass(frozen=True, slots=True)
class BuildRecord:
    """One build and what it was made of, as the gateway that signs it has found them."""

    model: Model
    recipe: Recipe
    report: BuildReport
    commit: Commit
    training_sha256: str | None = None  # of the `provenance.json` next to the source


@dataclass(frozen=True, slots=True)
class Dependency:
    """A file that a build used."""

    role: str
    sha256: str
    path: str | None = None
    url: str | None = None

    @property
    def place(self) -> str:
        """The path in the fleet repository, or the URL."""
        return self.path or self.url or ""


@dataclass(frozen=True, slots=True)
class ArtifactStatement:
    """What a gateway says about one artifact."""

    model: str  # name@version
    type: str
    pack_sha256: Digest
    recipe: Mapping[str, Any]
    recipe_sha256: str
    commit: Commit
    dependencies: tuple[Dependency, ...]
    builder: str
    tools: Mapping[str, str]
    gates: tuple[GateOutcome, ...]
    figures: Mapping[str, float]

    @property
    def training(self) -> Dependency | None:
        """The provenance file of a training, if one made the source."""
        return next((each for each in self.dependencies if each.role == "training"), None)

    def of_role(self, role: str) -> Iterator[Dependency]:
        """Yield the files of one role."""
        return (each for each in self.dependencies if each.role == role)


def statement_path(model: str, kind: str, pack_sha256: str) -> str:
    """Return where the status branch has the statement on an artifact."""
    name, _, version = model.rpartition("@")
    return f"{FOLDER}{name}/{version}/{kind}-{pack_sha256[:PREFIX_DIGITS]}.json"


def training_path(source: ModelSource) -> str | None:
    """Return where a training would have left the provenance of a source; None if it can't have made it."""
    if source.path is None or not source.path.endswith(".pack"):
        return None
    folder, separator, _ = source.path.rpartition("/")
    return f"{folder}{separator}{TRAINING_FILE}"


def builder_id(fleet: str, gateway: str) -> str:
    """Return the identity of a gateway as a builder."""
    return f"urn:tinyfleet:gateway:{fleet}:{gateway}"


def make_statement(record: BuildRecord, builder: str) -> bytes:
    """Make the statement on a build. The same record gives the same bytes."""
    recipe, report = record.recipe, record.report
    fleet = {"name": FLEET, "digest": {"gitCommit": record.commit}}
    statement = {
        "_type": STATEMENT_TYPE,
        "subject": [{"name": f"{report.model}/{report.type}", "digest": {"sha256": report.digest}}],
        "predicateType": PREDICATE_TYPE,
        "predicate": {
            "buildDefinition": {
                "buildType": BUILD_TYPE,
                "externalParameters": {"recipe": json.loads(recipe.to_json())},
                "internalParameters": {"recipeSha256": recipe.digest},
                "resolvedDependencies": [fleet, *map(_descriptor, _dependencies(record))],
            },
            "runDetails": {
                "builder": {"id": builder, "version": dict(report.tools)},
                "metadata": {"invocationId": recipe.digest},
            },
            "tinyfleet_gates": [asdict(gate) for gate in report.gates],
            "tinyfleet_figures": dict(report.figures),
        },
    }
    return json.dumps(statement, sort_keys=True, separators=(",", ":")).encode()


def read_statement(payload: bytes) -> ArtifactStatement:
    """Read a statement. Verify the signature before: the content is only as good as its signer."""
    try:
        return _read(json.loads(payload))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise NoStatement("it is not a statement of this version") from error


def recipe_digest(recipe: Mapping[str, Any]) -> str:
    """Return the digest of a recipe as a statement has it."""
    text = json.dumps(recipe, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _read(content: Mapping[str, Any]) -> ArtifactStatement:
    predicate = content["predicate"]
    definition, details = predicate["buildDefinition"], predicate["runDetails"]
    types = (content["_type"], content["predicateType"], definition["buildType"])
    if types != (STATEMENT_TYPE, PREDICATE_TYPE, BUILD_TYPE):
        raise ValueError(types)
    (subject,) = content["subject"]
    model, _, kind = subject["name"].rpartition("/")
    fleet, *files = definition["resolvedDependencies"]
    if fleet["name"] != FLEET:
        raise ValueError(fleet)
    return ArtifactStatement(
        model=model,
        type=kind,
        pack_sha256=Digest(subject["digest"]["sha256"]),
        recipe=definition["externalParameters"]["recipe"],
        recipe_sha256=definition["internalParameters"]["recipeSha256"],
        commit=Commit(fleet["digest"]["gitCommit"]),
        dependencies=tuple(map(_dependency, files)),
        builder=details["builder"]["id"],
        tools=dict(details["builder"]["version"]),
        gates=tuple(GateOutcome(**gate) for gate in predicate["tinyfleet_gates"]),
        figures=dict(predicate["tinyfleet_figures"]),
    )


def _dependencies(record: BuildRecord) -> Iterable[Dependency]:
    model = record.model
    yield _of("source", model.source)
    if model.quantize is not None and model.quantize.representative is not None:
        yield _of("representative", model.quantize.representative)
    for gate in model.gates:
        if gate.data is not None:
            yield _of("gate", gate.data)
    path = training_path(model.source)
    if record.training_sha256 is not None and path is not None:
        yield Dependency("training", record.training_sha256, path)


def _of(role: str, source: ModelSource) -> Dependency:
    return Dependency(role, source.sha256, source.path, source.url)


def _descriptor(file: Dependency) -> Mapping[str, Any]:
    place = {"name": file.path} if file.path is not None else {"uri": file.url}
    return {**place, "digest": {"sha256": file.sha256}, "annotations": {"role": file.role}}


def _dependency(raw: Mapping[str, Any]) -> Dependency:
    return Dependency(raw["annotations"]["role"], raw["digest"]["sha256"], raw.get("name"), raw.get("uri"))
