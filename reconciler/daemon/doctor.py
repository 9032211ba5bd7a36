# SPDX-License-Identifier: Apache-2.0
"""The checks of `tinyfleet doctor` on this machine: each result states what is wrong and what to do."""

from __future__ import annotations

import grp
import os
import shutil
import stat
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import partial
from pathlib import Path

from reconciler.compiler.sandbox import can_isolate_network
from reconciler.config import GatewayConfig
from reconciler.daemon.assembly import KeysUnusable, gateway_keys
from reconciler.daemon.certificate_watch import CertificateWatch
from reconciler.daemon.commit_status_sender import forge_of
from reconciler.daemon.gateway_overview import read_overview
from reconciler.daemon.instance_lock import holder
from reconciler.daemon.outgoing_http import SecretUnusable
from reconciler.daemon.webhook_sender import receivers_of
from reconciler.engine.state.reader import NoRecordedState
from reconciler.git.allowed_signers import allowed_keys, fingerprint_of
from reconciler.git.errors import SignersUnreadable
from reconciler.report.expiry import EXPIRES_SOON
from reconciler.report.gateway_status import NOT_ISOLATED
from reconciler.report.remedies import REMEDIES

FREE_BYTES = 200 << 20  # an artifact store, a mirror and a database, with room for one more of each
SYNCHRONIZED = Path("/run/systemd/timesync")
NTP = "set the clock with NTP: `timedatectl set-ntp true`"
OTHERS = stat.S_IRWXG | stat.S_IRWXO
WRITABLE_BY_OTHERS = stat.S_IWGRP | stat.S_IWOTH


class CheckSeverity(StrEnum):
    """The severity of a result."""

    OK = "ok"
    WARNING = "warning"  # works, but not forever, or not as well as it could
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class CheckResult:
    """The result of one check."""

    check: str
    severity: CheckSeverity
    message: str
    remedy: str = ""


def passed(check: str, message: str) -> CheckResult:
    """Report that nothing is wrong."""
    return CheckResult(check, CheckSeverity.OK, message)


def failed(check: str, message: str, remedy: str) -> CheckResult:
    """Report an error and what to do about it."""
    return CheckResult(check, CheckSeverity.ERROR, message, remedy)


def daemon(config: GatewayConfig) -> Iterator[CheckResult]:
    """Check that the daemon runs."""
    owner = holder(config.state_dir)
    if owner is None:
        remedy = "start it: `systemctl start tinyfleet`, or `tinyfleet run`"
        yield CheckResult("daemon", CheckSeverity.WARNING, "not running", remedy)
        return
    yield passed("daemon", f"running as process {owner}")


def keys(config: GatewayConfig) -> Iterator[CheckResult]:
    """Check that the gateway can sign envelopes."""
    try:
        gateway = gateway_keys(config)
    except KeysUnusable as unusable:
        yield failed("gateway key", str(unusable), "see docs/keys.md for how a gateway gets its key")
        return
    delegation = gateway.delegation
    yield passed("gateway key", f"key {delegation.key_id.hex()}, epoch {delegation.epoch}")
    if delegation.not_after is not None:
        yield expiry(
            "delegation", datetime.fromtimestamp(delegation.not_after, UTC), "get a new delegation: docs/keys.md"
        )


def certificates(config: GatewayConfig) -> Iterator[CheckResult]:
    """Check when the certificates and the revocation list in the configuration expire."""
    for each in CertificateWatch(config.mqtt, config.uplink).expiries():
        if each.ends is None:
            yield failed(each.name, each.problem, REMEDIES["CertificateUnreadable"].text)
        else:
            yield expiry(each.name, each.ends, REMEDIES["CertificateExpiring"].text)


def permissions(config: GatewayConfig) -> Iterator[CheckResult]:
    """Check that only the owner can read secrets, and only the owner can write files that the gateway trusts."""
    secrets = [*config.keys.gateway.glob("*.key"), config.keys.status, config.repository.ssh_key]
    secrets.append(config.mqtt.key if config.mqtt else None)
    secrets += [uplink.key for uplink in config.uplink]
    secrets.append(config.automation.key if config.automation else None)
    for path in secrets:
        if path is not None and path.exists():
            yield _mode(path, OTHERS, "other users can read or write it", f"chmod 600 {path}")
    gateways = config.automation.allowed_signers if config.automation else None
    signers = config.signers
    for path in (signers.allowed_signers, signers.gpg_keys, signers.models, gateways, config.keys.gateway):
        if path is not None and path.exists():
            yield _mode(
                path,
                WRITABLE_BY_OTHERS,
                "other users can change whom the gateway trusts",
                f"chmod go-w {path}",
            )


def automation(config: GatewayConfig) -> Iterator[CheckResult]:
    """Check that the keys of gateways are read, that ours is one of them, and that none is a person's."""
    if config.automation is None:
        return
    check = "automation"
    try:
        gateways = allowed_keys(config.automation.allowed_signers)
        signers = config.signers.allowed_signers
        people = () if signers is None else allowed_keys(signers, authorities=True)
        own = fingerprint_of(config.automation.key) if config.automation.key is not None else None
    except SignersUnreadable as unreadable:
        yield failed(check, str(unreadable), "correct `[automation]` in gateway.toml: docs/configuration.md")
        return
    both = {key.fingerprint for key in gateways} & {key.fingerprint for key in people}
    ours = {key.fingerprint for key in gateways if key.principal.rpartition("@")[2] == config.name}
    if both:
        yield failed(
            check,
            f"{', '.join(sorted(both))} is among the keys of people and of gateways, and counts as a gateway's",
            f"remove it from {config.signers.allowed_signers}, and let people sign with keys of their own",
        )
    elif own is not None and own not in ours:
        remedy = f"add `{config.name}` and the public key to {config.automation.allowed_signers} on every gateway"
        yield failed(check, f"{config.automation.key} ({own}) is not listed for {config.name}", remedy)
    else:
        proposes = "proposes nothing: it has no key" if own is None else f"proposes with key {own}"
        yield passed(check, f"{len(gateways)} keys of gateways are known; this gateway {proposes}")


