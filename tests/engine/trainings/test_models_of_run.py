# SPDX-License-Identifier: Apache-2.0
"""What a training proposes: documents that load, packs, and where they come from, without data."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace

import pytest

from reconciler.automation_scope import find_change, grant_of, trained_source
from reconciler.compiler.training.messages import TrialOutcome
from reconciler.compiler.training.run_folder import RunRecord
from reconciler.engine.trainings.models_of_run import best_models, closest_model, wanted_models
from reconciler.load.document_check import check_file
from reconciler.model import GatewayId, Model, ModelRef, Version
from reconciler.training.decision import RunResult
from reconciler.training.objective import Exposure, TrialScore
from reconciler.training.selection import RowCounts
from reconciler.training.trials import draw_trials
from tests.engine.samples.test_contest_work import PACKS, REFS
from tests.test_automation_scope import EVERYTHING, NORTH, with_model
from tests.training.documents import NOON, PUMP, TRAINING, snapshot

WINDOWS = snapshot()
RECORD = RunRecord(
    "0123456789abcdef" * 4, "cd" * 32, WINDOWS.sha256, NOON, NOON, 132, 6, RowCounts(80, 0, 40, 12),
    Exposure(400, 0.03, 12), RunResult.KEPT,
)  # fmt: skip
TRIALS = draw_trials(TRAINING)


def outcome(number: int, objective: float, *, reached: bool = True) -> TrialOutcome:
    pack = PACKS[REFS[number % len(REFS)]]
    detection = 95.0 if reached else 50.0
    return TrialOutcome(TRIALS[number - 1], TrialScore(0.61, objective, objective, detection, len(pack), reached), pack)


OUTCOMES = [outcome(1, 9.0), outcome(2, 3.0), outcome(3, 1.0, reached=False), outcome(4, 5.0)]


def test_the_best_are_kept_with_versions_in_their_order() -> None:
    found = best_models(replace(TRAINING, keep=2), RECORD, OUTCOMES)
    assert [(str(each.ref), each.outcome.trial.number) for each in found] == [
        ("forest@20261129-01234567", 2),
        ("forest@20261129-01234567-2", 4),
    ]
    assert best_models(TRAINING, RECORD, OUTCOMES[2:3]) == ()
    nearest = closest_model(TRAINING, RECORD, OUTCOMES[2:3])
    assert nearest is not None
    assert nearest.outcome.trial.number == 3
    failed = TrialOutcome(TRIALS[0], None, error="no")
    assert closest_model(TRAINING, RECORD, [failed]) is None


def test_a_document_loads_as_a_training_may_add_it() -> None:
    training = replace(TRAINING, model="trained")
    models = best_models(training, RECORD, OUTCOMES)
    wanted = wanted_models(training, RECORD, models, NORTH)
    ref = ModelRef("trained", Version("20261129-01234567"))
    folder = "models/trained/20261129-01234567"
    assert wanted.models == (ref,)
    assert wanted.target == "models trained@20261129-01234567"
    assert sorted(wanted.files) == [f"{folder}/{name}" for name in ("model.pack", "model.yaml", "provenance.json")]
    checked, _ = check_file(wanted.files[f"{folder}/model.yaml"])
    assert checked.problems == ()
    (document,) = checked.documents
    model = document.value
    assert isinstance(model, Model)
    digest = hashlib.sha256(wanted.files[f"{folder}/model.pack"]).hexdigest()
    assert (model.ref, model.source) == (ref, trained_source(ref, digest))
    assert model.needs.operators == {"TREE_ENSEMBLE"}
    assert model.parameters == {"threshold": 0.61, "sample-every": 0, "sample-windows": 1}
    change = find_change(EVERYTHING, with_model(EVERYTHING, model), grant_of(EVERYTHING, NORTH))
    assert not isinstance(change, str), change


@pytest.mark.parametrize("version", ["20261129-01234567", "20261129-0123e456", "1e5"])
def test_a_version_is_never_read_as_a_number(version: str) -> None:
    digest = version.partition("-")[2] * 8
    record = replace(RECORD, digest=digest or RECORD.digest)
    wanted = wanted_models(TRAINING, record, best_models(TRAINING, record, OUTCOMES), GatewayId("north"))
    (path,) = [each for each in wanted.files if each.endswith("model.yaml")]
    checked, _ = check_file(wanted.files[path])
    assert checked.problems == ()


def test_a_proposal_holds_no_data() -> None:
    """Digests, settings, scores and counts: no window, no device, no time but that of the newest window."""
    wanted = wanted_models(TRAINING, RECORD, best_models(TRAINING, RECORD, OUTCOMES), GatewayId("north"))
    text = {path: data for path, data in wanted.files.items() if not path.endswith(".pack")}
    everything = b"".join(text.values()) + wanted.message.encode()
    assert PUMP.encode() not in everything
    for row in range(len(WINDOWS.rows)):
        start = row * WINDOWS.layout.window_bytes
        window = WINDOWS.windows[start : start + WINDOWS.layout.window_bytes]
        assert all(window not in data for data in wanted.files.values())
    (provenance,) = [json.loads(data) for path, data in text.items() if path.endswith("provenance.json")]
    assert provenance["snapshot"] == {
        "sha256": WINDOWS.sha256,
        "newest": "2026-11-29T12:00:00Z",
        "trainedOn": {"normal": 80, "anomalous": 0},
        "evaluatedOn": {"normal": 40, "anomalous": 12, "normalWeighted": 400, "deviceDays": 0.03},
    }
    assert provenance["trial"]["number"] == 2
    assert provenance["score"]["detection"] == 95.0
    assert provenance["versions"]["numpy"]


def test_the_message_states_what_was_trained_on_what() -> None:
    models = best_models(replace(TRAINING, keep=2), RECORD, OUTCOMES)
    message = wanted_models(TRAINING, RECORD, models, GatewayId("north")).message
    lines = message.splitlines()
    assert lines[0] == "forest: add 2 versions trained by nightly"
    assert "Trained on 80 normal and 0 anomalous windows, evaluated on 40 and 12 others" in lines[2]
    assert lines[-3:] == ["Training: nightly", "Gateway: north", f"Snapshot: sha256:{WINDOWS.sha256}"]
    assert any("forest@20261129-01234567-2" in line for line in lines)
