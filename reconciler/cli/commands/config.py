# SPDX-License-Identifier: Apache-2.0
"""`tinyfleet config`: check `gateway.toml`, and show it with all defaults."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import click

from reconciler import config
from reconciler.cli.inputs.options import config_option, output_option
from reconciler.cli.ordered_group import OrderedGroup
from reconciler.cli.result import print_result


@click.group(cls=OrderedGroup)
def command() -> None:
    """Check and show the configuration of the gateway."""


@command.command()
@config_option
@output_option
def check(config_path: Path, output: str) -> None:
    """Check the configuration, and that the files it names exist.

    Reports all errors at once, and exits with 1 if there are any. `tinyfleet doctor` also checks the network, serial
    ports and keys.
    """
    settings = config.read(config_path)
    missing = [(name, path) for name, path in named_files(settings) if not path.exists()]
    if missing:
        raise config.missing_files(config_path, missing)
    fields = {"valid": True, "gateway": settings.name, "repository": settings.repository.url}
    print_result(output, fields, f"{config_path}: valid, gateway {settings.name} of {settings.repository.url}")


@command.command()
@config_option
@output_option
def show(config_path: Path, output: str) -> None:
    """Show the configuration with all defaults.

    Paths are absolute, and durations are in seconds.
    """
    settings = _plain(config.read(config_path))
    print_result(output, settings, "\n".join(f"{name} = {json.dumps(value)}" for name, value in _flat("", settings)))


def named_files(settings: config.GatewayConfig) -> list[tuple[str, Path]]:
    """Return the files that must exist, each with the name of its setting."""
    mqtt, automation = settings.mqtt, settings.automation
    found = {
        "repository.ssh_key": settings.repository.ssh_key,
        "repository.known_hosts": settings.repository.known_hosts,
        "repository.ca": settings.repository.ca,
        "signers.allowed_signers": settings.signers.allowed_signers,
        "signers.revoked_signers": settings.signers.revoked_signers,
        "signers.gpg_keys": settings.signers.gpg_keys,
        "signers.models": settings.signers.models,
        "automation.allowed_signers": automation.allowed_signers if automation else None,
        "automation.key": automation.key if automation else None,
        "keys.gateway": settings.keys.gateway,
        "keys.status": settings.keys.status,
        "mqtt.ca": mqtt.ca if mqtt else None,
        "mqtt.certificate": mqtt.certificate if mqtt else None,
        "mqtt.key": mqtt.key if mqtt else None,
        "mqtt.crl": mqtt.crl if mqtt else None,
        "webhook.secret": settings.webhook.secret if settings.webhook else None,
    }
    if (cluster := settings.cluster) is not None:
        found |= {"cluster.ca": cluster.ca, "cluster.certificate": cluster.certificate, "cluster.key": cluster.key}
    for place, uplink in enumerate(settings.uplink):
        files = {"ca": uplink.ca, "certificate": uplink.certificate, "key": uplink.key}
        found |= {f"uplink.{place}.{name}": path for name, path in files.items()}
    found |= {f"{name}.url_file": chat.url_file for name, chat in settings.chats.items()}
    with_token = {"matrix": settings.matrix, "alertmanager": settings.alertmanager}
    found |= {f"{name}.token": each.token for name, each in with_token.items() if each is not None}
    if settings.commit_status is not None:
        found["commit_status.token"] = settings.commit_status.token
    return [(name, path) for name, path in found.items() if path is not None]


def _plain(settings: config.GatewayConfig) -> dict[str, Any]:
    plain: dict[str, Any] = json.loads(json.dumps(dataclasses.asdict(settings), default=str))
    return plain


def _flat(prefix: str, value: Any) -> list[tuple[str, Any]]:  # noqa: ANN401 - any JSON value
    if isinstance(value, dict):
        return [pair for name, inner in value.items() for pair in _flat(f"{prefix}.{name}" if prefix else name, inner)]
    if isinstance(value, list):
        return [pair for index, inner in enumerate(value) for pair in _flat(f"{prefix}[{index}]", inner)]
    return [(prefix, value)]