def receivers(config: GatewayConfig) -> Iterator[CheckResult]:
    """Check the secrets for the webhook, chats, Alertmanager and the forge, if any is configured."""
    checks: dict[str, Callable[[], object]] = {}
    if config.webhook or config.chats or config.matrix or config.alertmanager:
        checks["events"] = partial(receivers_of, config)
    if config.commit_status is not None:
        checks["commit status"] = partial(forge_of, config.commit_status)
    for name, read in checks.items():
        try:
            read()
        except SecretUnusable as unusable:
            yield failed(name, str(unusable), "see docs/review.md for what each receiver needs")
        else:
            yield passed(name, "the secrets for all receivers are usable")


def disk(config: GatewayConfig) -> Iterator[CheckResult]:
    """Check that the state folder has free space and is writable."""
    folder = config.state_dir
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    space = f"{free >> 20} MiB free in {folder}"
    remedy = f"free some space: at least {FREE_BYTES >> 20} MiB"
    yield passed("disk", space) if free >= FREE_BYTES else failed("disk", space, remedy)
    if os.access(folder, os.W_OK | os.X_OK):
        yield passed("state_dir", f"{config.state_dir} is writable")
    else:
        owner = f"chown -R {_user()} {config.state_dir}"
        yield failed("state_dir", f"{_user()} can't write to {config.state_dir}", f"{owner}, or run as its owner")


def clock(config: GatewayConfig) -> Iterator[CheckResult]:
    """Check that the clock has not gone back: soak times, windows and certificates depend on it."""
    now = datetime.now(UTC)
    newest = _newest_seen(config.state_dir)
    if newest is not None and now < newest - timedelta(minutes=1):
        yield failed("clock", f"it is {now:%Y-%m-%d %H:%M} UTC, but a device reported at {newest:%Y-%m-%d %H:%M}", NTP)
    elif SYNCHRONIZED.exists() and not (SYNCHRONIZED / "synchronized").exists():
        yield CheckResult("clock", CheckSeverity.WARNING, "systemd-timesyncd has not synchronized the clock yet", NTP)
    else:
        yield passed("clock", f"it is {now:%Y-%m-%d %H:%M} UTC")


def serial(config: GatewayConfig) -> Iterator[CheckResult]:
    """Check that serial ports exist and are accessible, without opening them: the daemon may be using them."""
    for line in config.serial:
        check = f"serial {line.name}"
        if "://" in line.port or line.port.startswith("unix:"):
            yield passed(check, f"{line.port} is opened only by the daemon")
            continue
        path = Path(line.port)
        if not path.exists():
            yield failed(check, f"{line.port} does not exist", "plug the adapter in; name it by /dev/serial/by-id/…")
        elif not path.is_char_device():
            yield failed(check, f"{line.port} is not a serial port", "correct `port` in gateway.toml")
        elif not os.access(path, os.R_OK | os.W_OK):
            group = _group_of(path)
            yield failed(
                check, f"{_user()} has no access to {line.port}", f"usermod -aG {group} {_user()}, then restart"
            )
        else:
            yield passed(check, f"{line.port} is accessible")


def build(config: GatewayConfig) -> Iterator[CheckResult]:
    """Check which kinds of models can be built here."""
    del config
    # Look for the files instead of importing: TensorFlow stays in the build process.
    found = [name for name in ("ai_edge_litert", "sklearn") if any((Path(at) / name).is_dir() for at in sys.path)]
    if len(found) == 2:  # noqa: PLR2004 - both of them
        yield passed("build", "networks and forests can be built here")
    else:
        remedy = "pip install 'tinyfleet[build]', unless another machine builds for this gateway's store"
        yield CheckResult("build", CheckSeverity.WARNING, "networks or forests can't be built here", remedy)


def sandbox(config: GatewayConfig) -> Iterator[CheckResult]:
    """Check that builds run without access to the network."""
    del config
    if can_isolate_network():
        yield passed("sandbox", "builds have no access to the network")
    else:
        remedy = REMEDIES["NetworkNotIsolated"].text
        yield CheckResult("sandbox", CheckSeverity.WARNING, NOT_ISOLATED, remedy)


def expiry(check: str, end: datetime, remedy: str) -> CheckResult:
    """Check an expiry date."""
    left = end - datetime.now(UTC)
    message = f"valid until {end:%Y-%m-%d}"
    if left < timedelta(0):
        return failed(check, f"expired on {end:%Y-%m-%d}", remedy)
    return CheckResult(check, CheckSeverity.WARNING, message, remedy) if left < EXPIRES_SOON else passed(check, message)


def _mode(path: Path, forbidden: int, wrong: str, remedy: str) -> CheckResult:
    mode = stat.S_IMODE(path.stat().st_mode)
    check = f"permissions of {path.name}"
    return (
        failed(check, f"{path}: {wrong} ({mode:o})", remedy) if mode & forbidden else passed(check, f"{path}: {mode:o}")
    )


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


def _user() -> str:
    return f"uid {os.getuid()}" if not os.environ.get("USER") else os.environ["USER"]
