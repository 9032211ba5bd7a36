# SPDX-License-Identifier: Apache-2.0
"""What `tinyfleet doctor` looks at on this machine: each finding with what is wrong and how to mend it."""

from __future__ import annotations

import grp
import os
import shutil
import stat
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path

from reconciler.config import GatewayConfig
from reconciler.daemon.assembly import KeysUnusable, gateway_keys
from reconciler.daemon.instance_lock import holder
from reconciler.daemon.state_reader import read_overview
from reconciler.daemon.webhook import SecretUnusable, webhook_of
from reconciler.engine.state.reader import NoRecordedState

FREE_BYTES = 200 << 20  # an artifact store, a mirror and a database, with room for one more of each
EXPIRES_SOON = timedelta(days=30)
SYNCHRONIZED = Path("/run/systemd/timesync")
NTP = "have the clock set by NTP: `timedatectl set-ntp true`"
OTHERS = stat.S_IRWXG | stat.S_IRWXO
WRITABLE_BY_OTHERS = stat.S_IWGRP | stat.S_IWOTH


class Grade(StrEnum):
    """How bad it is."""

    GOOD = "good"
    DOUBTFUL = "doubtful"  # works, and will not for ever, or not as well as it could
    BAD = "bad"


@dataclass(frozen=True, slots=True)
class CheckResult:
    """One thing that was looked at."""

    what: str
    grade: Grade
    found: str
    remedy: str = ""


def good(what: str, found: str) -> CheckResult:
    """Find nothing wrong."""
    return CheckResult(what, Grade.GOOD, found)


def bad(what: str, found: str, remedy: str) -> CheckResult:
    """Find something wrong."""
    return CheckResult(what, Grade.BAD, found, remedy)


def daemon(config: GatewayConfig) -> Iterator[CheckResult]:
    """See whether the daemon works, and is believed to."""
    owner = holder(config.state_dir)
    if owner is None:
        remedy = "start it: `systemctl start tinyfleet`, or `tinyfleet run`"
        yield CheckResult("daemon", Grade.DOUBTFUL, "it does not run", remedy)
        return
    yield good("daemon", f"runs as process {owner}")


def keys(config: GatewayConfig) -> Iterator[CheckResult]:
    """See that the gateway can sign, and that nobody else can in its name."""
    try:
        gateway = gateway_keys(config)
    except KeysUnusable as unusable:
        yield bad("gateway key", str(unusable), "docs/keys.md tells how a gateway gets its key")
        return
    delegation = gateway.delegation
    yield good("gateway key", f"key {delegation.key_id.hex()}, epoch {delegation.epoch}")
    if delegation.not_after is not None:
        yield expiry("delegation", datetime.fromtimestamp(delegation.not_after, UTC), "delegate anew, docs/keys.md")


def permissions(config: GatewayConfig) -> Iterator[CheckResult]:
    """See that secrets are secret, and that nobody else can write what is believed."""
    secrets = [*config.keys.gateway.glob("*.key"), config.keys.status, config.repository.ssh_key]
    secrets.append(config.mqtt.key if config.mqtt else None)
    for path in secrets:
        if path is not None and path.exists():
            yield _mode(path, OTHERS, "others may read or write it", f"chmod 600 {path}")
    for path in (config.signers.allowed_signers, config.signers.gpg_keys, config.keys.gateway):
        if path is not None and path.exists():
            yield _mode(
                path, WRITABLE_BY_OTHERS, "others may write it: they decide whom to trust", f"chmod go-w {path}"
            )


def notices(config: GatewayConfig) -> Iterator[CheckResult]:
    """See that notices can be signed, where there is somebody to be told."""
    if config.webhook is None:
        return
    try:
        webhook_of(config.webhook)
    except SecretUnusable as unusable:
        yield bad("notices", str(unusable), "docs/review.md tells how receiver and gateway share a secret")
    else:
        yield good("notices", f"{config.webhook.secret} can be signed with")


