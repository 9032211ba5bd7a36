# SPDX-License-Identifier: Apache-2.0
"""Which node gets a request, and when none does."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.operations.codes import AnswerCode
from reconciler.operations.descriptors import DataDescriptor, digest, mismatch
from reconciler.operations.limits import DATA_BYTES_MAX, PATH_MAX
from reconciler.operations.resolution import (
    Capability,
    Dispatch,
    Forward,
    NodeLoad,
    OperationRequest,
    Refuse,
    Resolution,
    Server,
    cost_s,
    forwarded,
    resolve,
)
from tests.operations.descriptions import DESCRIPTORS, TAKES_WINDOW, capability, request, size_of, window

HERE = Server("north")
FREE = {"north": NodeLoad(waiting_max=4)}


def resolved(asked: OperationRequest, *known: Capability, server: Server = HERE) -> Resolution:
    return resolve(asked, known or (capability(),), FREE, server, 0.0)


def refused(asked: OperationRequest, *known: Capability, server: Server = HERE) -> AnswerCode:
    found = resolved(asked, *known, server=server)
    assert isinstance(found, Refuse)
    return found.code


def test_a_request_that_fits_is_dispatched() -> None:
    assert resolved(request()) == Dispatch(capability())


def test_a_digest_stands_for_the_descriptor_that_was_listed() -> None:
    assert isinstance(resolved(request(descriptor=digest(TAKES_WINDOW))), Dispatch)
    assert refused(request(descriptor=digest(TAKES_WINDOW), size=25)) is AnswerCode.DESCRIPTOR_MISMATCH
    found = resolved(request(descriptor=bytes(8)))
    assert isinstance(found, Refuse)
    assert found.why.startswith("descriptor: expected ")


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        (request(operation="features.fft"), AnswerCode.NO_SUCH_OPERATION),
        (request(size=25), AnswerCode.DESCRIPTOR_MISMATCH),
        (request(expires_s=0.0), AnswerCode.DEADLINE),
        (request(size=DATA_BYTES_MAX + 1), AnswerCode.TOO_LARGE),
        (request(path=("a", "north")), AnswerCode.LOOP),
        (request(path=("a", "b", "c", "d", "e")), AnswerCode.LOOP),
    ],
)
def test_each_refusal(asked: OperationRequest, code: AnswerCode) -> None:
    assert refused(asked) is code


def test_nodes_without_a_load_are_not_reachable_and_full_ones_are_busy() -> None:
    known = (capability("south"),)
    assert refused(request(), *known) is AnswerCode.NO_CAPABLE_NODE
    found = resolve(request(), known, {"south": NodeLoad(waiting=4, waiting_max=4)}, HERE, 0.0)
    assert found == Refuse(AnswerCode.BUSY, "too many requests wait")


def test_a_node_that_would_be_late_is_refused_before_dispatch() -> None:
    loads = {"north": NodeLoad(waiting=3, waiting_max=9, service_s=1.0)}
    assert isinstance(resolve(request(expires_s=4.0), (capability(),), loads, HERE, 0.0), Dispatch)
    found = resolve(request(expires_s=3.9), (capability(),), loads, HERE, 0.0)
    assert isinstance(found, Refuse)
    assert found.code is AnswerCode.DEADLINE


def test_data_that_is_there_costs_nothing() -> None:
    load = NodeLoad(round_trip_s=0.01, waiting=1, waiting_max=9, service_s=0.1, bytes_per_s=100.0)
    assert cost_s(capability(), load, 50) == pytest.approx(0.71)
    assert cost_s(capability(has_data=True), load, 50) == pytest.approx(0.21)


def test_another_node_is_tried_only_if_both_are_idempotent() -> None:
    loads = {name: NodeLoad(waiting_max=1) for name in ("a", "b")}
    twice = (capability("a", idempotent=True), capability("b", idempotent=True))
    assert resolve(request(), twice, loads, HERE, 0.0) == Dispatch(twice[0], (twice[1],))
    assert resolve(request(), (capability("a"), twice[1]), loads, HERE, 0.0) == Dispatch(capability("a"))
    mixed = (twice[0], capability("b"))
    assert resolve(request(), mixed, loads, HERE, 0.0) == Dispatch(twice[0])


def test_what_nobody_here_can_do_is_passed_on() -> None:
    server = Server("north", ("cloud", "south"))
    both = Forward(("cloud", "south"), ("north",))
    assert resolved(request(operation="a.b"), server=server) == both
    assert resolved(request(size=25), server=server) == both
    assert resolved(request(operation="a.b", path=("cloud",)), server=server) == Forward(("south",), ("cloud", "north"))
    assert refused(request(operation="a.b", path=("cloud", "south")), server=server) is AnswerCode.NO_SUCH_OPERATION
    assert refused(request(expires_s=0.0), server=server) is AnswerCode.DEADLINE


NAMES = st.sampled_from("abcdefg")
SERVERS = st.dictionaries(NAMES, st.lists(NAMES, max_size=6, unique=True).map(tuple), min_size=1)


@given(SERVERS, NAMES)
def test_a_request_that_nobody_can_do_ends(servers: dict[str, tuple[str, ...]], first: str) -> None:
    """However servers are configured, it passes each one at most once, and at most four in all."""
    asked, here, hops = request(operation="a.b"), first, 0
    while True:
        found = resolved(asked, server=Server(here, servers.get(here, ())))
        if isinstance(found, Refuse):
            break
        assert isinstance(found, Forward)
        asked, here, hops = forwarded(asked, found), found.servers[0], hops + 1
        assert len(set(asked.path)) == len(asked.path) == hops
    assert hops <= PATH_MAX
    assert found.code is AnswerCode.NO_SUCH_OPERATION


@given(DESCRIPTORS, st.lists(st.tuples(DESCRIPTORS, st.sampled_from("abc")), max_size=6), st.integers(0, 60))
def test_nothing_is_dispatched_that_does_not_fit(
    offered: DataDescriptor, known: list[tuple[DataDescriptor, str]], size: int
) -> None:
    capabilities = [capability(node, inputs=inputs, idempotent=True) for inputs, node in known]
    asked = request(descriptor=offered, size=size)
    found = resolve(asked, capabilities, {name: NodeLoad() for name in "abc"}, HERE, 0.0)
    fits = [each for each in capabilities if mismatch(offered, each.inputs, size) is None]
    assert isinstance(found, Dispatch) == bool(fits)
    if isinstance(found, Dispatch):
        assert all(each in fits for each in (found.capability, *found.others))


LOADS = st.builds(
    NodeLoad,
    round_trip_s=st.floats(0, 1),
    waiting=st.integers(0, 4),
    waiting_max=st.just(4),
    service_s=st.floats(0, 1),
    bytes_per_s=st.sampled_from([0.0, 10.0, 1e6]),
)


@given(st.dictionaries(st.sampled_from("abcd"), LOADS), st.booleans())
def test_the_cheapest_node_with_a_free_place_is_chosen(loads: dict[str, NodeLoad], has_data: bool) -> None:  # noqa: FBT001
    capabilities = [capability(node, has_data=has_data and node == "c") for node in "abcd"]
    found = resolve(request(), capabilities, loads, HERE, 0.0)
    free = [each for each in capabilities if each.node in loads and loads[each.node].waiting < 4]
    assert isinstance(found, Dispatch) == bool(free)
    if isinstance(found, Dispatch):
        costs = {each.node: cost_s(each, loads[each.node], 24) for each in free}
        assert costs[found.capability.node] == min(costs.values())


def test_the_examples_have_the_sizes_that_they_state() -> None:
    assert size_of(DataDescriptor((window(),))) == request().size
