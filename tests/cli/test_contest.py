# SPDX-License-Identifier: Apache-2.0
"""`tinyfleet contest` and `tinyfleet knowledge`: statuses, rows, labels and replays."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from reconciler.daemon import runtime_status
from reconciler.daemon.instance_lock import held
from reconciler.knowledge.records import LogPosition, SampleBatch, SampleContext, Voter
from reconciler.knowledge.schema import KNOWLEDGE_FILE
from reconciler.knowledge.writer import KnowledgeWriter
from reconciler.model import Candidate, ContestId, DeviceId, Digest, ModelRef, SampleLog, Version
from reconciler.report.contest_file import contest_file
from reconciler.report.contest_status import contest_status
from tests.cli.gateway_folder import GatewayFolder, gateway_folder
from tests.contest.rows import FACTS, B, C
from tests.knowledge.knowledge_samples import NOON, sample
from tests.report.test_contest_status import FIVE, GOOD, figures, stamp
from tests.review.changes import fleet_files, fleet_history

CONTEST = """\
apiVersion: tinyfleet/v1alpha1
kind: Contest
metadata: {name: wear}
spec:
  rollout: wear
  candidates: {models: [wear], thresholds: {least: 0.5, most: 0.9, step: 0.1}}
  replace: {falsePositives: 5, tenure: 1s, decided: 10, normals: 5}