def disk(config: GatewayConfig) -> Iterator[CheckResult]:
    """See that there is room, and that it may be used."""
    folder = config.state_dir
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    told = f"{free >> 20} MiB free in {folder}"
    yield good("disk", told) if free >= FREE_BYTES else bad("disk", told, f"make room: {FREE_BYTES >> 20} MiB at least")
    if os.access(folder, os.W_OK | os.X_OK):
        yield good("state_dir", f"{config.state_dir} can be written")
    else:
        owner = f"chown -R {_who()} {config.state_dir}"
        yield bad("state_dir", f"{config.state_dir} can't be written by {_who()}", f"{owner}, or run as its owner")


def clock(config: GatewayConfig) -> Iterator[CheckResult]:
    """See that the clock is no older than what was seen already: soaks, windows and certificates go by it."""
    now = datetime.now(UTC)
    newest = _newest_seen(config.state_dir)
    if newest is not None and now < newest - timedelta(minutes=1):
        yield bad("clock", f"it is {now:%Y-%m-%d %H:%M} UTC, but devices were heard at {newest:%Y-%m-%d %H:%M}", NTP)
    elif SYNCHRONIZED.exists() and not (SYNCHRONIZED / "synchronized").exists():
        yield CheckResult("clock", Grade.DOUBTFUL, "systemd-timesyncd has not synchronized it yet", NTP)
    else:
        yield good("clock", f"it is {now:%Y-%m-%d %H:%M} UTC")


def serial(config: GatewayConfig) -> Iterator[CheckResult]:
    """See that serial ports are there and may be used. They are not opened: the daemon may be talking."""
    for line in config.serial:
        what = f"serial {line.name}"
        if "://" in line.port or line.port.startswith("unix:"):
            yield good(what, f"{line.port} is opened by the daemon only")
            continue
        path = Path(line.port)
        if not path.exists():
            yield bad(what, f"{line.port} is not there", "plug the adapter in; name it by /dev/serial/by-id/…")
        elif not path.is_char_device():
            yield bad(what, f"{line.port} is no serial port", "correct `port` in gateway.toml")
        elif not os.access(path, os.R_OK | os.W_OK):
            group = _group_of(path)
            yield bad(what, f"{_who()} may not use {line.port}", f"usermod -aG {group} {_who()}, and start anew")
        else:
            yield good(what, f"{line.port} can be used")


def build(config: GatewayConfig) -> Iterator[CheckResult]:
    """See what models can be built here."""
    del config
    # Found by its files, not imported: TensorFlow stays in the build's own process.
    found = [name for name in ("ai_edge_litert", "sklearn") if any((Path(at) / name).is_dir() for at in sys.path)]
    if len(found) == 2:  # noqa: PLR2004 - both of them
        yield good("build", "networks and forests can be built here")
    else:
        remedy = "pip install 'tinyfleet[build]', unless others build for this gateway's store"
        yield CheckResult("build", Grade.DOUBTFUL, "networks or forests can't be built here", remedy)


def expiry(what: str, end: datetime, remedy: str) -> CheckResult:
    """Judge something that ends some day."""
    left = end - datetime.now(UTC)
    told = f"valid until {end:%Y-%m-%d}"
    if left < timedelta(0):
        return bad(what, f"expired on {end:%Y-%m-%d}", remedy)
    return CheckResult(what, Grade.DOUBTFUL, told, remedy) if left < EXPIRES_SOON else good(what, told)


def _mode(path: Path, forbidden: int, wrong: str, remedy: str) -> CheckResult:
    mode = stat.S_IMODE(path.stat().st_mode)
    what = f"permissions of {path.name}"
    return bad(what, f"{path}: {wrong} ({mode:o})", remedy) if mode & forbidden else good(what, f"{path}: {mode:o}")


def _newest_seen(state_dir: Path) -> datetime | None:
    try:
        seen = [device.seen_at for device in read_overview(state_dir).devices if device.seen_at is not None]
    except NoRecordedState:
        return None
    return max(seen, default=None)


def _group_of(path: Path) -> str:
    try:
        return grp.getgrgid(path.stat().st_gid).gr_name
    except KeyError:
        return str(path.stat().st_gid)


def _who() -> str:
    return f"uid {os.getuid()}" if not os.environ.get("USER") else os.environ["USER"]
