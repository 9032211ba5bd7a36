# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from reconciler.cli.inputs.repositories import find_repository
from reconciler.compiler.artifact_store import ArtifactStore
from reconciler.compiler.build_result import BuildReport, BuildResult
from reconciler.compiler.recipe import recipe_of
from reconciler.load import CheckCache
from reconciler.model import ModelRef, TypeId, Version
from tests.review.changes import (
    API,
    CAREFUL,
    commented,
    device_status_file,
    fleet_files,
    fleet_history,
    gateway_status_files,
    model,
    reviewed,
    rollout_document,
    run,
    silent,
)

COMMENT_LIMIT = 65_536


def codes(document: dict[str, list[dict[str, str]]]) -> set[str]:
    return {risk["code"] for risk in document["risks"]}


def test_a_new_version_affects_every_device_wave_by_wave(tmp_path: Path) -> None:
    repository = fleet_history(tmp_path)
    base = repository.commit(fleet_files(rollout=CAREFUL))
    head = repository.commit({"rollout.yaml": rollout_document("2", CAREFUL)})
    document = reviewed(repository, base, head)
    assert document["counts"]["affected"] == 12
    (rollout,) = document["rollouts"]
    assert (rollout["modelBefore"], rollout["model"]) == ("wear@1", "wear@2")
    assert [(wave["name"], wave["affected"]) for wave in rollout["waves"]] == [("canary", 1), ("half", 5), ("rest", 6)]
    assert {device["waveName"] for device in document["devices"]} == {"canary", "half", "rest"}
    assert {device["action"] for device in document["devices"]} == {"install"}
    assert document["documents"] == [{"kind": "Rollout", "name": "wear", "change": "changed", "fields": ["model"]}]


def test_an_unchanged_fleet_affects_no_device(tmp_path: Path) -> None:
    repository = fleet_history(tmp_path)
    base = repository.commit(fleet_files())
    head = repository.commit({"notes.txt": "unrelated"})
    document = reviewed(repository, base, head)
    assert (document["counts"]["affected"], document["documents"], document["risks"]) == (0, [], [])
    assert "No device affected" in commented(repository, base, head)


def test_a_parameter_change_needs_only_an_envelope(tmp_path: Path) -> None:
    repository = fleet_history(tmp_path)
    base = repository.commit(fleet_files())
    head = repository.commit({"rollout.yaml": rollout_document("1", "  parameters: {threshold: 0.75}\n")})
    document = reviewed(repository, base, head)
    assert {device["action"] for device in document["devices"]} == {"configure"}
    assert {(load["payload"], load["bytes"]) for load in document["payloads"]} == {("envelope only", 0)}
    assert "threshold 0.5 → 0.75" in commented(repository, base, head)


def test_going_back_to_a_prebaked_version_transfers_nothing(tmp_path: Path) -> None:
    repository = fleet_history(tmp_path)
    base = repository.commit({**fleet_files(), "rollout.yaml": rollout_document("2")})
    head = repository.commit({"rollout.yaml": rollout_document("1")})
    assert {each["action"] for each in reviewed(repository, base, head)["devices"]} == {"activate-prebaked"}


def test_times_match_a_shared_half_duplex_line(tmp_path: Path) -> None:
    """The bench measured 18.40 s for 3,634 bytes and 6.36 s for 791 at 2400 baud, and 2.87 s for an envelope."""
    for payload, measured_s in ((3634, 18.40), (791, 6.36)):
        folder = tmp_path / str(payload)
        folder.mkdir()
        repository = fleet_history(folder)
        base = repository.commit(fleet_files())
        models = "---\n".join((model("1"), model("2", slot=payload)))
        head = repository.commit({"models.yaml": models, "rollout.yaml": rollout_document("2")})
        lines = {line["port"]: line for line in reviewed(repository, base, head)["lines"]}
        assert lines["/dev/ttyS0"]["secondsLongest"] == pytest.approx(measured_s, rel=0.05)
        assert lines["/dev/ttyS0"]["devices"] == 4
        assert lines["/dev/ttyS0"]["seconds"] == pytest.approx(4 * lines["/dev/ttyS0"]["secondsLongest"], rel=0.01)
        assert lines[None]["seconds"] is None  # MQTT without a rate limit


def test_an_envelope_takes_time_on_a_slow_line(tmp_path: Path) -> None:
    repository = fleet_history(tmp_path)
    base = repository.commit(fleet_files())
    other = repository.commit({"rollout.yaml": rollout_document("1", "  parameters: {threshold: 0.75}\n")})
    lines = {line["port"]: line for line in reviewed(repository, base, other)["lines"]}
    assert lines["/dev/ttyS0"]["secondsLongest"] == pytest.approx(2.87, rel=0.05)