"""
MODEL = ModelRef("wear", Version("1"))
EVERYONE = tuple(Candidate(MODEL, threshold) for threshold in (0.5, 0.6, 0.7, 0.8, 0.9))


@pytest.fixture
def gateway(tmp_path: Path) -> GatewayFolder:
    """Make a gateway that enforces a fleet with a contest, and has collected 30 normal windows and 8 false alarms."""
    made, history = gateway_folder(tmp_path), fleet_history(tmp_path)
    commit = history.commit({**fleet_files(), "contest.yaml": CONTEST})
    (made.folder / "state").mkdir(exist_ok=True)
    mirror = made.folder / "state" / "mirror.git"
    history.git("clone", "--quiet", "--mirror", str(history.path), str(mirror))
    history.git("--git-dir", str(mirror), "update-ref", "refs/tinyfleet/applied", commit)
    made.publish()
    with knowledge(made) as writer:
        fill(writer)
    return made


@contextmanager
def knowledge(made: GatewayFolder) -> Iterator[KnowledgeWriter]:
    writer = KnowledgeWriter(made.folder / "state" / KNOWLEDGE_FILE)
    try:
        yield writer
    finally:
        writer.close()


def fill(writer: KnowledgeWriter) -> None:
    """Keep what threshold 0.5 made of 30 normal windows and of 8 that it alone calls anomalous."""
    context = b"\x01\x02\x03\x04"
    writer.save_context(SampleContext(context, MODEL, Digest("ab" * 32), {"threshold": 0.5}))
    normals = [sample(number, SampleLog.NORMALS, context=context, weight=10) for number in range(30)]
    alarms = [
        sample(number, context=context, received_at=NOON + timedelta(minutes=60 + number), device=device)
        for number, device in ((index, DeviceId("pump-1")) for index in range(8))
    ]
    for log, samples in ((SampleLog.NORMALS, normals), (SampleLog.ANOMALIES, alarms)):
        lost = 4064 if log is SampleLog.NORMALS else 0
        position = LogPosition(samples[-1].offset + 128, lost)
        writer.ingest(SampleBatch(ContestId("wear"), DeviceId("pump-1"), log, 0, position, tuple(samples)))
    stored = writer.samples_after(ContestId("wear"), 0, 1000)
    ballots = {
        Voter(each, "source"): {
            one.id: one.sample.log is SampleLog.ANOMALIES and each.threshold == 0.5 for one in stored
        }
        for each in EVERYONE
    }
    writer.save_votes(ContestId("wear"), ballots, stored[-1].id)


def asked(gateway: GatewayFolder, *arguments: str) -> Any:  # noqa: ANN401 (any JSON)
    found = gateway.tinyfleet(*arguments, "--output", "json")
    assert found.exit_code == 0, found.output
    return json.loads(found.output)


def words(gateway: GatewayFolder, *arguments: str) -> str:
    """Return the text of a command, with single spaces."""
    return " ".join(gateway.tinyfleet(*arguments).output.split())


def error(found: Result) -> str:
    assert found.exit_code == 1
    return found.output or str(found.exception)


# ------------------------------------------------------------ statuses


def publish(gateway: GatewayFolder) -> None:
    state = gateway.state()
    state.save_status_files({"contests/pumps.yaml": contest_file(contest_status(figures(FIVE), stamp(), None))}, set())
    state.close()


def test_a_contest_is_listed_and_shown_with_its_figures(gateway: GatewayFolder) -> None:
    publish(gateway)
    assert "pumps hall forest@a at 0.6 Due 5/5 false, 0/5 missed 35" in words(gateway, "contest", "list")
    text = words(gateway, "contest", "show", "pumps")
    for part in (
        "successor forest@b at 0.6",
        "pump-1 5 of 5 0 of 5",
        "decided windows 35 of at least 20; 0 undecided",
        "ChampionSound False TooManyFalsePositives",
        "forest@a at 0.6 +25 35 16.4 0.0 champion",
    ):
        assert part in text, part
    (fields,) = asked(gateway, "contest", "show", "pumps")
    assert fields["candidates"][1] == {
        "candidate": "forest@b at 0.6",
        "rank": 35,
        "decided": 35,
        "falseAlarmRate": 0.0,
        "missedRate": 0.0,
        "shortcoming": "",
    }
    assert [each["type"] for each in fields["conditions"]][:2] == ["Ready", "KnowledgeKept"]


def test_a_running_daemon_adds_the_newest_figures(gateway: GatewayFolder) -> None:
    publish(gateway)
    newest = replace(figures(FIVE).figures, decided=777)
    gateway.write_runtime_status()
    path = gateway.folder / "state"
    before = runtime_status.read(path)
    assert before is not None
    status = runtime_status.RuntimeStatus(
        at=NOON,
        passes=1,
        summary="",
        commit=None,
        source_good=True,
        source_reason="",
        contests={newest.contest: newest},
    )
    runtime_status.write(path, status)
    assert asked(gateway, "contest", "list")[0]["windows"]["decided"] == 35
    with held(path):
        assert asked(gateway, "contest", "list")[0]["windows"]["decided"] == 777


def test_contests_are_read_from_the_status_branches_of_a_clone(tmp_path: Path) -> None:
    made = fleet_history(tmp_path)
    made.commit(fleet_files())
    made.status({"contests/pumps.yaml": contest_file(contest_status(GOOD, stamp(), None))}, "north")
    clone = tmp_path / "clone"
    made.git("clone", "--quiet", str(made.path), str(clone))
    gateway = gateway_folder(tmp_path)
    (found,) = asked(gateway, "contest", "list", str(clone))
    assert (found["contest"], found["gateway"], found["state"]) == ("pumps", "north", "Watching")
    assert "no contest named other; known contests: `pumps`" in error(
        gateway.tinyfleet("contest", "show", "other", str(clone))
    )


def test_a_gateway_without_contests(gateway: GatewayFolder) -> None:
    assert gateway.tinyfleet("contest", "list").output.strip() == "no contests"
    assert "known contests: none" in error(gateway.tinyfleet("contest", "show", "pumps"))


# ------------------------------------------------------------ rows


def test_the_newest_windows_are_listed_with_votes_and_what_they_count_as(gateway: GatewayFolder) -> None:
    found = asked(gateway, "contest", "samples", "wear", "--last", "2")
    assert [(each["device"], each["log"], each["anomalous"], each["countsAs"]) for each in found] == [
        ("pump-1", "anomalies", True, False)
    ] * 2
    assert found[0]["champion"] == "wear@1 at 0.5"
    assert found[0]["votes"]["wear@1 at 0.5"] is True
    text = words(gateway, "contest", "samples", "wear", "--last", "1")
    assert "wear@1 at 0.5 anomalous 1 of 5 normal -" in text


def test_windows_are_chosen_by_device_error_and_decision(gateway: GatewayFolder) -> None:
    def count(*options: str) -> int:
        return len(asked(gateway, "contest", "samples", "wear", "--last", "1000", *options))

    assert count() == 38
    assert count("--errors") == 8
    assert count("--undecided") == 0
    assert count("--device", "pump-1") == 38
    assert count("--device", "pump-2") == 0
    assert gateway.tinyfleet("contest", "samples", "wear", "--device", "pump-2").output.strip() == "no such samples"


def test_a_label_outranks_the_pool(gateway: GatewayFolder) -> None:
    numbers = [str(each["number"]) for each in asked(gateway, "contest", "samples", "wear", "--errors")]
    labelled = gateway.tinyfleet("contest", "label", *numbers, "--anomalous", "--author", "ada")
    assert labelled.output == "labelled 8 windows as anomalous\n"
    assert asked(gateway, "contest", "samples", "wear", "--errors") == []
    assert asked(gateway, "contest", "samples", "wear", "--last", "1")[0]["label"] is True
    (present,) = asked(gateway, "contest", "replay", "wear")
    assert present["replacements"] == []
    db = sqlite3.connect(gateway.folder / "state" / KNOWLEDGE_FILE)
    assert {author for (author,) in db.execute("SELECT author FROM label")} == {"ada"}
    db.close()
    assert "there is no window 99999" in error(gateway.tinyfleet("contest", "label", "99999", "--normal"))


def test_a_declined_successor_is_proposed_again_when_a_person_asks(gateway: GatewayFolder) -> None:
    declined = figures(FIVE, facts=replace(FACTS, declined=frozenset({B})))
    state = gateway.state()
    state.save_status_files({"contests/pumps.yaml": contest_file(contest_status(declined, stamp(), None))}, set())
    state.close()
    with knowledge(gateway) as writer:
        for each in (B, C):
            writer.decline(ContestId("pumps"), each, NOON + timedelta(seconds=len(str(each)) + (each == C)))
    done = gateway.tinyfleet("contest", "propose", "pumps")
    assert done.output == "forest@b at 0.6 is proposed again at the next pass of the daemon\n"
    with knowledge(gateway) as writer:
        assert [each.candidate for each in writer.declined(ContestId("pumps"))] == [C]
    assert "has no declined successor" in error(gateway.tinyfleet("contest", "propose", "pumps"))


def test_a_proposal_in_another_state_says_what_is_missing(gateway: GatewayFolder) -> None:
    publish(gateway)
    assert "pumps has no declined successor: Proposing: forest@b at 0.6 is about to be proposed" in error(
        gateway.tinyfleet("contest", "propose", "pumps")
    )
    assert "no contest named other" in error(gateway.tinyfleet("contest", "propose", "other"))


# ------------------------------------------------------------ replay


def test_a_replay_shows_what_other_rules_would_have_decided(gateway: GatewayFolder) -> None:
    rules = gateway.folder / "patient.yaml"
    rules.write_text(CONTEST.replace("falsePositives: 5", "falsePositives: 50"))
    present, patient = asked(gateway, "contest", "replay", "wear", "--rules", str(rules))
    (change,) = present["replacements"]
    assert (change["out"], change["into"], change["at"]) == (
        "wear@1 at 0.5",
        "wear@1 at 0.6",
        (NOON + timedelta(minutes=64)).isoformat(),
    )
    assert (present["rules"], present["falseAlarms"], present["windows"]) == ("present", 5, 308)
    assert (patient["rules"], patient["replacements"], patient["falseAlarms"]) == ("patient.yaml", [], 8)
    text = words(gateway, "contest", "replay", "wear", "--rules", str(rules))
    assert "present: 2026-11-29 13:04 wear@1 at 0.5 -> wear@1 at 0.6" in text
    assert "patient.yaml 0 wear@1 at 0.5 308 26.0 0.0" in text


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("falsePositives", "falsePositive"), "rules.yaml:7:13: unknown field `falsePositive`"),
        (("kind: Contest", "kind: Rollout"), "rules.yaml:"),
        (("  replace:", "  pool: {models: [{name: none, version: '1'}]}\n  replace:"), "has no model none@1"),
        ((CONTEST, ""), "must hold exactly one Contest document; it has 0"),
    ],
)
def test_rules_with_mistakes_are_refused_with_their_place(
    gateway: GatewayFolder, change: tuple[str, str], message: str
) -> None:
    rules = gateway.folder / "rules.yaml"
    rules.write_text(CONTEST.replace(*change))
    assert message in error(gateway.tinyfleet("contest", "replay", "wear", "--rules", str(rules)))


def test_an_unknown_contest_and_a_missing_knowledge_base_are_reported(gateway: GatewayFolder) -> None:
    assert "no contest named other; known contests: `wear`" in error(gateway.tinyfleet("contest", "samples", "other"))
    for file in (gateway.folder / "state").glob(f"{KNOWLEDGE_FILE}*"):
        file.unlink()
    assert "this gateway has collected no samples yet" in gateway.failure("contest", "samples", "wear")
    assert "this gateway has collected no samples yet" in gateway.failure("contest", "label", "1", "--normal")


# ------------------------------------------------------------ the knowledge base


def test_the_knowledge_base_is_counted_by_contest(gateway: GatewayFolder) -> None:
    found = asked(gateway, "knowledge", "show")
    (counts,) = found["contests"]
    assert (counts["contest"], counts["samples"], counts["anomalies"], counts["labelled"]) == ("wear", 38, 8, 0)
    assert found["lostBytes"] == {"pump-1 normals": 4064}
    text = words(gateway, "knowledge", "show")
    assert "wear 38 8 0" in text
    assert "4,064 bytes of pump-1 normals were overwritten" in text


def test_a_backup_is_a_private_copy(gateway: GatewayFolder) -> None:
    copy = gateway.folder / "copy.db"
    assert gateway.tinyfleet("knowledge", "backup", str(copy)).output == f"copied to {copy}\n"
    assert copy.stat().st_mode & 0o777 == 0o600
    assert sqlite3.connect(copy).execute("SELECT count(*) FROM sample").fetchone() == (38,)
    assert "choose another name" in error(gateway.tinyfleet("knowledge", "backup", str(copy)))
    shutil.rmtree(gateway.folder / "none", ignore_errors=True)
    assert "No such file" in error(gateway.tinyfleet("knowledge", "backup", str(gateway.folder / "none" / "copy.db")))


def test_the_suffix_of_an_export_is_its_format(gateway: GatewayFolder) -> None:
    table, rows = gateway.folder / "windows.csv", gateway.folder / "windows.parquet"
    name = asked(gateway, "knowledge", "show")["contests"][0]["contest"]
    count = asked(gateway, "knowledge", "export", name, str(table))["samples"]
    assert len(table.read_text(encoding="utf-8").splitlines()) == 1 + count
    assert asked(gateway, "knowledge", "export", name, str(rows)) == {"file": str(rows), "samples": count}
    assert rows.read_bytes().startswith(b"PAR1")
    assert "has to end in .csv" in error(gateway.tinyfleet("knowledge", "export", name, str(gateway.folder / "x.xls")))


def test_a_device_is_forgotten_after_a_confirmation(gateway: GatewayFolder) -> None:
    refused = gateway.tinyfleet("knowledge", "forget", "--device", "pump-1")
    assert refused.exit_code == 1
    assert asked(gateway, "knowledge", "show")["contests"][0]["samples"] == 38
    done = gateway.tinyfleet("knowledge", "forget", "--device", "pump-1", "--yes")
    assert done.output == "deleted 38 samples of pump-1\n"
    assert asked(gateway, "knowledge", "show")["contests"] == []
    assert gateway.tinyfleet("knowledge", "show").output.startswith("no samples")
