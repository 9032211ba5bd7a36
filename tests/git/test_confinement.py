# SPDX-License-Identifier: Apache-2.0
"""No program that a repository or a user's configuration names is ever run. Each test has a malicious repository.

Each trap is a script that leaves a mark. If plain git runs the trap, the test shows that first: a trap that never
springs proves nothing.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from reconciler.git.commit_tree import CommitTree
from reconciler.git.errors import DubiousOwnership, ObjectsRefused, ProtocolRefused, RemoteUnavailable, SettingsUnsafe
from reconciler.git.mirror import Mirror
from reconciler.git.remote_settings import Remote, SshOptions, branch_ref, check_ref, protocol_of
from reconciler.git.signatures import SignatureMode, SignaturePolicy
from reconciler.git.source import Advanced, CommitSource, Kept
from tests.git.forge import Forge


class Trap:
    """A script that leaves a mark when it runs."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.script = folder / "trap"
        self._mark = folder / "sprung"
        # It passes its input on, so that a filter that runs does not fail for another reason.
        self.script.write_text(f"#!/bin/sh\ntouch '{self._mark}'\ncase \"$1\" in cat) cat;; esac\nexit 0\n")
        self.script.chmod(0o755)

    def sprung(self) -> bool:
        """Return whether it has run since the last call."""
        was = self._mark.exists()
        self._mark.unlink(missing_ok=True)
        return was


@pytest.fixture
def trap(tmp_path: Path) -> Trap:
    return Trap(tmp_path / "trap")


def plain_git(folder: Path, *words: str, home: Path | None = None) -> None:
    """Run git as a person would, without confinement."""
    env = {"PATH": os.environ["PATH"], "HOME": str(home or folder), "GIT_CONFIG_NOSYSTEM": "1"}
    subprocess.run(["git", *words], cwd=folder, env=env, capture_output=True, check=False)


def read_all(tree: CommitTree) -> dict[str, bytes]:
    with tree:
        return {entry.path: tree.read(entry) for entry in tree.entries()}


def poll_and_read(mirror: Mirror, state: Path) -> dict[str, bytes]:
    source = CommitSource(mirror, SignaturePolicy(SignatureMode.OFF), state)
    outcome = source.poll(None)
    assert isinstance(outcome, Advanced), outcome
    return read_all(source.tree(outcome.commit))


