# SPDX-License-Identifier: Apache-2.0
"""The documents about configuration and conditions agree with the code."""

from __future__ import annotations

import ast
import re
import tomllib
from pathlib import Path

import pytest

from reconciler import config
from reconciler.engine.observed import trust
from reconciler.git import errors
from reconciler.model import BlockedReason, HoldReason
from tests.daemon.configuration_tables import BLOCK, PAGE, sections, with_tables

ROOT = Path(__file__).parents[2]
CONDITIONS = (ROOT / "docs" / "conditions.md").read_text(encoding="utf-8")
REPORT = ROOT / "reconciler" / "report"


def test_the_tables_are_those_of_the_schema() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert page == with_tables(page), "run `make config-docs`"
    assert [block[2] for block in BLOCK.finditer(page)] == list(sections())


def test_the_example_is_valid_and_shows_every_link(tmp_path: Path) -> None:
    text = PAGE.read_text(encoding="utf-8").partition("```toml\n")[2].partition("```")[0]
    path = tmp_path / "gateway.toml"
    path.write_text(text, encoding="utf-8")
    settings = config.read(path)
    assert settings.mqtt is not None
    assert settings.serial[0].rs485
    assert settings.keys.gateway == tmp_path / "gateway"


def test_defaults_of_the_schema_are_those_of_the_values(tmp_path: Path) -> None:
    """Defaults are stated twice: the page is generated from the schema, and the daemon uses the types."""
    path = tmp_path / "gateway.toml"
    needed = {"repository": 'url = "/fleet"', "keys": 'gateway = "g"', "mqtt": 'host = "h"'}
    needed["webhook"] = 'url = "https://h"\nsecret = "s"'
    needed |= dict.fromkeys(("slack", "teams", "mattermost"), 'url_file = "u"')
    needed["matrix"] = 'url = "https://h"\nroom = "!r:h"\ntoken = "t"'
    needed["alertmanager"] = 'url = "https://h"'
    needed["commit_status"] = 'forge = "gitea"\nurl = "https://h"\nrepository = "a/b"\ntoken = "t"'
    needed["tracing"] = 'url = "http://h:4318"'
    needed["cluster"] = 'scheduler = "tcp://h:8786"'
    needed["automation"] = 'allowed_signers = "a"'
    path.write_text('name = "a"\n' + "".join(f"[{name}]\n{text}\n" for name, text in needed.items()))
    bare = config.read(path)
    whole = tomllib.loads(path.read_text())
    for section, node in config.schema()["properties"].items():
        inner = node.get("properties", {})
        defaults = {name: each["default"] for name, each in inner.items() if "default" in each}
        if defaults and node["type"] == "object":
            whole.setdefault(section, {}).update(defaults)
    text = "".join(f"{key} = {_toml(value)}\n" for key, value in whole.items() if not isinstance(value, dict))
    for section, values in whole.items():
        if isinstance(values, dict):
            text += f"[{section}]\n" + "".join(f"{key} = {_toml(value)}\n" for key, value in values.items())
    path.write_text(text)
    assert config.read(path) == bare


def _toml(value: object) -> str:
    return f'"{value}"' if isinstance(value, str) else str(value).lower()


def rows(heading: str) -> dict[str, set[str]]:
    """Return the documented reasons of each type from a section of the page."""
    section = CONDITIONS.partition(f"## {heading}")[2].partition("\n## ")[0]
    found: dict[str, set[str]] = {}
    for line in section.splitlines():
        cells = [cell.strip() for cell in line.split("|")]
        if line.startswith("| ") and cells[1] not in {"type", "---"}:
            found.setdefault(cells[1], set()).update(re.findall(r"`([A-Z]\w+)`", cells[3]))
    return found


def written(module: str, kind: str) -> set[str]:
    """Return the literal reasons that a module gives to conditions of a type."""
    calls = [
        node
        for node in ast.walk(ast.parse((REPORT / module).read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id.endswith("condition")
    ]
    of_kind = [call for call in calls if isinstance(call.args[0], ast.Constant) and call.args[0].value == kind]
    return {
        each.value
        for call in of_kind
        for each in ast.walk(call.args[2])
        if isinstance(each, ast.Constant) and isinstance(each.value, str) and each.value.isalpha()
    }


def test_every_reason_of_a_device_is_documented() -> None:
    explained = set().union(*rows("Devices").values())
    held = {f"Held{reason.value}" for reason in HoldReason}
    assert {reason.value for reason in BlockedReason} <= explained
    assert held <= explained
    assert {trust.NOT_AUTHENTIC, trust.SEQUENCE_WENT_BACK} <= explained


@pytest.mark.parametrize("kind", ["Known", "Trusted", "Reporting", "Fits", "UpToDate"])
def test_literal_reasons_of_devices_are_documented(kind: str) -> None:
    literal = written("device_status.py", kind)
    assert literal
    assert literal - {"Held"} <= rows("Devices")[kind]  # `Held` is put before a reason to hold


@pytest.mark.parametrize(
    ("module", "kind"),
    [
        ("gateway_status.py", "Valid"),
        ("gateway_status.py", "LinksUp"),
        ("gateway_status.py", "NoUnknownDevices"),
        ("expiry.py", "CertificatesValid"),
    ],
)
def test_literal_reasons_of_gateways_are_documented(module: str, kind: str) -> None:
    literal = written(module, kind)
    assert literal
    assert literal <= rows("Gateways")[kind]


def test_every_documented_reason_exists() -> None:
    code = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "reconciler").rglob("*.py"))
    for reason in set().union(*rows("Devices").values(), *rows("Gateways").values()):
        assert reason.removeprefix("Held") in code, reason


def test_reasons_of_the_source_are_documented_in_git_md() -> None:
    assert "git.md" in CONDITIONS
    assert errors.HistoryRewritten.reason in (ROOT / "docs" / "git.md").read_text(encoding="utf-8")
