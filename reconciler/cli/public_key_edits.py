# SPDX-License-Identifier: Apache-2.0
"""The change of the fleet repository that adds the public keys of devices: a patch, or a commit."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import click

from reconciler.devices.initial_flash_content import NotProvisionable
from reconciler.git.proposal import ProposalFailed, ProposalRepository
from reconciler.load import DirectoryTree
from reconciler.load.scalar_edit import defines, with_scalars
from reconciler.model import Device, DeviceId
from signing.identifiers import key_id

YAML = (".yaml", ".yml")


class PublicKeyEdits:
    """Edits of the files that define some devices. Problems show here, before any key exists."""

    def __init__(self, path: Path, devices: Sequence[Device], *, commit: bool) -> None:
        self._before: dict[str, bytes] = {}
        self._file_of = {device.name: self._find(path, device) for device in devices}
        self._worktree = ProposalRepository(path) if commit else None
        for name, data in self._before.items():
            if self._worktree and self._worktree.read_committed(name) != data:
                raise ProposalFailed(f"{name} has uncommitted changes; commit or stash them first")
        self._after({device.name: bytes(32) for device in devices})
        for device in devices:
            if device.public_key is not None:
                click.echo(f"warning: {device.name} already has a key in Git; the new key replaces it", err=True)

    def _find(self, path: Path, device: Device) -> str:
        tree = DirectoryTree(path)
        for entry in tree.entries():
            if entry.path.endswith(YAML):
                data = self._before.get(entry.path) or tree.read(entry)
                if device.name.encode() in data and defines(data, "Device", device.name):
                    self._before[entry.path] = data
                    return entry.path
        raise NotProvisionable(f"no file defines the device {device.name}")

    def _after(self, public_keys: Mapping[DeviceId, bytes]) -> dict[str, bytes]:
        after = dict(self._before)
        for device, key in public_keys.items():
            name = self._file_of[device]
            after[name] = with_scalars(after[name], "Device", device, {("spec", "publicKey"): key.hex()})
        return after

    def propose(self, public_keys: Mapping[DeviceId, bytes], batch: str | None = None) -> tuple[dict[str, object], str]:
        """Commit the public keys, or write a patch; return what was done as fields and as text.

        The branch and the message name the one device, or the batch.
        """
        after = self._after(public_keys)
        if self._worktree is None:
            patch = "".join(_patch(name, data.decode(), after[name].decode()) for name, data in self._before.items())
            return {"patch": patch}, patch.removesuffix("\n")
        (what, key), *more = public_keys.items()
        branch = f"provision/{batch or what}"
        message = f"provision {what} with the key {key_id(key).hex()}"
        if more or batch:
            lines = (f"{device}: {key_id(each).hex()}" for device, each in public_keys.items())
            message = f"provision {len(public_keys)} devices\n\n" + "\n".join(lines)
        made = self._worktree.propose(branch, message, after)
        text = f"committed {made} on {branch}; push the branch and open a pull request"
        return {"commit": made, "branch": branch}, text


def _patch(name: str, before: str, after: str) -> str:
    """Return a patch for `git apply`."""
    old, new = (re.findall(r"[^\n]*\n|[^\n]+", text) for text in (before, after))
    lines = difflib.unified_diff(old, new, f"a/{name}", f"b/{name}")
    return "".join(line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines)