def test_filters_of_gitattributes_never_run(
    forge: Forge, mirror: Mirror, trap: Trap, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even if the user's configuration defines the filter, as git-lfs does."""
    home = tmp_path / "home"
    home.mkdir()
    (home / ".gitconfig").write_text(
        f'[filter "x"]\n\tsmudge = {trap.script} cat\n\tclean = {trap.script} cat\n\trequired = true\n'
        f'[diff "x"]\n\ttextconv = {trap.script}\n[merge "x"]\n\tdriver = {trap.script}\n'
    )
    monkeypatch.setenv("HOME", str(home))
    attributes = "* filter=x diff=x merge=x text eol=crlf ident export-subst\n"
    forge.commit({".gitattributes": attributes, "a.yaml": "at: $Id$ $Format:%H$\n"})
    plain_git(tmp_path, "clone", str(forge.bare), "plain", home=home)
    assert trap.sprung()
    assert poll_and_read(mirror, tmp_path)["a.yaml"] == b"at: $Id$ $Format:%H$\n"
    assert not trap.sprung()


def test_lfs_pointers_stay_pointers(forge: Forge, mirror: Mirror, tmp_path: Path) -> None:
    pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{'a' * 64}\nsize 12345\n"
    forge.commit({".gitattributes": "*.tflite filter=lfs diff=lfs merge=lfs -text\n"})
    forge.git("config", "filter.lfs.clean", "cat")
    forge.commit({"m.tflite": pointer, ".lfsconfig": "[lfs]\n\turl = http://127.0.0.1:9/\n"})
    assert poll_and_read(mirror, tmp_path)["m.tflite"] == pointer.encode()


def test_hooks_of_a_local_remote_never_run(forge: Forge, mirror: Mirror, trap: Trap, tmp_path: Path) -> None:
    forge.commit()
    hooks = tmp_path / "hooks"
    hooks.mkdir()
    names = ("pre-receive", "update", "post-receive", "post-update", "reference-transaction", "proc-receive")
    for name in names:
        (hooks / name).symlink_to(trap.script)
        (forge.bare / "hooks" / name).unlink(missing_ok=True)
        (forge.bare / "hooks" / name).symlink_to(trap.script)
    forge.git("config", "core.hooksPath", str(hooks), cwd=forge.bare)
    forge.commit()  # a plain push runs them
    assert trap.sprung()
    poll_and_read(mirror, tmp_path)
    assert not trap.sprung()


def test_hooks_in_the_mirror_never_run(forge: Forge, mirror: Mirror, trap: Trap, tmp_path: Path) -> None:
    """Even if something managed to install one there."""
    forge.commit()
    mirror.fetch()
    hooks = mirror.path / "hooks"
    hooks.mkdir()
    for name in ("reference-transaction", "post-checkout", "pre-auto-gc", "post-index-change"):
        (hooks / name).symlink_to(trap.script)
    plain_git(mirror.path, "update-ref", "refs/heads/x", mirror.fetch())
    assert trap.sprung()
    with (mirror.path / "config").open("a") as config:
        config.write(f"[core]\n\thooksPath = {hooks}\n\tfsmonitor = {trap.script}\n\tsshCommand = {trap.script}\n")
    forge.commit()
    poll_and_read(mirror, tmp_path)
    assert not trap.sprung()


def test_programs_in_the_configuration_of_a_local_remote_never_run(
    forge: Forge, mirror: Mirror, trap: Trap, tmp_path: Path
) -> None:
    forge.commit()
    for key in ("uploadpack.packObjectsHook", "core.fsmonitor", "core.alternateRefsCommand", "core.sshCommand"):
        forge.git("config", key, str(trap.script), cwd=forge.bare)
    forge.git("config", "gc.auto", "1", cwd=forge.bare)
    poll_and_read(mirror, tmp_path)
    assert not trap.sprung()


def test_a_partial_clone_as_remote_does_not_fetch_missing_objects(forge: Forge, trap: Trap, tmp_path: Path) -> None:
    """CVE-2024-32004: serving a crafted repository ran what its configuration named for the missing objects."""
    forge.commit({"a.yaml": "a\n"})
    forge.git("config", "uploadpack.allowFilter", "true", cwd=forge.bare)
    plain_git(tmp_path, "clone", "--bare", "--filter=blob:none", f"file://{forge.bare}", "partial.git")
    partial = tmp_path / "partial.git"
    plain_git(partial, "config", "remote.origin.uploadpack", str(trap.script))
    plain_git(partial, "cat-file", "blob", "HEAD:a.yaml")
    assert trap.sprung()
    with Mirror(tmp_path / "m", Remote(str(partial))) as mirror, pytest.raises(RemoteUnavailable):
        mirror.fetch()
    assert not trap.sprung()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a repository to someone else")
def test_a_repository_of_another_user_is_read_only_if_that_is_configured(forge: Forge, tmp_path: Path) -> None:
    head = forge.commit()
    os.chown(forge.bare, 12345, 12345)
    with Mirror(tmp_path / "a", Remote(str(forge.bare))) as mirror, pytest.raises(DubiousOwnership):
        mirror.tip()
    with Mirror(tmp_path / "b", Remote(str(forge.bare), owner_trusted=True)) as mirror:
        assert mirror.fetch() == head


def test_a_users_configuration_is_not_read(
    forge: Forge, mirror: Mirror, trap: Trap, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    (home / ".config" / "git").mkdir(parents=True)
    text = (
        f"[core]\n\thooksPath = {trap.script.parent}\n\tfsmonitor = {trap.script}\n"
        f'[url "ext::{trap.script} "]\n\tinsteadOf = file://\n'
        f"[protocol]\n\tallow = always\n[gpg]\n\tprogram = {trap.script}\n"
        f"[uploadpack]\n\tpackObjectsHook = {trap.script}\n"
    )
    (home / ".gitconfig").write_text(text)
    (home / ".config" / "git" / "config").write_text(text)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(home / ".config"))
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(home / ".gitconfig"))
    monkeypatch.setenv("GIT_CONFIG_PARAMETERS", f"'core.fsmonitor'='{trap.script}'")
    monkeypatch.setenv("GIT_SSH_COMMAND", str(trap.script))
    monkeypatch.setenv("GIT_PROXY_COMMAND", str(trap.script))
    monkeypatch.setenv("GIT_EXTERNAL_DIFF", str(trap.script))
    monkeypatch.setenv("GIT_ASKPASS", str(trap.script))
    head = forge.commit()
    plain_git(tmp_path, "ls-remote", f"file://{forge.bare}", home=home)
    assert trap.sprung()
    poll_and_read(mirror, tmp_path)
    assert mirror.has(head)
    assert not trap.sprung()