def test_the_rate_limit_of_a_gateway_applies_to_mqtt(tmp_path: Path) -> None:
    repository = fleet_history(tmp_path)
    gateway = fleet_files()["gateway.yaml"] + "  limits: {bytesPerSecond: 100}\n"
    base = repository.commit({**fleet_files(), "gateway.yaml": gateway})
    head = repository.commit({"rollout.yaml": rollout_document("2")})
    lines = {line["port"]: line for line in reviewed(repository, base, head)["lines"]}
    assert lines[None]["seconds"] == pytest.approx(8 * (2400 + 300) / 100)


def test_blocked_devices_are_listed_with_their_reason(tmp_path: Path) -> None:
    repository = fleet_history(tmp_path)
    base = repository.commit(fleet_files())
    head = repository.commit(
        {"models.yaml": "---\n".join((model("1"), model("2", slot=9000))), "rollout.yaml": rollout_document("2")}
    )
    document = reviewed(repository, base, head)
    (blocked,) = document["blocked"]
    assert (blocked["reason"], len(blocked["devices"])) == ("SlotTooSmall", 12)
    (capacity,) = document["capacity"]
    assert (capacity["slotBytesNeeded"], capacity["slotBytes"], capacity["fits"]) == (9000, 8192, False)
    assert "**does not fit**" in commented(repository, base, head)
    strict = run("plan", repository.path, "--base", base, "--head", head, "--strict", "--output", "markdown")
    assert strict.exit_code == 1


def test_status_branches_provide_silent_devices_and_running_models(tmp_path: Path) -> None:
    repository = fleet_history(tmp_path)
    base = repository.commit(fleet_files())
    status = gateway_status_files(base)
    for number in range(12):
        name = f"pump-{number:02}"
        status |= device_status_file(name, base, action=silent(name) if number < 3 else None)
    repository.status(status)
    head = repository.commit({"rollout.yaml": rollout_document("2", CAREFUL)})
    document = reviewed(repository, base, head)
    actions = {each["device"]: each for each in document["devices"]}
    assert actions["pump-00"]["reason"] == "NotReporting"
    assert actions["pump-05"]["action"] == "install"
    assert {load["from"] for load in document["payloads"]} == {"wear@1"}
    assert document["gateways"]["hall"]["devices"] == 12
    assert "NotReporting" in codes(document)
    assert "NoStatus" not in codes(document)


def test_a_gateway_that_is_behind_or_without_status_is_a_risk(tmp_path: Path) -> None:
    repository = fleet_history(tmp_path)
    old = repository.commit(fleet_files())
    base = repository.commit({"notes.txt": "moved on"})
    head = repository.commit({"rollout.yaml": rollout_document("2", CAREFUL)})
    assert "NoStatus" in codes(reviewed(repository, base, head))
    repository.status(gateway_status_files(old))
    assert "GatewayBehind" in codes(reviewed(repository, base, head))


def test_a_damaged_status_file_does_not_hide_others(tmp_path: Path) -> None:
    repository = fleet_history(tmp_path)
    base = repository.commit(fleet_files())
    damaged = {"devices/pump-01.yaml": b"\xff\x00: [", "gateway.yaml": b"- not a mapping\n"}
    repository.status({**damaged, **device_status_file("pump-00", base)})
    head = repository.commit({"rollout.yaml": rollout_document("2")})
    assert reviewed(repository, base, head)["gateways"]["hall"]["unreadable"] == 2
    assert reviewed(repository, base, head)["gateways"]["hall"]["devices"] == 1


RISKY = [
    ("", "AllAtOnce"),
    ("  waves: [{name: canary, count: 7, soak: 1h}]\n", "CanaryLarge"),
    ("  waves: [{name: canary, count: 1}]\n", "NoSoak"),
    ("  waves: [{name: canary, count: 1, soak: 1h}]\n  failureBudget: {count: 2}\n", "BudgetWide"),
    ("  waves: [{name: canary, count: 1, soak: 1h}]\n", "NoHealthGates"),
    ("  critical: true\n", "IgnoresWindows"),
    ('  windows: [{days: [Sun], start: "02:00", duration: 30s}]\n', "WindowShort"),
]


@pytest.mark.parametrize(("terms", "code"), RISKY, ids=[code for _, code in RISKY])
def test_each_risk_is_found_only_where_it_applies(tmp_path: Path, terms: str, code: str) -> None:
    repository = fleet_history(tmp_path)
    base = repository.commit(fleet_files())
    risky = repository.commit({"rollout.yaml": rollout_document("2", terms)})
    careful = repository.commit({"rollout.yaml": rollout_document("2", CAREFUL)})
    assert code in codes(reviewed(repository, base, risky))
    assert code not in codes(reviewed(repository, base, careful))


