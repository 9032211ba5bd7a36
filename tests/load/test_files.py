# SPDX-License-Identifier: Apache-2.0
"""Which files are read and which are refused, and the files that models name."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from reconciler.load import DirectoryTree, load
from reconciler.load.directory_tree import FileChanged, NotADirectory
from reconciler.load.source_files import MAX_SOURCE_BYTES
from reconciler.load.strict_yaml import MAX_FILE_BYTES
from reconciler.model import Commit
from reconciler.tree import FILE, SUBMODULE, SYMLINK, blob_id
from reconciler.validation.problems import Rule
from tests.load.repo import SHA256, GivenTree, Repo

POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 12345\n"


def test_hidden_and_other_files_are_ignored(repo: Repo) -> None:
    for path in (".github/workflows/x.yaml", ".gitlab-ci.yml", "a/.b/c.yaml", "README.md", "data.json", "x.yamlx"):
        repo.write(path, "a: 'not YAML\n")
    assert repo.problems() == ()


def test_files_ending_in_yml_are_read(repo: Repo) -> None:
    (repo.root / "devices.yaml").rename(repo.root / "devices.yml")
    loaded = repo.load()
    assert loaded.desired is not None
    assert len(loaded.desired.devices) == 2


@pytest.mark.parametrize("name", ["link.yaml", "link", "folder"])
def test_a_symlink_is_refused_whatever_its_target(name: str, repo: Repo, tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/devices.yaml").write_text(repo.device("pump-9"))
    (repo.root / name).symlink_to(tmp_path / ("outside" if name == "folder" else "outside/devices.yaml"))
    assert (repo.only().rule, repo.only().path) == (Rule.SYMLINK, name)


def test_a_symlink_to_itself_does_not_hang(repo: Repo) -> None:
    (repo.root / "loop").symlink_to(repo.root)
    assert repo.only().rule is Rule.SYMLINK


def test_a_pipe_is_refused_and_never_opened(repo: Repo) -> None:
    os.mkfifo(repo.root / "pipe.yaml")
    assert repo.only().rule is Rule.SPECIAL_FILE


def test_a_submodule_is_refused() -> None:
    loaded = load(GivenTree(("vendor", SUBMODULE, b"")), commit=Commit("c"))
    assert [problem.rule for problem in loaded.problems] == [Rule.FLEET_COUNT, Rule.SUBMODULE]


@pytest.mark.parametrize(
    "path", ["../a.yaml", "a/../../b.yaml", "/a.yaml", "a\nb.yaml", "a\udcff.yaml", "a\\b.yaml", "a" * 1100]
)
def test_an_unsafe_path_is_refused(path: str) -> None:
    loaded = load(GivenTree((path, FILE, b"")), commit=Commit("c"))
    problem = next(one for one in loaded.problems if one.rule is Rule.UNSAFE_PATH)
    assert str(problem).isprintable()


def test_a_symlink_in_git_is_refused_without_reading_its_target() -> None:
    loaded = load(GivenTree(("x.yaml", SYMLINK, b"/etc/passwd")), commit=Commit("c"))
    assert [problem.rule for problem in loaded.problems] == [Rule.SYMLINK]


def test_a_file_over_the_limit_is_refused_without_reading_it(repo: Repo) -> None:
    repo.write_bytes("big.yaml", b"#" * (MAX_FILE_BYTES + 1))
    assert repo.only().rule is Rule.TOO_LARGE


def test_a_missing_directory_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NotADirectory):
        DirectoryTree(tmp_path / "nowhere")


def test_a_file_that_changes_after_listing_is_detected(repo: Repo) -> None:
    tree = DirectoryTree(repo.root)
    listed = {entry.path: entry for entry in tree.entries()}
    repo.append("devices.yaml", repo.device("pump-3"))
    with pytest.raises(FileChanged):
        tree.read(listed["devices.yaml"])


def test_a_file_replaced_by_a_symlink_is_not_followed(repo: Repo) -> None:
    tree = DirectoryTree(repo.root)
    listed = {entry.path: entry for entry in tree.entries()}
    (repo.root / "devices.yaml").unlink()
    (repo.root / "devices.yaml").symlink_to("/etc/passwd")
    with pytest.raises(FileChanged):
        tree.read(listed["devices.yaml"])


def test_blob_ids_equal_those_of_git() -> None:
    assert blob_id(b"") == "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391"
    assert blob_id(b"hello\n") == "ce013625030ba8dba906f756967f9e9ca394464a"


# ------------------------------------------------------------ files of models


def test_a_missing_model_file_is_reported_with_a_suggestion(repo: Repo) -> None:
    repo.write("models/vibration.yaml", repo.model("vibration", "1.0.0", path="models/vibrations.tflite"))
    problem = repo.only()
    assert (problem.rule, problem.line) == (Rule.MISSING_FILE, 6)
    assert "did you mean `models/vibration.tflite`?" in problem.hint


def test_a_model_file_with_another_sha256_is_reported(repo: Repo) -> None:
    repo.write("models/vibration.tflite", "other bytes")
    problem = repo.only()
    assert (problem.rule, problem.json_path) == (Rule.CHECKSUM_MISMATCH, "$.spec.source.sha256")
    assert hashlib.sha256(b"other bytes").hexdigest() in problem.message


def test_a_git_lfs_pointer_in_place_of_a_model_is_reported(repo: Repo) -> None:
    repo.write_bytes("models/vibration.tflite", POINTER)
    assert repo.only().rule is Rule.LFS_POINTER


def test_a_git_lfs_pointer_is_compared_with_the_document(repo: Repo) -> None:
    repo.write(".lfsconfig", "[lfs]\n\turl = https://git.example/fleet.git/info/lfs\n")
    repo.write_bytes("models/vibration.tflite", POINTER.replace(b"0" * 64, SHA256.encode()))
    assert repo.problems() == ()
    repo.write_bytes("models/vibration.tflite", POINTER)
    problem = repo.only()
    assert (problem.rule, "0" * 64 in problem.message) == (Rule.CHECKSUM_MISMATCH, True)


def test_a_dvc_file_has_to_lead_to_a_file(repo: Repo) -> None:
    repo.write("models/vibration.yaml", repo.model("vibration", "1.0.0", path="models/vibration.tflite.dvc"))
    repo.write(
        "models/vibration.tflite.dvc", "outs:\n- {md5: b8e08eb83fa2ce596a0af6f738bdd807, path: vibration.tflite}\n"
    )
    assert (repo.only().rule, "remote" in repo.only().message) == (Rule.DVC_POINTER, True)
    repo.write(".dvc/config", "[core]\n    remote = s\n['remote \"s\"']\n    url = s3://models/dvc\n")
    assert repo.problems() == ()
    repo.write("models/vibration.tflite.dvc", "outs:\n- {md5: b8e08eb83fa2ce596a0af6f738bdd807.dir, path: models}\n")
    assert (repo.only().rule, "one file" in repo.only().message) == (Rule.DVC_POINTER, True)


@pytest.mark.parametrize(("size", "rule"), [(1024, Rule.LFS_POINTER), (1025, Rule.CHECKSUM_MISMATCH)])
def test_a_longer_file_that_begins_like_a_git_lfs_pointer_is_none(repo: Repo, size: int, rule: Rule) -> None:
    repo.write_bytes("models/vibration.tflite", POINTER.ljust(size, b"\n"))
    assert repo.only().rule is rule


def test_a_symlink_in_place_of_a_model_is_reported(repo: Repo) -> None:
    (repo.root / "models/vibration.tflite").rename(repo.root / "real.tflite")
    (repo.root / "models/vibration.tflite").symlink_to("../real.tflite")
    assert {problem.rule for problem in repo.problems()} == {Rule.SYMLINK}


@pytest.mark.parametrize(
    ("size", "rule"), [(MAX_SOURCE_BYTES, Rule.CHECKSUM_MISMATCH), (MAX_SOURCE_BYTES + 1, Rule.TOO_LARGE)]
)
def test_a_model_over_the_limit_is_refused_without_reading_it(repo: Repo, size: int, rule: Rule) -> None:
    with (repo.root / "models/vibration.tflite").open("wb") as file:
        file.truncate(size)  # a sparse file takes no space
    assert repo.only().rule is rule


def test_files_of_gates_and_quantization_are_checked_too(repo: Repo) -> None:
    source = "{path: models/none.csv, sha256: '" + "0" * 64 + "'}"
    more = f"  gates: [{{metric: auc, atLeast: 0.9, data: {source}}}]\n  quantize: {{representative: {source}}}\n"
    repo.replace("models/vibration.yaml", "  parameters:", f"{more}  parameters:")
    assert [problem.json_path for problem in repo.problems()] == [
        "$.spec.gates[0].data.path",
        "$.spec.quantize.representative.path",
    ]


def test_a_url_is_not_fetched_while_loading(repo: Repo) -> None:
    repo.replace("models/vibration.yaml", "path: models/vibration.tflite", "url: 'https://models.invalid/v.tflite'")
    assert repo.problems() == ()
