# SPDX-License-Identifier: Apache-2.0
"""The files of the systemd service, and where they go."""

from __future__ import annotations

import os
from dataclasses import dataclass
from enum import StrEnum
from importlib.resources import files
from pathlib import Path
from typing import ClassVar

from reconciler.errors import Unusable

COMMAND_IN_UNIT = "/usr/bin/tinyfleet"  # in systemd/tinyfleet.service
HIDDEN_HOMES = ("/home", "/root", "/run/user")  # from a service with ProtectHome

SAMPLE = """\
# The configuration of this gateway; docs/configuration.md has every setting.
# Check it with `tinyfleet config check` and `tinyfleet doctor`, then `systemctl enable --now tinyfleet`.
name = "my-gateway"  # as the Gateway document of the fleet repository has it

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
    """The files can't be put in place."""

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

    path: Path  # below the root
    content: str
    theirs: bool = False  # from then on the operator's: never overwritten, never removed


def parts(command: Path) -> tuple[ServiceFile, ...]:
    """Return all files, for a command that lies here."""
    unit = _shipped("tinyfleet.service").replace(COMMAND_IN_UNIT, str(command))
    return (
        ServiceFile(Path("etc/systemd/system/tinyfleet.service"), unit),
        ServiceFile(Path("etc/sysusers.d/tinyfleet.conf"), _shipped("tinyfleet.sysusers")),
        ServiceFile(Path("etc/tmpfiles.d/tinyfleet.conf"), _shipped("tinyfleet.tmpfiles")),
        ServiceFile(Path("etc/tinyfleet/gateway.toml"), SAMPLE, theirs=True),
    )


def must_be_visible(command: Path) -> None:
    """Refuse a command that the service would not find."""
    if any(command.is_relative_to(home) for home in HIDDEN_HOMES):
        raise CannotInstall(
            f"{command} lies in a home directory, which the service can't see: install tinyfleet system-wide, "
            "for example into a virtual environment in /opt/tinyfleet"
        )


def install(part: ServiceFile, root: Path, *, dry_run: bool) -> FileChange:
    """Put one file in place, whole or not at all."""
    path = root / part.path
    if path.exists() and (part.theirs or path.read_text(encoding="utf-8") == part.content):
        return FileChange.UNCHANGED
    if not dry_run:
        new = path.with_name(f".{path.name}.new")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with new.open("w", encoding="utf-8") as file:
                file.write(part.content)
                file.flush()
                os.fsync(file.fileno())
            new.chmod(0o640 if part.theirs else 0o644)
            new.replace(path)
        except OSError as error:
            raise CannotInstall(f"{path} can't be written: {error.strerror}; are you root?") from error
    return FileChange.WRITTEN


def uninstall(part: ServiceFile, root: Path, *, dry_run: bool) -> FileChange:
    """Take one file away; what is the operator's stays."""
    path = root / part.path
    if not path.exists():
        return FileChange.ABSENT
    if part.theirs:
        return FileChange.UNCHANGED
    if not dry_run:
        try:
            path.unlink()
        except OSError as error:
            raise CannotInstall(f"{path} can't be removed: {error.strerror}; are you root?") from error
    return FileChange.REMOVED


def _shipped(name: str) -> str:
    """Read a file of systemd/, from the wheel or from the source tree."""
    packaged = files("reconciler") / "systemd" / name
    source = Path(__file__).parents[2] / "systemd" / name
    return packaged.read_text(encoding="utf-8") if packaged.is_file() else source.read_text(encoding="utf-8")
