# SPDX-License-Identifier: Apache-2.0
"""The chain from a device to the data of its model holds, and a change of any link is found and named."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from signing import keys
from signing.identifiers import key_id
from signing.keys import FileKey
from tests.cyclonedx import cyclonedx_errors
from tests.engine.trainings.test_models_of_run import RECORD
from tests.provenance.audited_fleet import (
    ROOT,
    RULE,
    SCORED,
    TRAINED,
    TRAINED_FOLDER,
    AuditedFleet,
    audited_fleet,
    gateway_key,
    rebuilt,
)
from tests.provenance.broken_links import BREAKS, own_key, restate

COMMON = {"report": "stated", "statement": "verified", "signature": "verified", "commit": "verified"}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> AuditedFleet:
    return audited_fleet(tmp_path_factory.mktemp("audited"))


@pytest.fixture
def fleet(built: AuditedFleet, tmp_path: Path) -> AuditedFleet:
    return built.copy(tmp_path)


def test_each_kind_of_model_has_a_chain_that_holds(built: AuditedFleet) -> None:
    links = {**COMMON, "recipe": "verified", "source": "verified"}
    assert built.links("pump-1") == links
    assert built.links("pump-2") == {**links, "gate": "verified"}
    assert built.links("pump-3") == {**links, "training": "verified", "snapshot": "verified"}
    text = built.provenance("pump-2").stdout
    assert "the chain holds (6 verified, 1 stated)" in text
    assert "\n  auc " in text


def broken_links(fleet: AuditedFleet, device: str, *more: str) -> list[str]:
    return [link["link"] for link in fleet.broken(device, *more)]


@pytest.mark.parametrize("name", BREAKS)
def test_a_broken_link_is_found_and_named(fleet: AuditedFleet, name: str) -> None:
    BREAKS[name].apply(fleet)
    assert tuple(broken_links(fleet, BREAKS[name].device)) == BREAKS[name].links
    text = fleet.provenance(BREAKS[name].device).stdout
    assert f"the chain breaks at: {', '.join(BREAKS[name].links)}" in text
    assert "what to do: " in text


def test_a_rebuild_gives_the_same_digests(built: AuditedFleet, tmp_path: Path) -> None:
    assert rebuilt(built, tmp_path / "store") == built.packs()


def test_an_altered_statement_is_found(fleet: AuditedFleet) -> None:
    restate(fleet, RULE, lambda payload: payload.replace(b"urn:tinyfleet:gateway:works:hall", b"urn:other"))
    (link,) = fleet.broken("pump-1")
    assert (link["link"], "is not signed by" in link["text"]) == ("signature", True)
    assert "find out who changed the status branch" in link["remedy"]


def test_a_statement_signed_by_another_key_is_found(fleet: AuditedFleet) -> None:
    other = keys.generate()
    restate(fleet, RULE, lambda payload: payload, other)
    (link,) = fleet.broken("pump-1")
    assert link["link"] == "signature"
    assert f"it names key {key_id(other.public_key).hex()}" in link["text"]


def test_a_delegation_by_another_root_is_found(fleet: AuditedFleet) -> None:
    stranger = gateway_key(keys.generate())
    assert isinstance(stranger.signer, FileKey)
    restate(fleet, RULE, lambda payload: payload, stranger.signer)
    fleet.history.status({"provenance/delegation.cwt": stranger.cwt})
    (link,) = fleet.broken("pump-1")
    assert (link["link"], "ROOT" in link["text"]) == ("signature", True)


def test_a_statement_about_another_pack_is_found(fleet: AuditedFleet) -> None:
    """The gateway has signed it, but it is a copy of another statement."""
    other = fleet.status_file(fleet.statement_path(SCORED))
    fleet.history.status({fleet.statement_path(RULE): other})
    (link,) = fleet.broken("pump-1")
    assert (link["link"], "its model is score@1" in link["text"]) == ("signature", True)


def test_another_recipe_is_found(fleet: AuditedFleet) -> None:
    text = (fleet.history.path / "fleet.yaml").read_text()
    commit = fleet.history.commit({"fleet.yaml": text.replace("seed: 3", "seed: 4")})
    restate(fleet, SCORED, lambda payload: payload.replace(fleet.commit.encode(), commit.encode()), own_key(fleet))
    (link,) = fleet.broken("pump-2")
    assert (link["link"], link["text"]) == ("recipe", "the documents of the commit make another recipe: train")


def test_a_provenance_that_was_edited_before_the_build_is_found(fleet: AuditedFleet) -> None:
    """The gateway that built the model has seen only the edited file; the commit of the training has the snapshot."""
    path = f"{TRAINED_FOLDER}/provenance.json"
    text = (fleet.history.path / path).read_text()
    edited = text.replace(RECORD.snapshot, "0" * 64)
    commit = fleet.history.commit({path: edited})

    def change(payload: bytes) -> bytes:
        for old, new in ((text, edited), (fleet.commit, commit)):
            before = hashlib.sha256(old.encode()).hexdigest() if old is text else old
            after = hashlib.sha256(new.encode()).hexdigest() if new is edited else new
            payload = payload.replace(before.encode(), after.encode())
        return payload

    restate(fleet, TRAINED, change, own_key(fleet))
    (link,) = fleet.broken("pump-3")
    assert (link["link"], RECORD.snapshot in link["text"]) == ("snapshot", True)


def test_keys_come_from_options_or_from_the_repository(fleet: AuditedFleet, tmp_path: Path) -> None:
    root, gateway = tmp_path / "root.pem", tmp_path / "gateway.hex"
    root.write_bytes(keys.public_pem(fleet.root.public_key))
    gateway.write_text(fleet.gateway.signer.public_key.hex())
    (fleet.history.path / ROOT).unlink()
    fleet.history.commit({})
    (link,) = fleet.broken("pump-1")
    assert (link["link"], link["remedy"]) == ("signature", "name the root's public key with --root")
    assert broken_links(fleet, "pump-1", "--root", str(root)) == []
    assert broken_links(fleet, "pump-1", "--gateway-key", str(gateway)) == []
    root.write_text("not a key")
    assert broken_links(fleet, "pump-1", "--root", str(root)) == ["signature"]


def test_a_wrong_name_is_an_error_with_a_suggestion(built: AuditedFleet) -> None:
    assert "did you mean `pump-1`?" in str(built.provenance("pump-11").exception)
    assert "did you mean `wear@1`?" in str(built.provenance("wear@2").exception)


def test_a_model_has_a_chain_for_each_artifact(built: AuditedFleet) -> None:
    result = built.provenance("score@1", "--output", "json")
    (fields,) = json.loads(result.stdout)
    assert (result.exit_code, fields["subject"], fields["holds"]) == (0, "score@1 for board, gateway hall", True)
    assert fields["tools"].keys() >= {"python", "numpy", "scikit-learn"}
    assert [gate["metric"] for gate in fields["gates"]][-1] == "auc"


def test_a_bill_of_materials_has_a_model_card(built: AuditedFleet) -> None:
    result = built.provenance("score@1", "--output", "cyclonedx")
    assert cyclonedx_errors(json.loads(result.stdout)) == []
    bill = json.loads(result.stdout)
    assert (bill["bomFormat"], bill["specVersion"], result.exit_code) == ("CycloneDX", "1.6", 0)
    model, *files = bill["components"]
    card = model["modelCard"]
    parameters = card["modelParameters"]
    assert (model["type"], model["name"], model["version"]) == ("machine-learning-model", "score", "1")
    assert (parameters["task"], parameters["approach"]) == ("anomaly detection", {"type": "unsupervised"})
    assert parameters["inputs"] == [{"format": "acceleration: int16[3]"}]
    assert {each["name"] for each in files} == {"normal.csv", "labelled.csv"}
    assert {each["ref"] for each in parameters["datasets"]} == {each["bom-ref"] for each in files}
    assert "auc" in {each["type"] for each in card["quantitativeAnalysis"]["performanceMetrics"]}
    assert result.stdout == built.provenance("score@1", "--output", "cyclonedx").stdout


def test_the_bill_of_a_trained_model_has_the_digest_of_its_windows(built: AuditedFleet) -> None:
    bill = json.loads(built.provenance("pump-3", "--output", "cyclonedx").stdout)
    assert cyclonedx_errors(bill) == []
    model = bill["components"][0]
    assert model["modelCard"]["modelParameters"]["datasets"] == [{"ref": f"sha256:{RECORD.snapshot}"}]
    (windows,) = [each for each in bill["components"] if each["type"] == "data"]
    assert windows["hashes"] == [{"alg": "SHA-256", "content": RECORD.snapshot}]


def test_there_is_no_bill_of_a_broken_chain(fleet: AuditedFleet) -> None:
    restate(fleet, RULE, lambda payload: payload + b" ")
    result = fleet.provenance("pump-1", "--output", "cyclonedx")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "the chain breaks at: signature" in result.stderr