def contest_document(propose: str) -> str:
    head = "apiVersion: tinyfleet/v1alpha1\nkind: Contest\nmetadata: {name: wear}\nspec:\n  rollout: wear\n"
    return f"{head}  candidates: {{models: [wear]}}\n  pool: {{quorum: 1}}\n  propose: {propose}\n"


def test_a_contest_that_begins_to_propose_directly_is_a_risk(tmp_path: Path) -> None:
    repository = fleet_history(tmp_path)
    base = repository.commit(fleet_files())
    branch = repository.commit({"contest.yaml": contest_document("branch")})
    direct = repository.commit({"contest.yaml": contest_document("direct")})
    later = repository.commit({"notes.txt": "unrelated"})
    assert "ProposesDirectly" not in codes(reviewed(repository, base, branch))
    assert "ProposesDirectly" in codes(reviewed(repository, base, direct))
    assert "ProposesDirectly" in codes(reviewed(repository, branch, direct))
    assert "ProposesDirectly" not in codes(reviewed(repository, direct, later))
    changed = {"kind": "Contest", "name": "wear", "change": "changed", "fields": ["propose"]}
    assert reviewed(repository, branch, direct)["documents"] == [changed]


def test_a_type_without_prebaked_model_that_never_ran_the_model_is_a_risk(tmp_path: Path) -> None:
    repository = fleet_history(tmp_path)
    bare = fleet_files()["type.yaml"].replace('  prebaked: [{name: wear, version: "1"}]\n', "")
    base = repository.commit(
        {**fleet_files(), "type.yaml": bare, "rollout.yaml": rollout_document("1", "  priority: 1\n")}
    )
    other = model("1").replace("name: wear}", "name: other}")
    mixed = rollout_document("1", "  priority: 1\n").replace("model: {name: wear", "model: {name: other")
    models = "---\n".join((model("1"), other))
    head = repository.commit({"models.yaml": models, "rollout.yaml": mixed})
    assert codes(reviewed(repository, base, head)) >= {"FirstOfItsType", "NoFallback"}


def test_a_window_that_closes_delays_the_end(tmp_path: Path) -> None:
    repository = fleet_history(tmp_path)
    base = repository.commit(fleet_files())
    window = '  windows: [{days: [Sun], start: "02:00", duration: 30s}]\n'
    head = repository.commit({"rollout.yaml": rollout_document("2", window)})
    (rollout,) = reviewed(repository, base, head)["rollouts"]
    (line,) = [line for line in rollout["waves"][0]["lines"] if line["port"]]
    assert line["windows"] == 2  # some 52 s of work in windows of half a minute
    assert rollout["earliestEnd"].startswith("2026-11-29T02:00:")


def test_a_store_provides_exact_payload_sizes(tmp_path: Path) -> None:
    repository = fleet_history(tmp_path)
    base = repository.commit(fleet_files())
    head = repository.commit({"rollout.yaml": rollout_document("2")})
    desired = find_repository(repository.path).load(head, CheckCache()).desired
    assert desired is not None
    store = ArtifactStore(str(tmp_path / "store"))
    for version, pack in (("1", bytes(range(256)) * 8), ("2", bytes(range(256)) * 8 + b"tail")):
        recipe = recipe_of(desired.models[ModelRef("wear", Version(version))], desired.types[TypeId("board")])
        digest = hashlib.sha256(pack).hexdigest()
        report = BuildReport(f"wear@{version}", "board", recipe.digest, digest, len(pack), 256, ("TREE_ENSEMBLE",))
        store.put(recipe.digest, BuildResult(pack, report))
    document = reviewed(repository, base, head, "--store", tmp_path / "store")
    (payload,) = {(load["payload"], load["bytes"], load["exact"]) for load in document["payloads"]}
    assert payload[0] == "patch against wear@1"
    assert payload[1] < 100
    assert payload[2]
    assert document["capacity"][0]["slotBytesNeeded"] == 2052


def test_an_invalid_base_counts_as_an_empty_fleet(tmp_path: Path) -> None:
    repository = fleet_history(tmp_path)
    base = repository.commit({"fleet.yaml": "not: ours\n"})
    head = repository.commit(fleet_files())
    document = reviewed(repository, base, head)
    assert document["base"] is None
    assert document["counts"]["affected"] == 12


def test_an_invalid_head_has_no_plan(tmp_path: Path) -> None:
    repository = fleet_history(tmp_path)
    base = repository.commit(fleet_files())
    head = repository.commit({"rollout.yaml": rollout_document("3")})
    result = run("plan", repository.path, "--base", base, "--head", head)
    assert result.exit_code == 1
    assert "wear" in result.output


