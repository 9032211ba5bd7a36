# SPDX-License-Identifier: Apache-2.0
"""Installs and removes the files of the systemd service."""

from __future__ import annotations

import os
from dataclasses import dataclass
from enum import StrEnum
from importlib.resources import files
from pathlib import Path
from typing import ClassVar

from reconciler.errors import Unusable

COMMAND_IN_UNIT = "/usr/bin/tinyfleet"  # in systemd/tinyfleet.service
HIDDEN_HOMES = ("/home", "/root", "/run/user")  # hidden from a service with ProtectHome

SAMPLE = """\
# The configuration of this gateway; docs/configuration.md describes every setting.
# Check it with `tinyfleet config check` and `tinyfleet doctor`, then `systemctl enable --now tinyfleet`.
name = "my-gateway"  # the name of the Gateway document in the fleet repository

[repository]
url = "ssh://git@git.example.org/fleet.git"
ssh_key = "deploy_key"
known_hosts = "known_hosts"

[signers]
allowed_signers = "allowed_signers"

[keys]
gateway = "gateway"  # made by `tinyfleet keys gateway init`
"""


class CannotInstall(Unusable):
    """The files can't be installed."""

    reason: ClassVar[str] = "CannotInstall"


class FileChange(StrEnum):
    """What happens to a file."""

    WRITTEN = "write"
    UNCHANGED = "keep"
    REMOVED = "remove"
    ABSENT = "absent"


@dataclass(frozen=True, slots=True)
class ServiceFile:
    """One file of the installation."""

    path: Path  # relative to the root
    content: str
    owned_by_operator: bool = False  # after the first installation: never overwritten, never removed


def parts(command: Path) -> tuple[ServiceFile, ...]:
    """Return all files, for a command at this path."""
    units = ("tinyfleet.service", "tinyfleet-pki.service", "tinyfleet-pki.timer")
    return (
        *(
            ServiceFile(Path("etc/systemd/system", unit), _shipped(unit).replace(COMMAND_IN_UNIT, str(command)))
            for unit in units
        ),
        ServiceFile(Path("etc/sysusers.d/tinyfleet.conf"), _shipped("tinyfleet.sysusers")),
        ServiceFile(Path("etc/tmpfiles.d/tinyfleet.conf"), _shipped("tinyfleet.tmpfiles")),
        ServiceFile(Path("etc/tinyfleet/gateway.toml"), SAMPLE, owned_by_operator=True),
    )


def must_be_visible(command: Path) -> None:
    """Reject a command that the service can't see."""
    if any(command.is_relative_to(home) for home in HIDDEN_HOMES):
        raise CannotInstall(
            f"{command} is in a home directory, which the service can't see: install tinyfleet system-wide, "
            "for example into a virtual environment in /opt/tinyfleet"
        )


def install(part: ServiceFile, root: Path, *, dry_run: bool) -> FileChange:
    """Install one file atomically."""
    path = root / part.path
    if path.exists() and (part.owned_by_operator or path.read_text(encoding="utf-8") == part.content):
        return FileChange.UNCHANGED
    if not dry_run:
        new = path.with_name(f".{path.name}.new")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with new.open("w", encoding="utf-8") as file:
                file.write(part.content)
                file.flush()
                os.fsync(file.fileno())
            new.chmod(0o640 if part.owned_by_operator else 0o644)
            new.replace(path)
        except OSError as error:
            raise CannotInstall(f"can't write {path}: {error.strerror}; are you root?") from error
    return FileChange.WRITTEN


def uninstall(part: ServiceFile, root: Path, *, dry_run: bool) -> FileChange:
    """Remove one file; keep those owned by the operator."""
    path = root / part.path
    if not path.exists():
        return FileChange.ABSENT
    if part.owned_by_operator:
        return FileChange.UNCHANGED
    if not dry_run:
        try:
            path.unlink()
        except OSError as error:
            raise CannotInstall(f"can't remove {path}: {error.strerror}; are you root?") from error
    return FileChange.REMOVED


def _shipped(name: str) -> str:
    """Read a file of systemd/, from the wheel or from the source tree."""
    packaged = files("reconciler") / "systemd" / name
    source = Path(__file__).parents[2] / "systemd" / name
    return packaged.read_text(encoding="utf-8") if packaged.is_file() else source.read_text(encoding="utf-8")
