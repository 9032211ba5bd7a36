# SPDX-License-Identifier: Apache-2.0
"""`tinyfleet node`, `function` and `storage`: what a commit says, what gateways report, and what is stored."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from reconciler.bus.local_storage import STORAGE_FILE, ItemStore
from reconciler.cli import cli
from reconciler.model import LocalStorage
from reconciler.report.function_status import function_file, function_status
from tests.bus.node_site import BUCKET
from tests.cli.gateway_folder import GatewayFolder, gateway_folder
from tests.load.test_functions import MODULE, NODE, SPEC
from tests.report.test_function_status import NOON, REPORT
from tests.review.changes import fleet_files, fleet_history

BUILTINS = "  builtins: [{number: 1, operation: sense.level, outputs: [{name: level, dtype: uint8, shape: [1]}]}]\n"


def run(*words: str | Path) -> tuple[int, str, str]:
    done = CliRunner().invoke(cli, [str(word) for word in words])
    return done.exit_code, done.stdout, done.stderr


def refused(*words: str | Path) -> str:
    done = CliRunner().invoke(cli, [str(word) for word in words])
    assert done.exit_code == 1
    return str(done.exception)


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """Make a repository whose gateway holds a function and a bucket."""
    history = fleet_history(tmp_path)
    files = dict(fleet_files())
    head = "apiVersion: tinyfleet/v1alpha1\nkind: {}\nmetadata: {{name: {}}}\n"
    gateways = [path for path, text in files.items() if "kind: Gateway" in text]
    (path,) = gateways
    files[path] = files[path].rstrip("\n") + "\n" + NODE
    files["functions/rms.wat"] = MODULE.decode()
    files["functions/rms.yaml"] = head.format("Function", "rms") + SPEC
    files["type.yaml"] += BUILTINS
    (history.path / "functions").mkdir()
    history.commit(files)
    return history.path


@pytest.fixture
def gateway(tmp_path: Path) -> GatewayFolder:
    made = gateway_folder(tmp_path)
    made.publish()
    state = made.state()
    state.save_status_files({"functions/rms.yaml": function_file(function_status(REPORT, NOON, None))}, set())
    state.close()
    return made


def test_nodes_are_what_a_commit_says(clone: Path) -> None:
    code, out, err = run("node", "list", clone, "--output", "json")
    assert code == 0, err
    (node,) = json.loads(out)
    assert node["functions"] == [{"function": "rms", "version": "1.0.0", "operation": "features.rms"}]
    assert node["buckets"][0]["item"] == "int16 [any, 3]"
    assert node["builtins"][0] == {"operation": "sense.level.pump-00", "device": "pump-00", "type": "board"}
    assert len(node["builtins"]) == 12
    shown = run("node", "show", node["node"], clone)[1]
    assert "features.rms" in shown
    assert [line.split()[:3] for line in shown.splitlines() if "sense" in line] == [["sense.level.…", "board", "12"]]
    assert "vibration" in run("node", "list", clone)[1]
    wrong = node["node"][:-1]
    assert f"did you mean `{node['node']}`?" in refused("node", "show", wrong, clone)


def test_functions_are_what_gateways_report(gateway: GatewayFolder) -> None:
    config = ("--config", gateway.folder / "gateway.toml")
    (only,) = json.loads(run("function", "list", *config, "--output", "json")[1])
    assert (only["function"], only["operation"], only["calls"]) == ("rms", "features.rms", 0)
    assert "Compiled" in run("function", "show", "rms", *config)[1]
    assert "did you mean `rms`?" in refused("function", "show", "rmss", *config)


def test_items_are_listed_and_copied(gateway: GatewayFolder, tmp_path: Path) -> None:
    config = ("--config", gateway.folder / "gateway.toml")
    assert "does not exist" in refused("storage", "list", *config)
    store = ItemStore(gateway.folder / "state" / STORAGE_FILE)
    store.configure(LocalStorage((BUCKET,)))
    number = store.put(BUCKET.name, bytes(6), "tool", b"12345678", NOON.now.timestamp())
    store.close()
    (bucket,) = json.loads(run("storage", "list", *config, "--output", "json")[1])
    assert (bucket["bucket"], bucket["items"], bucket["bytes"]) == (BUCKET.name, 1, 6)
    (item,) = json.loads(run("storage", "list", BUCKET.name, *config, "--output", "json")[1])
    assert item == {"number": number, "at": "2026-05-01T12:00:00.000+00:00", "bytes": 6}
    code, out, _ = run("storage", "get", BUCKET.name, str(number), "-o", tmp_path / "item", *config)
    assert (code, "wrote 6 bytes" in out) == (0, True)
    assert (tmp_path / "item").read_bytes() == bytes(6)
    assert "has no item 9" in refused("storage", "get", BUCKET.name, "9", "-o", tmp_path / "item", *config)
    assert "did you mean `vibration`?" in refused("storage", "list", "vibratio", *config)


def test_a_thing_description_has_what_the_standard_demands(clone: Path) -> None:
    """The names and values are those of the JSON Schema of W3C WoT Thing Description 1.1."""
    (node,) = json.loads(run("node", "list", clone, "--output", "json")[1])
    code, out, err = run("node", "show", node["node"], clone, "--wot", "broker.example")
    assert code == 0, err
    thing = json.loads(out)
    assert {"@context", "title", "security", "securityDefinitions"} <= thing.keys()
    assert thing["@context"][0] == "https://www.w3.org/2022/wot/td/v1.1"
    assert set(thing["security"]) <= thing["securityDefinitions"].keys()
    assert {each["scheme"] for each in thing["securityDefinitions"].values()} == {"auto"}
    offered = {f"data.{verb}.vibration" for verb in ("put", "get", "list", "delete", "stat")}
    of_devices = {f"sense.level.pump-{number:02}" for number in range(12)}
    assert thing["actions"].keys() == {"node.inspect", "features.rms", *offered, *of_devices}
    for action in thing["actions"].values():
        (form,) = action["forms"]
        assert form["href"].startswith("mqtts://broker.example:8883/")
        assert (form["op"], form["contentType"]) == ("invokeaction", "application/cbor")
        assert {type(action[each]) for each in ("safe", "idempotent", "synchronous")} == {bool}
    item = thing["actions"]["data.get.vibration"]["output"]["properties"]["item"]
    assert (item["type"], item["items"]["minItems"], item["items"]["items"]["minimum"]) == ("array", 3, -32768)
    assert "input" not in thing["actions"]["data.stat.vibration"]
    assert run("node", "show", node["node"], clone, "--wot", "broker.example:mqtt")[0] == 2
