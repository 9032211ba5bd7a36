# SPDX-License-Identifier: Apache-2.0
"""A commit moves a function from one gateway to another; they share nothing but Git, not even a broker."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from demo.world import FLEET, World, document
from reconciler.client import OperationClient
from reconciler.operations.codes import AnswerCode, OperationFailed
from tests.system.node_world import WITHIN_S, NodeWorld, function, gateway
from tests.system.two_gateways import HallWorld

WINDOW = struct.pack("<6h", 3, -4, 0, 3, 4, 7)
RMS = struct.pack("<3i", 3, 4, 4)
RUNS_FUNCTIONS: Mapping[str, Any] = {"functions": {}}
STATUS = "functions/rms.yaml"


@pytest.fixture
def nodes(firmware: None, world: World) -> Iterator[tuple[NodeWorld, NodeWorld]]:  # noqa: ARG001 - must have been built
    world.make_repository()
    north, south = (NodeWorld(HallWorld(world.folder / name, name, world), name) for name in ("north", "south"))
    yield north, south
    for each in (north, south):
        each.world.__exit__(None, None, None)
        each.stop()


def placed(name: str) -> dict[str, bytes]:
    return function("rms", placement={"nodes": {"matchLabels": {"site": name}}})


def answers(client: OperationClient) -> bool:
    """Return whether the operation is here; nothing but its absence is an excuse."""
    try:
        return client.call("features.rms", WINDOW, timeout_s=WITHIN_S) == RMS
    except OperationFailed as failure:
        if failure.code is not AnswerCode.NO_SUCH_OPERATION:
            raise
        return False


def test_a_commit_moves_a_function_and_only_one_gateway_ends_up_with_it(
    world: World, nodes: tuple[NodeWorld, NodeWorld]
) -> None:
    north, south = nodes
    gateways = {f"gateways/{name}.yaml": gateway(RUNS_FUNCTIONS, name) for name in ("north", "south")}
    world.commit("Begin", {"fleet.yaml": document("Fleet", FLEET, {}), **gateways, **placed("north")})
    for each in nodes:
        each.site.start_gateway()
    north.wait_for_reason(STATUS, "Ready", "Ready")
    south.wait_for_reason("gateway.yaml", "NodeServing", "NodeServing")
    assert not south.world.status_file(STATUS)
    with north.client() as in_north, south.client() as in_south:
        assert answers(in_north)
        assert not answers(in_south)

        world.commit("Move it", placed("south"))
        world.wait_for("the function in the south", lambda: answers(in_south), within_s=WITHIN_S)
        world.wait_for("its end in the north", lambda: not answers(in_north), within_s=WITHIN_S)
        south.wait_for_reason(STATUS, "Ready", "Ready")
        world.wait_for("no status in the north", lambda: not north.world.status_file(STATUS), within_s=WITHIN_S)

        world.commit("Move it back", placed("north"))
        world.wait_for("the function in the north", lambda: answers(in_north), within_s=WITHIN_S)
        world.wait_for("its end in the south", lambda: not answers(in_south), within_s=WITHIN_S)
