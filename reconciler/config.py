# SPDX-License-Identifier: Apache-2.0
"""Reads `gateway.toml`, the gateway's own configuration and its root of trust.

The file is validated against `schemas/gateway-config.json`. Relative paths are resolved against its folder.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any, ClassVar

import jsonschema

from reconciler.errors import Invalid
from reconciler.validation.excerpt import excerpt
from reconciler.validation.inlined_schema import inlined
from reconciler.validation.problems import Rule, located
from reconciler.validation.schema_errors import DocumentProblem, explain
from reconciler.validation.toml_locations import TomlLocations, syntax_error

_UNIT_S = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


class ConfigInvalid(Invalid):
    """`gateway.toml` is missing, unreadable or invalid."""

    reason: ClassVar[str] = "ConfigInvalid"


@dataclass(frozen=True, slots=True)
class RepositoryConfig:
    """The fleet repository and how to reach it."""

    url: str
    branch: str = "main"
    path: str = ""
    interval_s: float = 60.0
    timeout_s: float = 60.0
    ssh_key: Path | None = None
    known_hosts: Path | None = None
    credential_helper: str | None = None
    ca: Path | None = None


@dataclass(frozen=True, slots=True)
class SignersConfig:
    """Who may sign commits, and the files of models."""

    policy: str = "every"
    allowed_signers: Path | None = None
    revoked_signers: Path | None = None
    gpg_keys: Path | None = None
    anchor: str | None = None
    models: Path | None = None  # the public keys that sign the files of models; None: they need no signature


@dataclass(frozen=True, slots=True)
class PeersConfig:
    """The gateways whose status reports are trusted."""

    allowed_signers: Path
    revoked_signers: Path | None = None


@dataclass(frozen=True, slots=True)
class AutomationConfig:
    """The commits that gateways make on their own: who signs them, and how this gateway proposes."""

    allowed_signers: Path
    key: Path | None = None  # None: this gateway proposes nothing
    direct: bool = False
    push_options: tuple[str, ...] = ()
    ref: str | None = None  # None: proposals are branches


@dataclass(frozen=True, slots=True)
class KeysConfig:
    """The keys that sign envelopes and status commits."""

    gateway: Path
    status: Path | None = None


@dataclass(frozen=True, slots=True)
class MqttConfig:
    """The MQTT broker."""

    host: str
    port: int = 8883
    ca: Path | None = None
    certificate: Path | None = None
    key: Path | None = None
    crl: Path | None = None  # of the broker, watched only
    transfers: int = 1000
    bytes_per_second: int | None = None


@dataclass(frozen=True, slots=True)
class UplinkConfig:
    """The broker of another gateway, which does what this one can't."""

    gateway: str
    host: str
    ca: Path
    certificate: Path
    key: Path
    port: int = 8883


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
    """How the status branch is written."""

    interval_s: float = 10.0
    history: int = 1000
    page: bool = False


@dataclass(frozen=True, slots=True)
class HttpConfig:
    """The HTTP listener for metrics, health and the fleet page."""

    listen: str = "127.0.0.1:9155"
    server_name: str = ""


@dataclass(frozen=True, slots=True)
class BuildConfig:
    """Where and how models are built."""

    store: str | None = None
    timeout_s: float = 900.0
    memory_mib: int = 4096


@dataclass(frozen=True, slots=True)
class ClusterConfig:
    """The Dask cluster on which trainings with `where: cluster` run their trials."""

    scheduler: str
    ca: Path | None = None
    certificate: Path | None = None
    key: Path | None = None
    timeout_s: float = 30.0


@dataclass(frozen=True, slots=True)
class WebhookConfig:
    """The webhook that receives events when a rollout stops, completes or is stuck."""

    url: str
    secret: Path
    stuck_after_s: float = 3600.0
    timeout_s: float = 10.0


CHATS = ("slack", "teams", "mattermost")  # sections of the same form


@dataclass(frozen=True, slots=True)
class ChatConfig:
    """An incoming webhook of a chat that receives the same events in the chat's own form."""

    url_file: Path
    timeout_s: float = 10.0


@dataclass(frozen=True, slots=True)
class MatrixConfig:
    """The Matrix room that receives the same events."""

    url: str
    room: str
    token: Path
    timeout_s: float = 10.0


@dataclass(frozen=True, slots=True)
class AlertmanagerConfig:
    """The Alertmanager that receives the same events as alerts."""

    url: str
    token: Path | None = None
    timeout_s: float = 10.0


@dataclass(frozen=True, slots=True)
class CommitStatusConfig:
    """The forge that shows the outcome of a commit next to it."""

    forge: str
    url: str
    repository: str
    token: Path
    timeout_s: float = 10.0


@dataclass(frozen=True, slots=True)
class TracingConfig:
    """The collector that changes are sent to as OpenTelemetry traces."""

    url: str
    timeout_s: float = 10.0


@dataclass(frozen=True, slots=True)
class GatewayConfig:
    """The whole of `gateway.toml`."""

    name: str
    repository: RepositoryConfig
    keys: KeysConfig
    state_dir: Path = Path("/var/lib/tinyfleet")
    signers: SignersConfig = SignersConfig()
    peers: PeersConfig | None = None  # None: rollouts do not span gateways
    automation: AutomationConfig | None = None  # None: every commit that counts is signed by a person
    mqtt: MqttConfig | None = None
    uplink: tuple[UplinkConfig, ...] = ()
    serial: tuple[SerialConfig, ...] = ()
    status: StatusConfig = StatusConfig()
    http: HttpConfig = HttpConfig()
    build: BuildConfig = field(default_factory=BuildConfig)
    cluster: ClusterConfig | None = None  # None: all trials run on this machine
    webhook: WebhookConfig | None = None
    slack: ChatConfig | None = None
    teams: ChatConfig | None = None
    mattermost: ChatConfig | None = None
    matrix: MatrixConfig | None = None
    alertmanager: AlertmanagerConfig | None = None
    commit_status: CommitStatusConfig | None = None
    tracing: TracingConfig | None = None

    @property
    def chats(self) -> Mapping[str, ChatConfig]:
        """The chats that are set up, by the names of their sections."""
        found = {name: getattr(self, name) for name in CHATS}
        return {name: chat for name, chat in found.items() if chat is not None}