@pytest.mark.parametrize(
    "url",
    [
        "ext::{trap}",
        "ext::sh -c {trap}",
        "fd::17/x",
        "transport::address",
        "file+ssh://x/y",
        "svn://h/x",
        "../relative",
        "",
    ],
)
def test_transports_that_run_programs_are_refused(url: str, trap: Trap) -> None:
    url = url.replace("{trap}", str(trap.script))
    plain_git(trap.script.parent, "-c", "protocol.ext.allow=always", "ls-remote", f"ext::{trap.script}")
    assert trap.sprung()
    with pytest.raises(ProtocolRefused):
        Remote(url)
    assert not trap.sprung()


def test_only_the_configured_protocol_is_allowed(forge: Forge, mirror: Mirror, trap: Trap) -> None:
    """The second line of defence: for a URL that passes the check above, or that git itself follows."""
    forge.commit()
    mirror.fetch()
    for url in (f"ext::{trap.script}", f"file://{forge.bare}", "git://127.0.0.1:1/x"):
        refused = mirror.git.step("ls-remote", url, limit_s=10)
        assert refused.status != 0
        assert "not allowed" in refused.err
    assert not trap.sprung()


@pytest.mark.parametrize(
    "url",
    [
        "--upload-pack=touch x",
        "-oProxyCommand=touch x",
        "ssh://-oProxyCommand=x/y",
        "https://user:secret@example.org/r",
        "https:///r",
        "https://user:secret@[::1/r",
        "https://user:secret@example\u2100.org/r",
        "ssh://[::g]/r",
        "file://host/r",
        "file://",
        "https://example.org/r\nx",
    ],
)
def test_urls_that_mean_something_else_are_refused_without_their_secrets(url: str) -> None:
    with pytest.raises(SettingsUnsafe) as refused:
        Remote(url)
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize(
    ("url", "protocol"),
    [
        ("https://example.org/fleet.git", "https"),
        ("ssh://git@example.org:2222/fleet.git", "ssh"),
        ("git@example.org:team/fleet.git", "ssh"),
        ("git@example.org:/srv/fleet.git", "ssh"),
        ("git:team/fleet.git", "ssh"),  # a host of this name
        ("git://example.org/fleet.git", "git"),
        ("file:///srv/fleet.git", "file"),
        ("/srv/fleet.git", "file"),
    ],
)
def test_ordinary_urls_are_accepted(url: str, protocol: str) -> None:
    assert protocol_of(url) == protocol


@pytest.mark.parametrize(
    "name", ["-x", "a..b", "a b", "a~1", "a:b", "*", "a@{1}", "x.lock", "", "/a", "a//b", ".a", "a\nb"]
)
def test_refs_that_mean_something_else_are_refused(name: str) -> None:
    with pytest.raises(SettingsUnsafe):
        branch_ref(name)
    with pytest.raises(SettingsUnsafe):
        check_ref(name)


