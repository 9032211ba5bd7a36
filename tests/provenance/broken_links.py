# SPDX-License-Identifier: Apache-2.0
"""Ways to break one link of a chain. Those with the gateway's key stand for a gateway that states what is wrong."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass

from reconciler.model import DeviceId, Digest, ModelRef, Observed, ObservedDevice, Phase
from signing import keys
from signing.dsse import read_dsse, sign_dsse
from signing.keys import FileKey
from tests.engine.trainings.test_models_of_run import RECORD
from tests.provenance.audited_fleet import RULE, SCORED, TRAINED_FOLDER, AuditedFleet, device_files
from tests.review.changes import NOON

Change = Callable[[bytes], bytes]


@dataclass(frozen=True)
class Break:
    """One way to break a chain, and the links at which it must be found."""

    device: str
    links: tuple[str, ...]
    apply: Callable[[AuditedFleet], None]


def restate(fleet: AuditedFleet, ref: ModelRef, change: Change, signer: FileKey | None = None) -> None:
    """Commit another statement: with the old signature, or signed."""
    path = fleet.statement_path(ref)
    before = fleet.status_file(path)
    signed = read_dsse(before)
    payload = change(signed.payload)
    if signer is not None:
        fleet.history.status({path: sign_dsse(signer, signed.payload_type, payload)})
        return
    content = json.loads(before)
    content["payload"] = base64.b64encode(payload).decode()
    fleet.history.status({path: json.dumps(content).encode()})


def own_key(fleet: AuditedFleet) -> FileKey:
    assert isinstance(fleet.gateway.signer, FileKey)
    return fleet.gateway.signer


def alter_statement(fleet: AuditedFleet) -> None:
    restate(fleet, RULE, lambda payload: payload.replace(b"urn:tinyfleet:gateway:works:hall", b"urn:other"))


def sign_with_another_key(fleet: AuditedFleet) -> None:
    restate(fleet, RULE, lambda payload: payload, keys.generate())


def report_an_unknown_digest(fleet: AuditedFleet) -> None:
    observed = Observed({DeviceId("pump-1"): ObservedDevice(NOON, Phase.CONFIRMED, Digest("77" * 32), sequence=2)})
    fleet.history.status(device_files(observed, fleet.commit))


def drop_the_status(fleet: AuditedFleet) -> None:
    fleet.history.git("update-ref", "-d", "refs/heads/status/hall")


def name_a_missing_commit(fleet: AuditedFleet) -> None:
    restate(fleet, RULE, lambda payload: payload.replace(fleet.commit.encode(), b"0" * 40), own_key(fleet))


def change_a_file(fleet: AuditedFleet, path: str) -> None:
    """Change a file and its digest in the document; the statement names that commit, with the old digest."""
    text = (fleet.history.path / "fleet.yaml").read_text()
    before = (fleet.history.path / path).read_bytes()
    after = before.replace(b"1", b"2", 1)
    changed = text.replace(hashlib.sha256(before).hexdigest(), hashlib.sha256(after).hexdigest())
    commit = fleet.history.commit({path: after.decode(), "fleet.yaml": changed})
    restate(fleet, SCORED, lambda payload: payload.replace(fleet.commit.encode(), commit.encode()), own_key(fleet))


def change_the_recipe(fleet: AuditedFleet) -> None:
    text = (fleet.history.path / "fleet.yaml").read_text()
    commit = fleet.history.commit({"fleet.yaml": text.replace("seed: 3", "seed: 4")})
    restate(fleet, SCORED, lambda payload: payload.replace(fleet.commit.encode(), commit.encode()), own_key(fleet))


def edit_the_provenance_of_a_training(fleet: AuditedFleet) -> None:
    path = f"{TRAINED_FOLDER}/provenance.json"
    text = (fleet.history.path / path).read_text()
    fleet.history.commit({path: text.replace(RECORD.snapshot, "0" * 64)})


BREAKS = {
    "report": Break("pump-1", ("report",), drop_the_status),
    "digest": Break("pump-1", ("statement",), report_an_unknown_digest),
    "altered": Break("pump-1", ("signature",), alter_statement),
    "other-key": Break("pump-1", ("signature",), sign_with_another_key),
    "commit": Break("pump-1", ("commit",), name_a_missing_commit),
    "recipe": Break("pump-2", ("recipe",), change_the_recipe),
    "source": Break("pump-2", ("recipe", "source"), lambda fleet: change_a_file(fleet, "normal.csv")),
    "gate-data": Break("pump-2", ("recipe", "gate"), lambda fleet: change_a_file(fleet, "labelled.csv")),
    "training": Break("pump-3", ("training",), edit_the_provenance_of_a_training),
}
