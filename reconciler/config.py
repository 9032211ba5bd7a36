# SPDX-License-Identifier: Apache-2.0
"""The gateway's own configuration, `gateway.toml`: where trust comes from.

Checked against `schemas/gateway-config.json`; relative paths are taken from the file's folder.
"""

from __future__ import annotations

import json
import tomllib
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any, ClassVar

import jsonschema

from reconciler.errors import Invalid

_UNIT_S = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


class ConfigInvalid(Invalid):
    """`gateway.toml` is missing, unreadable or has mistakes."""

    reason: ClassVar[str] = "ConfigInvalid"


@dataclass(frozen=True, slots=True)
class RepositoryConfig:
    """The fleet repository and how to reach it."""

    url: str
    branch: str = "main"
    path: str = ""
    poll_s: float = 60.0
    timeout_s: float = 60.0
    ssh_key: Path | None = None
    known_hosts: Path | None = None
    credential_helper: str | None = None
    ca: Path | None = None


@dataclass(frozen=True, slots=True)
class SignersConfig:
    """Who may sign commits."""

    policy: str = "every"
    allowed_signers: Path | None = None
    revoked_signers: Path | None = None
    gpg_keys: Path | None = None
    anchor: str | None = None


@dataclass(frozen=True, slots=True)
class PeersConfig:
    """Whose word on their devices counts."""

    allowed_signers: Path
    revoked_signers: Path | None = None


@dataclass(frozen=True, slots=True)
class KeysConfig:
    """What envelopes and status commits are signed with."""

    gateway: Path
    status: Path | None = None


@dataclass(frozen=True, slots=True)
class MqttConfig:
    """The broker."""

    host: str
    port: int = 8883
    ca: Path | None = None
    certificate: Path | None = None
    key: Path | None = None
    transfers: int = 1000
    bytes_per_second: int | None = None


@dataclass(frozen=True, slots=True)
class SerialConfig:
    """One serial line."""

    name: str
    port: str
    rs485: bool = False
    transfers: int = 2
    bytes_per_second: int | None = None


@dataclass(frozen=True, slots=True)
class StatusConfig:
    """The status ref's policy."""

    interval_s: float = 10.0
    history: int = 1000
    page: bool = False


@dataclass(frozen=True, slots=True)
class HttpConfig:
    """Metrics, health and the page."""

    listen: str = "127.0.0.1:9155"
    name: str = ""


@dataclass(frozen=True, slots=True)
class BuildConfig:
    """Where and how models are built."""

    store: str | None = None
    timeout_s: float = 900.0
    memory_mib: int = 4096


@dataclass(frozen=True, slots=True)
class WebhookConfig:
    """Who is told when a rollout stops, is complete or is stuck."""

    url: str
    secret: Path
    stuck_after_s: float = 3600.0
    timeout_s: float = 10.0


@dataclass(frozen=True, slots=True)
class GatewayConfig:
    """All of `gateway.toml`."""

    name: str
    repository: RepositoryConfig
    keys: KeysConfig
    state_dir: Path = Path("/var/lib/tinyfleet")
    signers: SignersConfig = SignersConfig()
    peers: PeersConfig | None = None  # None: rollouts do not span gateways
    mqtt: MqttConfig | None = None
    serial: tuple[SerialConfig, ...] = ()
    status: StatusConfig = StatusConfig()
    http: HttpConfig = HttpConfig()
    build: BuildConfig = field(default_factory=BuildConfig)
    notify: WebhookConfig | None = None


def schema() -> dict[str, Any]:
    """Return the JSON Schema of `gateway.toml`, from the wheel or from the source tree."""
    packaged = files("reconciler") / "schemas" / "gateway-config.json"
    source = Path(__file__).parents[1] / "schemas" / "gateway-config.json"
    text = packaged.read_text(encoding="utf-8") if packaged.is_file() else source.read_text(encoding="utf-8")
    loaded: dict[str, Any] = json.loads(text)
    return loaded


def read(path: Path) -> GatewayConfig:
    """Read, check and type a configuration file; every mistake is told at once."""
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigInvalid(f"{path}: can't be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigInvalid(f"{path}: not TOML: {error}") from error
    contract = schema()
    mistakes = sorted(
        jsonschema.Draft202012Validator(contract).iter_errors(document),
        key=lambda mistake: list(map(str, mistake.path)),
    )
    if mistakes:
        lines = [f"{path}: {'.'.join(map(str, m.absolute_path)) or 'top level'}: {m.message}" for m in mistakes]
        raise ConfigInvalid("\n".join(lines))
    # Absolute: git, ssh-keygen and builds run in folders of their own.
    return _typed(_converted(document, contract, path.absolute().parent))


def _typed(values: dict[str, Any]) -> GatewayConfig:
    """Build the values; the schema has made sure of names and types."""
    sections = {
        "repository": RepositoryConfig,
        "signers": SignersConfig,
        "peers": PeersConfig,
        "keys": KeysConfig,
        "mqtt": MqttConfig,
        "status": StatusConfig,
        "http": HttpConfig,
        "build": BuildConfig,
        "notify": WebhookConfig,
    }
    typed = {name: sections[name](**value) if name in sections else value for name, value in values.items()}
    if "serial" in typed:
        typed["serial"] = tuple(SerialConfig(**line) for line in typed["serial"])
    return GatewayConfig(**typed)


def _converted(value: Any, node: dict[str, Any], base: Path) -> Any:  # noqa: ANN401 - TOML is untyped
    """Turn durations into seconds (their names gain `_s`) and paths into absolute ones."""
    if isinstance(value, dict):
        converted = {}
        for name, member in value.items():
            child = node["properties"][name]
            suffix = "_s" if child.get("$ref") == "#/$defs/duration" else ""
            converted[name + suffix] = _converted(member, child, base)
        return converted
    if isinstance(value, list):
        return [_converted(member, node["items"], base) for member in value]
    match node.get("$ref"):
        case "#/$defs/duration":
            return _seconds(value)
        case "#/$defs/path":
            return base / value
        case _:
            return value


def _seconds(text: str) -> float:
    """`90s` is 90.0; the schema's pattern has made sure of the form."""
    number = text.rstrip("msdh")
    return int(number) * _UNIT_S[text[len(number) :]]
