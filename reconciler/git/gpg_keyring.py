# SPDX-License-Identifier: Apache-2.0
"""Builds a GPG home that contains the public keys of the allowed signers and nothing else."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from pathlib import Path

from reconciler.errors import failure_of_system
from reconciler.foreign_text import printable
from reconciler.git.errors import SignersUnreadable

# Every key in the file is trusted, so there is no web of trust. Verifying a commit must never make gpg
# contact a key server that the signature names, or start an agent.
_CONFIG = """\
batch
no-tty
no-greeting
no-autostart
no-auto-key-retrieve
no-auto-key-locate
no-auto-key-import
disable-dirmngr
trust-model always
"""


def keyring(keys: bytes, state: Path, *, limit_s: float) -> Path:
    """Return a GPG home with exactly these public keys. It is built once per content of the file."""
    home = state / f"gpg-{hashlib.sha256(keys).hexdigest()[:16]}"
    if (home / "pubring.kbx").exists():
        return home
    fresh = home.with_suffix(".new")
    try:
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(parents=True, mode=0o700)
        (fresh / "gpg.conf").write_text(_CONFIG)
        _import(keys, fresh, limit_s)
        fresh.rename(home)
    except OSError as problem:
        raise failure_of_system(problem, f"cannot create a GPG keyring in {state}", SignersUnreadable) from problem
    return home


def _import(keys: bytes, home: Path, limit_s: float) -> None:
    command = ["gpg", "--homedir", str(home), "--status-fd", "1", "--import"]
    try:
        done = subprocess.run(command, input=keys, capture_output=True, timeout=limit_s, check=False)
    except subprocess.TimeoutExpired:
        raise SignersUnreadable(f"gpg timed out after {limit_s:g} s while importing the signers' keys") from None
    # The exit code is not reliable: gpg also fails if the path of this home is too long for an agent's
    # socket, and no agent is needed here.
    if not _all_imported(done.stdout) or not (home / "pubring.kbx").exists():
        lines = printable(done.stderr.decode("utf-8", "replace")).strip().splitlines() or ["no message"]
        raise SignersUnreadable(f"gpg cannot import the signers' keys: {lines[-1][:200]}")


def _all_imported(status: bytes) -> bool:
    """Return whether gpg reports at least one key, and each as imported or unchanged."""
    for line in status.decode("utf-8", "replace").splitlines():
        words = line.split()
        if words[:2] == ["[GNUPG:]", "IMPORT_RES"]:
            processed, imported, unchanged = int(words[2]), int(words[4]), int(words[6])
            return 0 < processed == imported + unchanged
    return False