@pytest.mark.parametrize("version", ["2.30.1", "1.9", None])
def test_a_git_that_would_ignore_its_confinement_is_refused(
    version: str | None, forge: Forge, mirror: Mirror, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = forge.commit()
    programs = tmp_path / "bin"
    programs.mkdir()
    for needed in ("env", "prlimit"):
        found = shutil.which(needed)
        assert found is not None
        (programs / needed).symlink_to(found)
    if version is not None:
        (programs / "git").write_text(f"#!/bin/sh\necho git version {version}\n")
        (programs / "git").chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{programs}")
    outcome = CommitSource(mirror, SignaturePolicy(SignatureMode.OFF), tmp_path).poll(good)
    assert isinstance(outcome, Kept)
    assert (outcome.reason, outcome.commit) == ("GitUnusable", good)


def test_git_gets_its_own_environment_and_nobody_can_read_it_from_the_process_list(
    forge: Forge, mirror: Mirror, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A substitute for ssh records its arguments."""
    noted = tmp_path / "noted"
    ssh = tmp_path / "ssh"
    ssh.write_text(f'#!/bin/sh\nenv > {noted}\ntr "\\0" " " < /proc/$PPID/cmdline > {noted}.parent\nexit 1\n')
    ssh.chmod(0o755)
    forge.commit()
    monkeypatch.setenv("SECRET_OF_THE_CALLER", "x")
    monkeypatch.setenv("GIT_WORK_TREE", "/")
    remote = Remote("ssh://h/r", ssh=SshOptions(program=str(ssh)), credential_helper="store --file=/etc/secret")
    with Mirror(mirror.path, remote) as other, pytest.raises(RemoteUnavailable):
        other.tip()
    names = {line.partition("=")[0] for line in noted.read_text().splitlines()}
    assert "SECRET_OF_THE_CALLER" not in names
    assert "GIT_WORK_TREE" not in names
    assert "PATH" in names
    assert "secret" not in Path(f"{noted}.parent").read_text()


def test_submodules_are_never_fetched(forge: Forge, mirror: Mirror, trap: Trap, tmp_path: Path) -> None:
    head = forge.commit()
    forge.git("update-index", "--add", "--cacheinfo", f"160000,{head},vendor")
    forge.commit(
        {".gitmodules": f'[submodule "vendor"]\n\tpath = vendor\n\turl = ext::{trap.script}\n\tupdate = checkout\n'},
        push=False,
    )
    forge.git("update-index", "--add", "--cacheinfo", f"160000,{head},vendor")
    forge.git("commit", "--quiet", "--amend", "-m", "submodule")
    forge.push()
    plain_git(tmp_path, "-c", "protocol.ext.allow=always", "clone", "--recurse-submodules", str(forge.bare), "plain")
    assert trap.sprung()
    poll_and_read(mirror, tmp_path)
    assert not trap.sprung()


def raw_tree(forge: Forge, *entries: tuple[str, str, str]) -> str:
    """Write a tree as no honest git would."""
    data = b"".join(
        mode.encode() + b" " + name.encode() + b"\0" + bytes.fromhex(object_id) for mode, name, object_id in entries
    )
    return forge.git("hash-object", "-t", "tree", "-w", "--literally", "--stdin", data=data)


Write = Callable[[Forge, str], str]

MALICIOUS: dict[str, Write] = {
    "dotdot": lambda forge, blob: raw_tree(forge, ("40000", "..", raw_tree(forge, ("100644", "x", blob)))),
    "dotgit": lambda forge, blob: raw_tree(forge, ("40000", ".git", raw_tree(forge, ("100644", "config", blob)))),
    "hfs-dotgit": lambda forge, blob: raw_tree(forge, ("40000", ".g\u200cit", raw_tree(forge, ("100644", "x", blob)))),
    "twice": lambda forge, blob: raw_tree(forge, ("100644", "a", blob), ("100644", "a", blob)),
    "slash": lambda forge, blob: raw_tree(forge, ("100644", "../../etc/x", blob)),
    "gitmodules-link": lambda forge, blob: raw_tree(forge, ("120000", ".gitmodules", blob)),
    "gitmodules-url": lambda forge, _: raw_tree(
        forge,
        (
            "100644",
            ".gitmodules",
            forge.git("hash-object", "-w", "--stdin", data=b'[submodule "x"]\n\tpath = x\n\turl = -u./payload\n'),
        ),
    ),
}


@pytest.mark.parametrize("what", MALICIOUS)
def test_malformed_objects_are_refused_on_transfer(what: str, forge: Forge, mirror: Mirror, tmp_path: Path) -> None:
    good = forge.commit()
    source = CommitSource(mirror, SignaturePolicy(SignatureMode.OFF), tmp_path)
    assert source.poll(None).commit == good
    blob = forge.git("hash-object", "-w", "--stdin", data=b"x\n")
    tree = MALICIOUS[what](forge, blob)
    bad = forge.git("hash-object", "-t", "commit", "-w", "--stdin", data=commit_text(tree, good))
    forge.git("push", "--quiet", "origin", f"{bad}:refs/heads/main")
    outcome = source.poll(good)
    assert isinstance(outcome, Kept)
    assert (outcome.reason, outcome.commit) == (ObjectsRefused.reason, good), outcome.message
    assert not mirror.has(outcome.candidate or good)


def commit_text(tree: str, parent: str) -> bytes:
    who = "A <a@example.org> 1790000000 +0000"
    return f"tree {tree}\nparent {parent}\nauthor {who}\ncommitter {who}\n\nbad\n".encode()


def test_replaced_objects_are_neither_fetched_nor_honoured(forge: Forge, mirror: Mirror, tmp_path: Path) -> None:
    head = forge.commit({"a.yaml": "good\n"})
    honest = forge.git("rev-parse", "HEAD:a.yaml")
    evil = forge.git("hash-object", "-w", "--stdin", data=b"evil\n")
    forge.git("replace", honest, evil)
    forge.git("push", "--quiet", "origin", "refs/replace/*:refs/replace/*")
    assert poll_and_read(mirror, tmp_path) == {"a.yaml": b"good\n"}
    refs = mirror.git.local("for-each-ref", "--format=%(refname)", limit_s=10).split()
    assert refs == [b"refs/tinyfleet/fetched"]
    assert mirror.has(head)
