# SPDX-License-Identifier: Apache-2.0
"""`tinyfleet verify` gives the answer of a gateway, for every commit of a change."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from reconciler.cli import cli
from tests.git.forge import Forge, SshKey, make_forge, make_ssh_key


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> dict[str, SshKey]:
    folder = tmp_path_factory.mktemp("keys")
    return {name: make_ssh_key(folder, name) for name in ("ada", "mallory", "robot")}


@pytest.fixture
def forge(tmp_path: Path, keys: dict[str, SshKey]) -> Forge:
    made = make_forge(tmp_path / "forge")
    made.commit(key=keys["ada"])
    made.git("checkout", "--quiet", "-b", "change")
    (tmp_path / "allowed").write_text(f'ada@example.org namespaces="git" {keys["ada"].public}\n')
    (tmp_path / "automation").write_text(f"automation@hall-north {keys['robot'].public}\n")
    return made


def verify(forge: Forge, *arguments: str, head: str = "change") -> Result:
    allowed = str(forge.work.parents[1] / "allowed")
    words = ["verify", str(forge.work), "--base", "main", "--head", head, "--allowed-signers", allowed, *arguments]
    return CliRunner().invoke(cli, words)


def test_a_signed_change_is_valid(forge: Forge, keys: dict[str, SshKey]) -> None:
    forge.commit(key=keys["ada"])
    forge.commit(key=keys["ada"])
    result = verify(forge)
    assert (result.exit_code, result.stdout) == (0, "")
    assert result.stderr == "valid: 2 commits, signed by ada@example.org\n"


def test_without_new_commits_there_is_nothing_to_verify(forge: Forge) -> None:
    result = verify(forge)
    assert (result.exit_code, result.stderr) == (0, "no new commits\n")


def test_every_commit_that_gateways_would_refuse_is_listed(forge: Forge, keys: dict[str, SshKey]) -> None:
    unsigned = forge.commit()
    good = forge.commit(key=keys["ada"])
    foreign = forge.commit(key=keys["mallory"])
    result = verify(forge)
    assert result.exit_code == 1
    lines = result.stdout.splitlines()
    assert [line.rpartition(" ")[2] for line in lines] == ["[UnsignedCommit]", "[UntrustedSigner]"]
    assert unsigned[:12] in lines[0]
    assert foreign[:12] in lines[1]
    assert "2 of 3 commits would be refused" in result.stderr
    document = json.loads(verify(forge, "--output", "json").stdout)
    assert document["valid"] is False
    assert [each["commit"] for each in document["commits"]] == [unsigned, good, foreign]
    assert [each["signer"] for each in document["commits"]] == [None, "ada@example.org", None]
    github = verify(forge, "--output", "github").stdout.splitlines()
    assert github[0].startswith(f"::error title=UnsignedCommit::commit {unsigned[:12]} is not signed")


def test_under_the_policy_head_the_newest_commit_vouches(forge: Forge, keys: dict[str, SshKey]) -> None:
    forge.commit()
    forge.commit(key=keys["ada"])
    assert verify(forge, "--policy", "head").exit_code == 0
    forge.commit()
    result = verify(forge, "--policy", "head")
    assert result.exit_code == 1
    assert "UnsignedCommit" in result.stdout


def test_commits_that_the_base_has_meanwhile_do_not_count(forge: Forge, keys: dict[str, SshKey]) -> None:
    forge.commit({"a.yaml": "a: 1\n"}, key=keys["ada"])
    forge.git("checkout", "--quiet", "main")
    forge.commit({"b.yaml": "b: 1\n"})  # unsigned, and already merged: not a question of this change
    assert verify(forge).exit_code == 0


def test_a_merge_is_verified_on_both_sides(forge: Forge, keys: dict[str, SshKey]) -> None:
    forge.git("checkout", "--quiet", "-b", "side")
    smuggled = forge.commit({"a.yaml": "a: 1\n"})
    forge.git("checkout", "--quiet", "change")
    forge.merge("side", keys["ada"])
    result = verify(forge)
    assert result.exit_code == 1
    assert smuggled[:12] in result.stdout


def test_a_commit_by_a_gateway_outside_its_scope_is_refused(forge: Forge, keys: dict[str, SshKey]) -> None:
    forge.commit({"fleet.yaml": "at: never\n"}, key=keys["robot"])
    assert "UntrustedSigner" in verify(forge).stdout
    result = verify(forge, "--automation", str(forge.work.parents[1] / "automation"))
    assert result.exit_code == 1
    assert "OutOfScope" in result.stdout


def test_a_shallow_clone_is_named_as_the_cause(forge: Forge, keys: dict[str, SshKey], tmp_path: Path) -> None:
    for _ in range(3):
        forge.commit(key=keys["ada"])
    clone = tmp_path / "clone"
    url = forge.bare.as_uri()
    forge.git("clone", "--quiet", "--depth=1", "--no-single-branch", "--branch", "change", url, str(clone))
    result = verify(Forge(forge.bare, clone), "--allowed-signers", str(tmp_path / "allowed"), "--base", "origin/main")
    assert result.exit_code == 1
    assert "shallow" in str(result.exception)


def test_signers_must_be_named(forge: Forge) -> None:
    result = CliRunner().invoke(cli, ["verify", str(forge.work), "--base", "main"])
    assert result.exit_code == 2
    assert "--allowed-signers" in result.stderr


def test_the_configuration_of_a_gateway_names_policy_and_signers(
    forge: Forge, keys: dict[str, SshKey], tmp_path: Path
) -> None:
    forge.commit()
    forge.commit(key=keys["ada"])
    gateway = tmp_path / "gateway.toml"
    gateway.write_text(
        f"""name = "hall-north"
state_dir = "{tmp_path / "state"}"
[repository]
url = "file://{forge.bare}"
[signers]
policy = "head"
allowed_signers = "{tmp_path / "allowed"}"
[keys]
gateway = "{tmp_path}"
"""
    )
    words = ["verify", str(forge.work), "--base", "main", "--head", "change", "--config", str(gateway)]
    assert CliRunner().invoke(cli, words).exit_code == 0
    assert CliRunner().invoke(cli, [*words, "--policy", "every"]).exit_code == 1