@pytest.mark.parametrize("arguments", [("--head", "HEAD"), ("--base", "HEAD", "--all"), ("--store", "x")], ids=str)
def test_incompatible_options_are_rejected(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    repository = fleet_history(tmp_path)
    repository.commit(fleet_files())
    assert run("plan", repository.path, *arguments).exit_code == 2


def test_a_comment_fits_whatever_a_change_affects(tmp_path: Path) -> None:
    """Forty rollouts of thirty waves with long names each fill a table; names cannot break out of it."""
    repository = fleet_history(tmp_path)
    names = [f"r{number:02}-{'x' * 58}" for number in range(40)]
    waves = "  waves:\n" + "".join(f"    - {{name: w{wave}-{'y' * 55}, count: {wave + 1}}}\n" for wave in range(30))
    rollouts = {
        version: "---\n".join(
            f"{API_HEAD}\nkind: Rollout\nmetadata: {{name: {name}}}\nspec:\n"
            f'  model: {{name: wear, version: "{version}"}}\n  selector: {{matchLabels: {{place: p{number}}}}}\n{waves}'
            for number, name in enumerate(names)
        )
        for version in ("1", "2")
    }
    base = repository.commit({**fleet_files(devices=40), "rollout.yaml": rollouts["1"]})
    head = repository.commit({"rollout.yaml": rollouts["2"]})
    comment = commented(repository, base, head)
    assert 30_000 < len(comment) < COMMENT_LIMIT
    assert "more lines" in comment
    assert comment.count("<details>") == comment.count("</details>")
    assert comment.rstrip().endswith("</sub>")


API_HEAD = "apiVersion: tinyfleet/v1alpha1"


def test_a_first_wave_at_one_gateway_is_a_risk_if_others_depend_on_it(tmp_path: Path) -> None:
    repository = fleet_history(tmp_path)
    halls = "---\n".join(
        f"{API}\nkind: Gateway\nmetadata: {{name: {name}}}\nspec:\n  selector: {{devices: [{', '.join(devices)}]}}\n"
        for name, devices in (
            ("hall", [f"pump-{number:02}" for number in range(6)]),
            ("yard", [f"pump-{number:02}" for number in range(6, 12)]),
        )
    )
    base = repository.commit({**fleet_files(), "gateway.yaml": halls})
    terms = "  waves: [{name: few, selector: {devices: [%s]}}]\n"
    for first, expected in (("pump-00, pump-05", True), ("pump-00, pump-06", False)):
        head = repository.commit({"rollout.yaml": rollout_document("2", terms % first)})
        found = reviewed(repository, base, head)["risks"]
        messages = [risk["message"] for risk in found if risk["code"] == "CanaryAtOneGateway"]
        assert messages == (
            ["the first wave is at hall only: devices of 1 other gateway start on its report"] if expected else []
        )


def test_a_device_with_other_parameters_than_desired_is_pending(tmp_path: Path) -> None:
    """The reported parameters count, not the desired ones."""
    repository = fleet_history(tmp_path)
    base = repository.commit(fleet_files())
    status = gateway_status_files(base)
    for number in range(12):
        status |= device_status_file(f"pump-{number:02}", base, threshold=0.5 if number else 0.9)
    repository.status(status)
    head = repository.commit({"notes.md": "nothing that concerns a device"})
    counts = reviewed(repository, base, head)["counts"]
    assert (counts["affected"], counts["pending"]) == (0, 1)


def test_uncommitted_changes_are_left_out_with_a_warning(tmp_path: Path) -> None:
    repository = fleet_history(tmp_path)
    base = repository.commit(fleet_files())
    head = repository.commit({"rollout.yaml": rollout_document("2")})
    clean = run("plan", repository.path, "--base", base)
    assert (clean.exit_code, clean.stderr) == (0, "")
    (repository.path / "rollout.yaml").write_text(rollout_document("1"), encoding="utf-8")
    (repository.path / "new.yml").write_text("", encoding="utf-8")
    (repository.path / "notes.txt").write_text("no part of a plan", encoding="utf-8")
    dirty = run("plan", repository.path, "--base", base)
    assert dirty.stdout.splitlines()[:-1] == clean.stdout.splitlines()[:-1]  # but for the time in the last line
    assert "leaves out uncommitted changes of 2 files (new.yml, rollout.yaml)" in dirty.stderr
    assert run("plan", repository.path, "--base", base, "--head", base).stderr == ""  # it is about another commit
    bare = tmp_path / "bare.git"
    repository.git("clone", "--quiet", "--bare", str(repository.path), str(bare))
    assert run("plan", bare, "--base", base, "--head", head).stderr == ""
