# SPDX-License-Identifier: Apache-2.0
"""What a server can make a gateway spend before a signature is looked at: memory and output have bounds."""

from __future__ import annotations

import random
import socket
from pathlib import Path

import pytest

from reconciler.foreign_text import REPLACEMENT
from reconciler.git.errors import TransferTooLarge
from reconciler.git.mirror import Mirror
from reconciler.git.remote_settings import Remote
from reconciler.git.signatures import SignatureMode, SignaturePolicy
from reconciler.git.source import Advanced, CommitSource
from reconciler.load.source_files import MAX_SOURCE_BYTES
from tests.git.forge import Forge
from tests.git.hostile_server import cost_of, endless_matching_refs, endless_refs, endless_sideband, packet
from tests.git.servers import Loopback, git_daemon

MOST_MIB = 200.0
LEVELS = 10
NAMES = 10  # a tree of 10^10 paths in eleven objects


def test_endless_refs_take_bounded_memory(tmp_path: Path) -> None:
    cost = cost_of(endless_refs, tmp_path)
    assert cost.reason == "TransferTooLarge", cost
    assert max(cost.git_mib, cost.gateway_mib) <= MOST_MIB, cost


def test_endless_refs_that_were_asked_for_take_bounded_memory(tmp_path: Path) -> None:
    cost = cost_of(endless_matching_refs, tmp_path, peers=True)
    assert cost.reason == "TransferTooLarge", cost
    assert max(cost.git_mib, cost.gateway_mib) <= MOST_MIB, cost


@pytest.mark.parametrize("text", [b"x", b"all is well\n"], ids=["one endless line", "endless lines"])
def test_an_endless_sideband_takes_bounded_memory(tmp_path: Path, text: bytes) -> None:
    cost = cost_of(endless_sideband(text), tmp_path)
    assert cost.reason == "TransferTooLarge", cost
    assert max(cost.git_mib, cost.gateway_mib) <= MOST_MIB, cost


def tree_of(forge: Forge, entries: dict[str, tuple[str, str]]) -> str:
    lines = "".join(f"{mode} {identity}\t{name}\n" for name, (mode, identity) in entries.items())
    return forge.git("mktree", data=lines.encode())


def test_a_tree_of_ten_billion_paths_is_not_listed(forge: Forge, remote: Remote, tmp_path: Path) -> None:
    blob = forge.git("hash-object", "-w", "--stdin", data=b"kind: Device\n")
    tree = tree_of(forge, {f"{name:0100}.yaml": ("100644 blob", blob) for name in range(NAMES)})
    for _ in range(LEVELS - 1):
        tree = tree_of(forge, {f"{name:0100}": ("040000 tree", tree) for name in range(NAMES)})
    commit = forge.git("commit-tree", tree, "-m", "ten billion")
    forge.git("push", "--quiet", "origin", f"{commit}:refs/heads/main")
    with Mirror(tmp_path / "mirror.git", remote) as mirror:
        source = CommitSource(mirror, SignaturePolicy(SignatureMode.OFF), tmp_path / "state")
        outcome = source.poll(None)
        assert isinstance(outcome, Advanced), outcome
        with source.tree(outcome.commit) as files, pytest.raises(TransferTooLarge, match="more files"):
            files.entries()


def test_escape_sequences_of_a_server_do_not_reach_the_message(tmp_path: Path) -> None:
    def escaping(connection: socket.socket) -> None:
        connection.recv(4096)
        connection.sendall(packet(b"ERR \x1b]0;owned\x07\x1b[31mall is well\x9b1A"))

    cost = cost_of(escaping, tmp_path)
    assert cost.reason == "RemoteUnavailable"
    assert "all is well" in cost.message
    assert REPLACEMENT in cost.message
    assert cost.message.replace(REPLACEMENT, "").isprintable()


def test_large_models_still_fit(forge: Forge, remote: Remote, tmp_path: Path) -> None:
    content = bytearray(random.Random(1).randbytes(MAX_SOURCE_BYTES - 1))
    for version in range(2):
        content[version * 1000] ^= 1
        (forge.work / "large.keras").write_bytes(content)
        forge.commit({"fleet.yaml": f"version: {version}\n"})
    with Mirror(tmp_path / "mirror.git", remote) as mirror:
        source = CommitSource(mirror, SignaturePolicy(SignatureMode.OFF), tmp_path / "state")
        outcome = source.poll(None)
        assert isinstance(outcome, Advanced), outcome
        with source.tree(outcome.commit) as files:
            large = next(each for each in files.entries() if each.path == "large.keras")
            assert files.read(large) == content
    with Loopback(git_daemon(forge.bare.parent)).running() as server:
        far = Remote(f"git://127.0.0.1:{server.port}/{forge.bare.name}")
        with Mirror(tmp_path / "far.git", far) as mirror:
            assert mirror.fetch() == outcome.commit
