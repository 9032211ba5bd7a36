# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from reconciler import config
from reconciler.cli import cli
from reconciler.load import DirectoryTree, load
from reconciler.model import Commit, Desired, DeviceId, GatewayId

ROOT = Path(__file__).resolve().parents[2]
ALONE = {
    "PATH": os.environ["PATH"],
    "HOME": "/nonexistent",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_AUTHOR_NAME": "Ada",
    "GIT_AUTHOR_EMAIL": "ada@example.org",
    "GIT_COMMITTER_NAME": "Ada",
    "GIT_COMMITTER_EMAIL": "ada@example.org",
}


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(cli, [str(argument) for argument in arguments])


def git(where: Path, *arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=where, env=ALONE, check=True, capture_output=True, text=True)
    return done.stdout


def desired(folder: Path) -> Desired:
    loaded = load(DirectoryTree(folder), commit=Commit(""))
    assert loaded.desired is not None
    return loaded.desired


@pytest.fixture
def key(tmp_path: Path) -> Path:
    path = tmp_path / "id_ed25519"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "a comment", "-f", path], check=True)
    return path.with_suffix(".pub")


def test_a_new_repository_has_no_errors_and_no_warnings(tmp_path: Path) -> None:
    made = run("init", tmp_path / "plant")
    assert made.exit_code == 0, made.output
    checked = run("validate", "--strict", tmp_path / "plant")
    assert (checked.exit_code, checked.output.splitlines()[0].split(":")[0]) == (0, "valid"), checked.output


def test_given_names_are_used(tmp_path: Path) -> None:
    run("init", tmp_path / "x", "--name", "river-works", "--gateway", "hall")
    fleet = desired(tmp_path / "x")
    assert (fleet.fleet.name, list(fleet.gateways)) == ("river-works", [GatewayId("hall")])
    assert list(fleet.devices) == [DeviceId("virtual-1")]
    assert config.read(tmp_path / "x" / "to-gateway" / "gateway.toml").name == "hall"
    assert "status/hall" in (tmp_path / "x" / "README.md").read_text()


def test_the_fleet_is_named_after_its_folder(tmp_path: Path) -> None:
    run("init", tmp_path / "mill-7")
    assert desired(tmp_path / "mill-7").fleet.name == "mill-7"
    refused = run("init", tmp_path / "My Fleet")
    assert (refused.exit_code, (tmp_path / "My Fleet").exists()) == (2, False)
    assert "--name" in refused.output


@pytest.mark.parametrize("bad", ["Mill", "-mill", "mill-", "mi ll", "m" * 64, ""])
def test_invalid_names_are_rejected(tmp_path: Path, bad: str) -> None:
    for option in ("--name", "--gateway"):
        assert run("init", tmp_path / "x", option, bad).exit_code == 2
    assert not (tmp_path / "x").exists()


def test_a_folder_that_is_not_empty_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    refused = run("init", tmp_path, "--name", "mill")
    assert refused.exit_code == 1
    assert "not empty" in str(refused.exception)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_a_clone_of_an_empty_repository_is_filled(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q", "--bare", "-b", "main", "origin.git")
    git(tmp_path, "clone", "-q", "origin.git", "mill")
    assert run("init", tmp_path / "mill").exit_code == 0
    git(tmp_path / "mill", "add", ".")
    git(tmp_path / "mill", "commit", "-qm", "Begin")
    git(tmp_path / "mill", "push", "-q", "origin", "HEAD:main")
    assert run("validate", "--strict", "--commit", "HEAD", tmp_path / "mill").exit_code == 0


def test_commits_are_signed_for_the_gateway(tmp_path: Path, key: Path) -> None:
    folder = tmp_path / "mill"
    made = run("init", folder, "--signer", f"ada@example.org={key}")
    assert made.exit_code == 0, made.output
    git(folder, "add", ".")
    git(folder, "commit", "-qm", "Begin")
    assert git(folder, "log", "-1", "--format=%G? %GS").split() == ["G", "ada@example.org"]


def test_trust_and_keys_stay_out_of_git(tmp_path: Path, key: Path) -> None:
    folder = tmp_path / "mill"
    run("init", folder, "--signer", f"ada@example.org={key}", "--signer", f"bob@example.org={key}")
    (folder / "root.pem").write_text("secret")
    git(folder, "add", ".")
    tracked = git(folder, "ls-files").splitlines()
    assert not [name for name in tracked if "signers" in name or "gateway.toml" in name or name.endswith(".pem")]
    lines = (folder / "to-gateway" / "allowed_signers").read_text().splitlines()
    assert [line.split()[:3] for line in lines] == [
        ["ada@example.org", 'namespaces="git"', "ssh-ed25519"],
        ["bob@example.org", 'namespaces="git"', "ssh-ed25519"],
    ]
    assert "a comment" not in lines[0]


@pytest.mark.parametrize("bad", ["ada", "=k.pub", "a da=k.pub", "*=k.pub", "!ada=k.pub", "a,b=k.pub", "ada=missing"])
def test_ambiguous_signers_are_rejected(tmp_path: Path, bad: str) -> None:
    assert run("init", tmp_path / "mill", "--signer", bad).exit_code == 2
    assert not (tmp_path / "mill").exists()


def test_a_private_key_is_rejected(tmp_path: Path, key: Path) -> None:
    refused = run("init", tmp_path / "mill", "--signer", f"ada={key.with_suffix('')}")
    assert refused.exit_code == 2
    assert "not an SSH public key" in refused.output


def test_a_surrounding_repository_is_not_changed(tmp_path: Path, key: Path) -> None:
    git(tmp_path, "init", "-q")
    before = (tmp_path / ".git" / "config").read_bytes()
    made = run("init", tmp_path / "fleet", "--signer", f"ada={key}")
    assert "[repository] path" in made.output
    assert (tmp_path / ".git" / "config").read_bytes() == before
    assert not (tmp_path / "fleet" / ".git").exists()


def test_line_endings_of_data_are_never_converted(tmp_path: Path) -> None:
    folder = tmp_path / "mill"
    run("init", folder)
    attributes = git(folder, "check-attr", "text", "models/line-current/rule.json", "fleet.yaml")
    assert [line.rsplit(" ", 1)[1] for line in attributes.splitlines()] == ["unset", "set"]


def test_the_workflows_are_copied_from_the_example(tmp_path: Path) -> None:
    run("init", tmp_path / "mill")
    for name in (".github/workflows/validate.yml", ".github/workflows/propose.yml", ".gitlab-ci.yml"):
        assert (tmp_path / "mill" / name).read_bytes() == (ROOT / "fleet-repo-example" / name).read_bytes()


def test_its_model_builds_and_passes_its_gates(tmp_path: Path) -> None:
    run("init", tmp_path / "mill")
    built = run("build", "--quiet", "--store", tmp_path / "store", tmp_path / "mill")
    assert built.exit_code == 0, built.output