def schema() -> dict[str, Any]:
    """Return the JSON Schema of `gateway.toml`, from the installed package or the source tree."""
    packaged = files("reconciler") / "schemas" / "gateway-config.json"
    source = Path(__file__).parents[1] / "schemas" / "gateway-config.json"
    text = packaged.read_text(encoding="utf-8") if packaged.is_file() else source.read_text(encoding="utf-8")
    loaded: dict[str, Any] = json.loads(text)
    return loaded


def read(path: Path) -> GatewayConfig:
    """Read and validate a configuration file. All errors are reported together, each with its line."""
    text = _text(path)
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        line, column, message = syntax_error(error, text)
        shown = [located((str(path), line, column), f"invalid TOML: {message}"), *excerpt(text, line, column)]
        raise ConfigInvalid("\n".join(shown)) from error
    contract = schema()
    errors = jsonschema.Draft202012Validator(inlined(contract)).iter_errors(document)
    problems = [problem for error in errors for problem in explain(error)]
    if problems:
        raise ConfigInvalid("\n".join(_reported(path, text, problems)))
    # Absolute, because git, ssh-keygen and builds run in other folders.
    settings = _typed(_converted(document, contract, path.absolute().parent))
    problems = list(_uplink_problems(settings))
    if problems:
        raise ConfigInvalid("\n".join(_reported(path, text, problems)))
    return settings


def _uplink_problems(settings: GatewayConfig) -> Iterator[DocumentProblem]:
    seen = {settings.name}
    for place, each in enumerate(settings.uplink):
        at = ("uplink", place, "gateway")
        if each.gateway in seen:
            what = "is this gateway" if each.gateway == settings.name else "has an uplink already"
            yield DocumentProblem(at, at, Rule.WRONG_VALUE, f"{each.gateway} {what}")
        seen.add(each.gateway)


def missing_files(path: Path, missing: Iterable[tuple[str, Path]]) -> ConfigInvalid:
    """Return the error for files that settings name and that do not exist."""
    problems = []
    for setting, file in missing:
        at = tuple(int(part) if part.isdecimal() else part for part in setting.split("."))
        problems.append(DocumentProblem(at, at, Rule.MISSING_FILE, f"{file} does not exist"))
    return ConfigInvalid("\n".join(_reported(path, _text(path), problems)))


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigInvalid(f"{path}: cannot read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigInvalid(f"{path}: invalid UTF-8: {error.reason}; save the file as UTF-8") from error


def _reported(path: Path, text: str, problems: Iterable[DocumentProblem]) -> Iterator[str]:
    """Write each problem, its line and a caret, in the order of the file."""
    locations = TomlLocations(text)
    placed = [(locations.of(each.pointer), each) for each in problems]
    for (line, column), each in sorted(placed, key=lambda pair: (pair[0], pair[1].message)):
        setting = ".".join(map(str, each.at))
        yield located((str(path), line, column), each.message, setting, each.hint)
        yield from excerpt(text, line, column)


def _typed(values: dict[str, Any]) -> GatewayConfig:
    """Create the dataclasses. The schema has checked names and types."""
    sections: dict[str, Callable[..., Any]] = {
        "repository": RepositoryConfig,
        "signers": SignersConfig,
        "peers": PeersConfig,
        "automation": AutomationConfig,
        "keys": KeysConfig,
        "mqtt": MqttConfig,
        "status": StatusConfig,
        "http": HttpConfig,
        "build": BuildConfig,
        "cluster": ClusterConfig,
        "webhook": WebhookConfig,
        **dict.fromkeys(CHATS, ChatConfig),
        "matrix": MatrixConfig,
        "alertmanager": AlertmanagerConfig,
        "commit_status": CommitStatusConfig,
        "tracing": TracingConfig,
    }
    typed = {name: sections[name](**value) if name in sections else value for name, value in values.items()}
    for name, section in (("serial", SerialConfig), ("uplink", UplinkConfig)):
        if name in typed:
            typed[name] = tuple(section(**each) for each in typed[name])
    return GatewayConfig(**typed)


def _converted(value: Any, node: dict[str, Any], base: Path) -> Any:  # noqa: ANN401 - TOML is untyped
    """Convert durations to seconds, with `_s` added to their names, and paths to absolute ones."""
    if isinstance(value, dict):
        converted = {}
        for name, member in value.items():
            child = node["properties"][name]
            suffix = "_s" if child.get("$ref") == "#/$defs/duration" else ""
            converted[name + suffix] = _converted(member, child, base)
        return converted
    if isinstance(value, list):
        return tuple(_converted(member, node["items"], base) for member in value)
    match node.get("$ref"):
        case "#/$defs/duration":
            return _seconds(value)
        case "#/$defs/path":
            return base / value
        case _:
            return value


def _seconds(text: str) -> float:
    """Parse a duration such as `90s`. The pattern of the schema has checked its form."""
    number = text.rstrip("msdh")
    return int(number) * _UNIT_S[text[len(number) :]]
