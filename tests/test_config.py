# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any, get_type_hints

import pytest

from reconciler import config
from reconciler.validation.problems import KEY
from reconciler.validation.toml_locations import TomlLocations

MINIMAL = """
name = "press-hall"
[repository]
url = "ssh://git@forge.example/fleet.git"
[keys]
gateway = "/var/lib/tinyfleet/keys"
status = "status_ed25519"
"""
AUTOMATION = '[automation]\nallowed_signers = "automation"\n'


def written(folder: Path, text: str) -> Path:
    path = folder / "gateway.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_defaults_fill_a_minimal_file(tmp_path: Path) -> None:
    read = config.read(written(tmp_path, MINIMAL))
    assert read.repository.interval_s == 60.0
    assert read.signers.policy == "every"
    assert read.keys.status == tmp_path / "status_ed25519"
    assert read.keys.gateway == Path("/var/lib/tinyfleet/keys")


def test_paths_are_resolved_against_the_folder_of_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written(tmp_path, MINIMAL + '[signers]\nallowed_signers = "allowed_signers"\n')
    monkeypatch.chdir(tmp_path)
    read = config.read(Path("gateway.toml"))
    assert read.signers.allowed_signers == tmp_path / "allowed_signers"
    assert read.keys.status == tmp_path / "status_ed25519"


def test_durations_and_sections_are_typed(tmp_path: Path) -> None:
    text = (
        MINIMAL.replace("[keys]", 'interval = "15m"\ntimeout = "500ms"\n[keys]')
        + '\n[[serial]]\nname = "line"\nport = "/dev/ttyUSB0"\nrs485 = true\n'
        + '[mqtt]\nhost = "127.0.0.1"\nca = "ca.pem"\n'
    )
    read = config.read(written(tmp_path, text))
    assert (read.repository.interval_s, read.repository.timeout_s) == (900.0, 0.5)
    assert read.serial == (config.SerialConfig("line", "/dev/ttyUSB0", rs485=True),)
    assert read.mqtt is not None
    assert (read.mqtt.port, read.mqtt.ca) == (8883, tmp_path / "ca.pem")


def test_automation_is_off_by_default_and_its_paths_are_resolved(tmp_path: Path) -> None:
    assert config.read(written(tmp_path, MINIMAL)).automation is None
    only_signers = config.AutomationConfig(tmp_path / "automation")
    assert config.read(written(tmp_path, MINIMAL + AUTOMATION)).automation == only_signers
    more = 'key = "automation_key"\ndirect = true\npush_options = ["merge_request.create"]\nref = "refs/for/main"\n'
    assert config.read(written(tmp_path, MINIMAL + AUTOMATION + more)).automation == config.AutomationConfig(
        tmp_path / "automation",
        tmp_path / "automation_key",
        direct=True,
        push_options=("merge_request.create",),
        ref="refs/for/main",
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("name = ", ":1:8: invalid TOML: Invalid value\n    1 | name =\n      |        ^"),
        ('name = "x"\n[keys\n', ":2:6: invalid TOML: Expected ']' at the end of a table declaration\n    2 | [keys\n"),
        (MINIMAL + "[mqqt]\n", ":8:2: unknown field `mqqt`; expected one of"),
        (MINIMAL + "[mqqt]\n", "[mqqt] (did you mean `mqtt`?)\n    8 | [mqqt]\n      |  ^"),
        (
            MINIMAL.replace("press-hall", "Press Hall"),
            ' at both ends [name] (did you mean `press-hall`?)\n    2 | name = "Press Hall"\n      |        ^',
        ),
        (
            MINIMAL.replace("press-hall", "Press Hall"),
            ":2:8: `Press Hall` is not allowed; expected up to 63 lower-case letters, digits and hyphens, with a",
        ),
        (MINIMAL + '[status]\ninterval = "soon"\n', ":9:12: `soon` is not allowed; expected an integer and its unit"),
        (MINIMAL + '[status]\ninterval = "soon"\n', "[status.interval]\n"),
        (
            MINIMAL + '[signers]\npolicy = "some"\n',
            ":9:10: `some` is not allowed; expected one of `every`, `head`, `off` [signers.policy]",
        ),
        (MINIMAL + "[http]\nlisten = 1\n", ":9:10: expected a string, found the number 1 [http.listen]"),
        (
            MINIMAL + '[[serial]]\nname = "a"\nport = "/dev/a"\n[[serial]]\nname = "b"\n',
            ":11:3: missing required field",
        ),
        ("", ":1:1: missing required field `name`"),
        (MINIMAL + '[automation]\nkey = "k"\n', ":8:2: missing required field `allowed_signers` [automation]"),
        (MINIMAL + AUTOMATION + 'ref = "refs/heads/main"\n', "`refs/heads/main` is not allowed; expected "),
        (MINIMAL + AUTOMATION + 'push_options = ["a\\nb"]\n', " is not allowed; expected "),
    ],
)
def test_errors_show_the_line_and_what_it_would_have_to_be(tmp_path: Path, text: str, expected: str) -> None:
    with pytest.raises(config.ConfigInvalid, match=r"gateway\.toml") as caught:
        config.read(written(tmp_path, text))
    assert expected in str(caught.value)


