# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from reconciler.cli import cli
from reconciler.load.schemas import KINDS, schema_text
from reconciler.validation.excerpt import excerpt
from tests.cli.pseudo_terminal import on_terminal

EXAMPLE = Path(__file__).resolve().parents[2] / "fleet-repo-example"


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(cli, [str(argument) for argument in arguments])


def git(where: Path, *arguments: str) -> str:
    who = {
        f"GIT_{role}_{what}": value
        for role in ("AUTHOR", "COMMITTER")
        for what, value in (("NAME", "A"), ("EMAIL", "a@b"))
    }
    clean = {"PATH": os.environ["PATH"], "GIT_CONFIG_NOSYSTEM": "1", "HOME": str(where), **who}
    done = subprocess.run(["git", *arguments], cwd=where, env=clean, capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.fixture
def fleet(tmp_path: Path) -> Path:
    """Copy the example into a Git repository of its own, below a folder."""
    top = tmp_path / "work"
    shutil.copytree(EXAMPLE, top / "fleet")
    git(top, "init", "-q", "-b", "main")
    git(top, "add", "-A")
    git(top, "commit", "-q", "-m", "the fleet")
    return top / "fleet"


def corrupt(fleet: Path) -> None:
    file = fleet / "devices/hall-south.yaml"
    file.write_text(
        file.read_text().replace("address: 4", "address: 3").replace("type: vibration-sealed", "type: vibration-seald")
    )
    (fleet / "gateways/hall-east.yaml").write_text(
        (fleet / "gateways/hall-north.yaml").read_text().replace("north", "east")
    )


def test_the_example_is_clean() -> None:
    done = run("validate", EXAMPLE)
    assert (done.exit_code, done.stdout) == (0, "")
    assert done.stderr == "valid: 2 gateways, 4 device types, 13 devices, 4 models, 3 rollouts, 1 contest, 1 training\n"


def test_text_has_a_line_for_each_problem(fleet: Path) -> None:
    corrupt(fleet)
    done = run("validate", fleet)
    assert done.exit_code == 1
    lines = done.stdout.splitlines()
    assert lines[0].startswith(f"{fleet}/devices/hall-south.yaml:26:9: there is no DeviceType named `vibration-seald`")
    assert "(did you mean `vibration-sealed`?)" in lines[0]
    assert lines[1:3] == ["   26 |   type: vibration-seald", "      |         ^"]
    assert "[$.spec.link.serial.address]" in lines[3]
    assert lines[6].startswith(f"{fleet}/gateways/hall-east.yaml:9:5: warning: the selector matches no device")
    assert done.stderr == "2 errors, 1 warning\n"


def test_json_has_the_fields_of_a_problem(fleet: Path) -> None:
    corrupt(fleet)
    done = run("validate", fleet, "--output", "json")
    document = json.loads(done.stdout)
    assert (done.exit_code, document["valid"]) == (1, False)
    first = document["problems"][0]
    assert (first["severity"], first["rule"], first["line"], first["jsonPath"]) == (
        "error",
        "unresolved-reference",
        26,
        "$.spec.type",
    )


def test_github_gets_workflow_commands(fleet: Path) -> None:
    corrupt(fleet)
    lines = run("validate", fleet, "--output", "github").stdout.splitlines()
    assert lines[0].startswith(
        f"::error file={fleet}/devices/hall-south.yaml,line=26,col=9,title=unresolved-reference::there is no"
    )
    assert lines[2].startswith("::warning ")


def test_github_commands_cannot_be_forged_by_a_file_name(fleet: Path) -> None:
    (fleet / "a,line=1::x%\n::error file=b.yaml").write_text("a: on\n")
    (fleet / "c,title=x.yaml").write_text("a: on\n")
    lines = run("validate", fleet, "--output", "github").stdout.splitlines()
    assert all(line.startswith(("::error file=", "::warning file=")) for line in lines)
    assert any("c%2Ctitle=x.yaml,line=1" in line for line in lines)


def test_paths_are_relative_to_the_working_directory(fleet: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    corrupt(fleet)
    monkeypatch.chdir(fleet.parent)
    assert run("validate", "fleet").stdout.startswith("fleet/devices/hall-south.yaml:26:9: ")
    monkeypatch.chdir(fleet)
    assert run("validate").stdout.startswith("devices/hall-south.yaml:26:9: ")


def test_warnings_fail_only_a_strict_check(fleet: Path) -> None:
    text = (fleet / "gateways/hall-north.yaml").read_text().replace("north", "east")
    (fleet / "gateways/hall-east.yaml").write_text(text)
    assert run("validate", fleet).exit_code == 0
    assert run("validate", fleet, "--strict").exit_code == 1


def test_a_commit_is_checked_in_place_of_the_files(fleet: Path) -> None:
    corrupt(fleet)
    assert run("validate", fleet, "--commit", "HEAD").exit_code == 0
    git(fleet, "commit", "-q", "-am", "corrupted")
    assert run("validate", fleet, "--commit", "main").exit_code == 1
    assert run("validate", fleet, "--commit", "main~1").exit_code == 0
    (fleet / "devices/hall-south.yaml").unlink()
    assert "hall-south.yaml:26:9" in run("validate", fleet, "--commit", "main").stdout


def test_a_commit_with_a_symlink(fleet: Path) -> None:
    (fleet / "link.yaml").symlink_to("fleet.yaml")
    git(fleet, "add", "link.yaml")
    git(fleet, "commit", "-q", "-m", "a link")
    (fleet / "link.yaml").unlink()
    assert "symbolic links are not allowed" in run("validate", fleet, "--commit", "HEAD").stdout


@pytest.mark.parametrize("revision", [[], ["--commit", "HEAD"]])
def test_a_file_name_that_is_not_utf8(revision: list[str], fleet: Path) -> None:
    (fleet / os.fsdecode(b"bad\xff.yaml")).write_text("a: 1\n")
    git(fleet, "add", "-A")
    git(fleet, "commit", "-q", "-m", "an odd name")
    for form in ("text", "json", "github"):
        done = run("validate", fleet, *revision, "--output", form)
        assert done.exit_code == 1
        assert "unsafe characters" in done.stdout


@pytest.mark.parametrize(
    "arguments",
    [["--output", "xml"], ["--nonsense"], ["a", "b"]],
)
def test_a_wrong_command_line(arguments: list[str], fleet: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(fleet)
    done = run("validate", *arguments)
    assert done.exit_code == 2
    assert "Error" in done.stderr


def test_an_option_is_not_taken_for_a_revision(fleet: Path) -> None:
    git(fleet, "init", "-q")
    git(fleet, "add", "-A")
    git(fleet, "commit", "-q", "-m", "first")
    error = run("validate", fleet, "--commit", "--output=x").exception
    assert "no commit, branch or tag named --output=x" in str(error)


def test_a_missing_directory(tmp_path: Path) -> None:
    assert run("validate", tmp_path / "nowhere").exit_code == 2


def test_a_commit_outside_a_repository(tmp_path: Path) -> None:
    done = run("validate", tmp_path, "--commit", "HEAD")
    assert done.exit_code == 2
    assert "is not in a Git repository" in done.stderr


@pytest.mark.parametrize("kind", KINDS)
def test_schema_prints_a_kind(kind: str) -> None:
    assert run("schema", kind).stdout == schema_text(kind)
    assert run("schema", kind.lower()).stdout == schema_text(kind)


def test_schema_writes_all_kinds(tmp_path: Path) -> None:
    assert run("schema", "--out", tmp_path / "new/.schemas").exit_code == 0
    assert len(list((tmp_path / "new/.schemas").glob("*.json"))) == len(KINDS)


@pytest.mark.parametrize("arguments", [[], ["Device", "--out", "x"]])
def test_schema_with_a_wrong_command_line(arguments: list[str]) -> None:
    assert run("schema", *arguments).exit_code == 2


def test_problems_are_highlighted_on_a_terminal(fleet: Path) -> None:
    corrupt(fleet)
    shown = on_terminal("validate", fleet, columns=100)
    assert re.search(r"\x1b\[1;31m\^\x1b\[0m", shown)
    assert not re.search(r"\x1b\[[0-9;]*3[0-9]m", on_terminal("validate", fleet, columns=100, NO_COLOR="1"))
    assert "\x1b" not in run("validate", fleet).stdout


def test_a_long_or_hostile_line_is_cut_and_harmless() -> None:
    text = f"first\n{'x' * 100}\x1b[31m: {'y' * 100}\n"
    line, caret = excerpt(text, 2, 106)
    assert line.startswith("    2 | …xxx")
    assert line.endswith("yyy…")
    assert line[caret.index("^")] == ":"
    assert "\x1b" not in line
    assert excerpt(text, 0, 0) == excerpt(text, 9, 1) == []
    assert excerpt("名前: 1", 1, 3) == ["    1 | 名前: 1", "      |     ^"]  # wide characters
