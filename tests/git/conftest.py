# SPDX-License-Identifier: Apache-2.0
"""Fixtures: a forge, a mirror of it, and a signature policy."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from reconciler.git.mirror import Mirror
from reconciler.git.remote_settings import GitLimits, Remote
from reconciler.git.signatures import SignatureMode, SignaturePolicy
from reconciler.git.source import CommitSource
from tests.git.forge import Forge, GpgKey, SshKey, make_forge, make_ssh_key, run_gpg

QUICK = GitLimits(ask_s=10, transfer_s=20, local_s=20, verify_s=30, depth=4)


@pytest.fixture
def forge(tmp_path: Path) -> Forge:
    return make_forge(tmp_path / "forge")


@pytest.fixture
def remote(forge: Forge) -> Remote:
    return Remote(f"file://{forge.bare}")


@pytest.fixture
def mirror(tmp_path: Path, remote: Remote) -> Iterator[Mirror]:
    with Mirror(tmp_path / "mirror", remote, QUICK) as opened:
        yield opened


@pytest.fixture(scope="session")
def keys(tmp_path_factory: pytest.TempPathFactory) -> dict[str, SshKey]:
    folder = tmp_path_factory.mktemp("keys")
    return {name: make_ssh_key(folder, name) for name in ("ada", "bob", "forge", "mallory")}


@pytest.fixture(scope="session")
def gpg() -> Iterator[dict[str, GpgKey]]:
    # A short path, because gpg's agent listens on a socket in it, and socket paths are limited.
    with tempfile.TemporaryDirectory(prefix="gpg") as folder:
        home = Path(folder)
        names = ("ada@example.org", "forge@example.org", "mallory@example.org")
        try:
            for name in names:
                run_gpg(home, "--quick-generate-key", name, "ed25519", "sign", "never")
            yield {name.partition("@")[0]: GpgKey(name, home) for name in names}
        finally:  # the agent would keep its socket in the folder
            subprocess.run(["gpgconf", "--homedir", str(home), "--kill", "all"], check=True, capture_output=True)


@pytest.fixture
def signers(tmp_path: Path, keys: dict[str, SshKey]) -> Path:
    """Ada, Bob and the forge may sign; Mallory may not."""
    path = tmp_path / "allowed_signers"
    names = ("ada", "bob", "forge")
    path.write_text("".join(f'{name}@example.org namespaces="git" {keys[name].public}\n' for name in names))
    return path


@pytest.fixture
def every(signers: Path) -> SignaturePolicy:
    return SignaturePolicy(SignatureMode.EVERY, allowed_signers=signers)


@pytest.fixture
def source(mirror: Mirror, every: SignaturePolicy, tmp_path: Path) -> CommitSource:
    return CommitSource(mirror, every, tmp_path / "state")
