# SPDX-License-Identifier: Apache-2.0
"""A GPG home of our own that holds the allowed signers' public keys and nothing else."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from pathlib import Path

from reconciler.git.errors import SignersUnreadable

# Whoever is in the file may sign, so there is no web of trust to ask; and verifying a commit must never make
# gpg speak to a key server that the signature names, or start an agent.
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
    """Return a GPG home with exactly these public keys; made once per content of the file."""
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
        raise SignersUnreadable(f"no GPG keyring can be made in {state}: {problem.strerror}") from problem
    return home


def _import(keys: bytes, home: Path, limit_s: float) -> None:
    command = ["gpg", "--homedir", str(home), "--status-fd", "1", "--import"]
    try:
        done = subprocess.run(command, input=keys, capture_output=True, timeout=limit_s, check=False)
    except subprocess.TimeoutExpired:
        raise SignersUnreadable(f"gpg did not read the signers' keys within {limit_s:g} s") from None
    # Not by the exit code: gpg also fails when the path of this home is too long for the socket of an agent,
    # which nobody needs here.
    if not _all_imported(done.stdout) or not (home / "pubring.kbx").exists():
        said = done.stderr.decode("utf-8", "replace").strip().splitlines() or ["no message"]
        raise SignersUnreadable(f"gpg can't read the signers' keys: {said[-1][:200]}")


def _all_imported(status: bytes) -> bool:
    """Read gpg's own account: as many keys imported (or there already) as were looked at, and at least one."""
    for line in status.decode("utf-8", "replace").splitlines():
        words = line.split()
        if words[:2] == ["[GNUPG:]", "IMPORT_RES"]:
            looked_at, imported, unchanged = int(words[2]), int(words[4]), int(words[6])
            return 0 < looked_at == imported + unchanged
    return False
