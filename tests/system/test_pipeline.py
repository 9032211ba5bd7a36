# SPDX-License-Identifier: Apache-2.0
"""From a merged commit to a model on two devices that answers, and to the next version without a gap."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from demo.gateway_configuration import Broker as BrokerLink
from demo.site import SerialLine, Site
from demo.world import GATEWAY, TINYFLEET, NotObservedError, World, document
from reconciler.compiler.tflite.oracle import Oracle
from reconciler.operations.codes import AnswerCode, OperationFailed
from tests.firmware.broker import Authority, Broker
from tests.pipeline.networks import branched
from tests.system.node_world import NodeWorld

DEVICES = ("cam-1", "cam-2", "cam-3")
OPERATORS = frozenset({
    "THRESHOLD", "STAGE", "CONV_2D", "ADD", "AVERAGE_POOL_2D", "FULLY_CONNECTED", "SOFTMAX", "MEAN",
})  # fmt: skip
MODEL = branched()
OTHER = branched(9)
WITHIN_S = 90
FAST_BAUD = 115200


@pytest.fixture(params=["broker", "line"])
def site(request: pytest.FixtureRequest, firmware: None, world: World) -> Iterator[Site]:  # noqa: ARG001 - must be built
    if request.param == "line":
        made = Site(world, DEVICES, SerialLine(FAST_BAUD), operators=OPERATORS)
        made.set_up()
        yield made
        return
    authority = Authority(world.folder / "pki")
    for name in (GATEWAY, *DEVICES):
        authority.issue(name)
    broker = Broker(world.folder, authority)
    made = Site(world, DEVICES, BrokerLink(broker.port, authority.folder), operators=OPERATORS)
    made.set_up()
    yield made
    broker.stop()


def network(version: str, data: bytes) -> dict[str, bytes]:
    path = f"models/net-{version}.tflite"
    spec = {"version": version, "source": {"path": path, "sha256": hashlib.sha256(data).hexdigest()}}
    return {path: data, f"models/net-{version}.yaml": document("Model", "net", spec)}


def pipeline(version: str, **more: Any) -> dict[str, bytes]:  # noqa: ANN401 - fields of the document
    stages = [{"end": 3, "devices": ["cam-1"]}, {"devices": ["cam-2"]}]
    spec = {"model": {"name": "net", "version": version}, "stages": stages, "priority": 5, **more}
    return {"pipeline.yaml": document("Pipeline", "line", spec)}


def begin(site: Site, **more: Any) -> None:  # noqa: ANN401 - as above
    site.start_devices()
    site.world.commit("Begin", {**site.first_files(), **network("1.0.0", MODEL), **pipeline("1.0.0", **more)})
    site.start_gateway()
    holds(site, "1.0.0")


def holds(site: Site, version: str) -> None:
    """Wait until the status branch shows the stages of a version."""
    wanted = {f"cam-{number}": f"line-stage-{number}@{version}" for number in (1, 2)}

    def all_hold() -> bool:
        return all(is_ready(site, device, model) for device, model in wanted.items())

    site.world.wait_for(version, all_hold, within_s=WITHIN_S)


def is_ready(site: Site, device: str, model: str) -> bool:
    status = site.world.device_status(device)
    return status.get("model") == model and status["conditions"][0]["status"] == "True"


def run(site: Site, seed: int) -> tuple[bytes, list[str], bytes]:
    """Run one input by the command; return the outputs, who ran the stages, and the input."""
    folder = site.world.folder
    given = np.random.default_rng(seed).bytes(8 * 8 * 3)
    (folder / "input.bin").write_bytes(given)
    command = (TINYFLEET, "pipeline", "run", "line", "--input", folder / "input.bin", "--output", "json")
    result = json.loads(site.world.run(*command, "--config", folder / "gateway.toml"))
    return bytes.fromhex(result["outputs"]), result["ran"], given


def oracle(model: bytes, given: bytes) -> bytes:
    return Oracle(model).run([np.frombuffer(given, np.int8)])[0].astype(np.int8).tobytes()


def test_a_merged_pipeline_answers_like_the_model_in_one_piece(site: Site) -> None:
    begin(site, recovery=[])
    for seed in range(5):
        outputs, ran, given = run(site, seed)
        assert outputs == oracle(MODEL, given)
        assert ran == ["cam-1", "cam-2"]
    assert is_ready(site, "cam-3", "vibration@1.0.0")  # it has nothing to do with the pipeline
    listed = site.world.run(TINYFLEET, "pipeline", "list", "--config", site.world.folder / "gateway.toml")
    assert "net@1.0.0" in listed
    assert "cam-2 5" in listed


def test_a_new_version_is_answered_for_while_devices_take_it(site: Site) -> None:
    """The gateway runs the new stages as soon as they are built; no answer ever mixes two versions."""
    begin(site)
    site.world.commit("2.0.0", {**network("2.0.0", OTHER), **pipeline("2.0.0")})
    seen = set()
    for seed in range(60):
        outputs, ran, given = run(site, seed)
        version = {oracle(MODEL, given): "1.0.0", oracle(OTHER, given): "2.0.0"}[outputs]
        seen.add((version, tuple(ran)))
        if (version, ran) == ("2.0.0", ["cam-1", "cam-2"]):
            break
    assert ("2.0.0", ("cam-1", "cam-2")) in seen
    holds(site, "2.0.0")


def run_if_it_can(site: Site, seed: int) -> tuple[bytes, list[str], bytes] | None:
    """Run one input; None: the pipeline stopped."""
    try:
        return run(site, seed)
    except NotObservedError as refused:
        assert "PipelineStopped" in str(refused)  # noqa: PT017 - what else the command may say is a failure
        return None


@pytest.mark.parametrize("site", ["broker"], indirect=True)
def test_the_devices_that_are_left_take_over_the_stage_of_a_lost_one(site: Site) -> None:
    """Nothing but devices may answer: the stage in the middle is lost, merged into its neighbours, and comes back."""
    site.start_devices()
    stages = [{"devices": [name]} for name in DEVICES]
    files = {**site.first_files(), **network("1.0.0", MODEL)}
    files |= pipeline("1.0.0", stages=stages, recovery=["merge"], healAfter="1s")
    site.world.commit("Begin", files)
    site.start_gateway()

    def ran_on(*names: str) -> bool:
        found = run_if_it_can(site, 1)
        if found is None:
            return False
        outputs, ran, given = found
        assert outputs == oracle(MODEL, given)
        return ran == list(names)

    def ready() -> bool:
        return all(is_ready(site, name, f"line-stage-{n}@1.0.0") for n, name in enumerate(DEVICES, start=1))

    site.world.wait_for("three stages", ready, within_s=WITHIN_S)
    site.world.wait_for("all three devices", lambda: ran_on(*DEVICES), within_s=WITHIN_S)
    site.tell_devices("fault cam-2 drop=1")
    site.world.wait_for("the two that are left", lambda: ran_on("cam-1", "cam-3"), within_s=WITHIN_S)
    shown = site.world.run(TINYFLEET, "pipeline", "show", "line", "--config", site.world.folder / "gateway.toml")
    assert "Merged" in shown
    site.tell_devices("fault cam-2 none")
    site.tell_devices("restart cam-2")  # it has power again, and reports
    site.world.wait_for("the lost one", lambda: ran_on(*DEVICES), within_s=WITHIN_S)


def test_a_client_runs_a_pipeline_over_the_broker(firmware: None, world: World) -> None:  # noqa: ARG001 - must be built
    """A client without access to the gateway gets what the command prints there."""
    node = NodeWorld(world, devices=DEVICES, operators=OPERATORS)
    node.site.start_devices()
    served = {"gateway.yaml": document("Gateway", GATEWAY, {"selector": {}, "node": {"functions": {}}})}
    node.begin(network("1.0.0", MODEL), pipeline("1.0.0", recovery=[]), served)
    holds(node.site, "1.0.0")
    given = np.random.default_rng(3).bytes(8 * 8 * 3)
    with node.client() as client:
        listed = {each.operation: each.provider for each in client.operations()}
        assert listed["line.infer"] == "pipeline line"
        answer = client.call("line.infer", given, timeout_s=WITHIN_S)
        assert (answer[0], answer[1:]) == (1, oracle(MODEL, given))
        with pytest.raises(OperationFailed) as short:
            client.call("line.infer", given[1:], timeout_s=WITHIN_S)
        assert short.value.code is AnswerCode.DESCRIPTOR_MISMATCH
    world.__exit__(None, None, None)
    node.stop()