def test_a_setting_in_an_inline_table_or_on_several_lines_is_found() -> None:
    text = 'a = """\nb = 1\n"""\nc = {b = 2, "d" = [\n  1,\n  2]}\n[e.f]\nb = 3\n'
    locations = TomlLocations(text)
    assert locations.of(("c", "b")) == (4, 10)
    assert locations.of(("c", "d", KEY)) == (4, 13)
    assert locations.of(("e", "f", "b")) == (8, 5)
    assert locations.of(("e", "f", KEY)) == (7, 4)
    assert locations.of(("nowhere",)) == (0, 0)


def test_all_errors_are_reported_together(tmp_path: Path) -> None:
    with pytest.raises(config.ConfigInvalid) as caught:
        config.read(written(tmp_path, MINIMAL + "[mqtt]\n[http]\nlisten = 1\n"))
    problems = str(caught.value).splitlines()[::3]  # each is followed by its line and a caret
    assert len(problems) == 2
    assert "missing required field `host` [mqtt]" in problems[0]
    assert "[http.listen]" in problems[1]


def test_a_missing_file_is_reported_with_its_path(tmp_path: Path) -> None:
    with pytest.raises(config.ConfigInvalid, match="cannot read"):
        config.read(tmp_path / "gateway.toml")


def fields_of(section: dict[str, Any]) -> set[str]:
    return {
        name + ("_s" if node.get("$ref") == "#/$defs/duration" else "") for name, node in section["properties"].items()
    }


def test_schema_and_types_have_the_same_settings() -> None:
    contract = config.schema()
    sections = {
        "": config.GatewayConfig,
        "repository": config.RepositoryConfig,
        "signers": config.SignersConfig,
        "peers": config.PeersConfig,
        "automation": config.AutomationConfig,
        "keys": config.KeysConfig,
        "mqtt": config.MqttConfig,
        "status": config.StatusConfig,
        "http": config.HttpConfig,
        "build": config.BuildConfig,
        "webhook": config.WebhookConfig,
    }
    for name, kind in sections.items():
        node = contract if name == "" else contract["properties"][name]
        assert fields_of(node) == {field.name for field in dataclasses.fields(kind)}, name
        assert get_type_hints(kind)
        for field in dataclasses.fields(kind):
            plain = field.name.removesuffix("_s")
            documented = node["properties"].get(field.name, node["properties"].get(plain, {})).get("default")
            if documented is None or field.default is dataclasses.MISSING:
                continue
            default = config._seconds(documented) if field.name != plain else documented
            default = tuple(default) if isinstance(default, list) else default
            assert default == (str(field.default) if isinstance(field.default, Path) else field.default), field.name
    assert fields_of(contract["properties"]["serial"]["items"]) == {
        f.name for f in dataclasses.fields(config.SerialConfig)
    }


def test_every_property_is_described() -> None:
    def bare(node: dict[str, Any], place: str) -> list[str]:
        found = []
        for name, child in node.get("properties", {}).items():
            if "description" not in child and "$ref" not in child:
                found.append(f"{place}.{name}")
            found += bare(child, f"{place}.{name}") + bare(child.get("items", {}), f"{place}.{name}[]")
        return found

    assert bare(config.schema(), "") == []
