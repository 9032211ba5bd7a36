# SPDX-License-Identifier: Apache-2.0
"""Which of several gateways gets a call of a function, and which may be asked after it."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.model import Near
from reconciler.operations.codes import AnswerCode
from reconciler.operations.resolution import (
    Capability,
    Dispatch,
    Forward,
    NodeLoad,
    Refuse,
    Resolution,
    Server,
    cost_s,
    ranked,
    resolve,
)
from tests.operations.descriptions import capability, request

NAMES = ("edge", "a", "b", "c")
EDGE = Server("edge", ("a", "b", "c"))
LOADS = st.dictionaries(
    st.sampled_from(NAMES),
    st.builds(
        NodeLoad,
        round_trip_s=st.floats(0, 0.2),
        waiting=st.integers(0, 3),
        waiting_max=st.just(3),
        service_s=st.floats(0, 0.2),
    ),
)


def offers(node: str, **other: object) -> Capability:
    return capability(node, **{"provider": "rms 1.0.0", **other})


CAPABLE = st.lists(
    st.builds(offers, st.sampled_from(NAMES), idempotent=st.booleans(), has_data=st.booleans()),
    max_size=4,
    unique_by=lambda each: each.node,
)


def at_edge(known: list[Capability], loads: dict[str, NodeLoad]) -> Resolution:
    return resolve(request(), known, loads, EDGE, 0.0)


@given(CAPABLE, LOADS, st.sampled_from(Near))
def test_the_first_is_the_best_in_the_wanted_order(
    known: list[Capability], loads: dict[str, NodeLoad], near: Near
) -> None:
    capable = [replace(each, near=near) for each in known if each.node in loads]
    order = ranked(capable, loads, 24)
    assert sorted(each.node for each in order) == sorted(each.node for each in capable)
    for before, after in itertools.pairwise(order):
        one, other = loads[before.node], loads[after.node]
        if near is Near.CALLER:
            assert one.round_trip_s <= other.round_trip_s
        elif near is Near.LEAST_LOADED:
            assert cost_s(before, one, 24) <= cost_s(after, other, 24)
        else:
            assert before.has_data >= after.has_data


@given(CAPABLE, LOADS, st.sampled_from(Near), st.randoms(use_true_random=False))
def test_everyone_ranks_alike(known: list[Capability], loads: dict[str, NodeLoad], near: Near, shuffle: object) -> None:
    capable = [replace(each, near=near) for each in known if each.node in loads]
    expected = ranked(capable, loads, 24)
    shuffle.shuffle(capable)  # type: ignore[attr-defined]
    assert ranked(capable, loads, 24) == expected


@given(CAPABLE, LOADS, st.sampled_from(Near))
def test_who_is_asked(known: list[Capability], loads: dict[str, NodeLoad], near: Near) -> None:
    """Each server at most once; a silent one after all others; silence moves only what is idempotent."""
    listed = [replace(each, near=near) for each in known]
    found = at_edge(listed, loads)
    if not isinstance(found, Forward):
        return
    assert len(set(found.servers)) == len(found.servers)
    able = {each.node: each for each in listed}
    asked = [able[name] for name in found.servers if name in able]
    assert found.idempotent == (bool(asked) and all(each.idempotent for each in able.values() if each in asked))
    silent = [name in able and name not in loads for name in found.servers]
    assert silent == sorted(silent)
    if not silent[0]:
        assert found.servers[0] in loads or found.servers[0] not in able


@given(CAPABLE, LOADS)
def test_a_function_that_is_near_to_the_caller_stays_if_it_can(
    known: list[Capability], loads: dict[str, NodeLoad]
) -> None:
    here = offers("edge")
    away = [each for each in known if each.node != "edge"]
    found = at_edge([here, *away], {**loads, "edge": NodeLoad(waiting_max=1)})
    assert isinstance(found, Dispatch)
    assert found.capability == here


FREE, FULL, FAR = NodeLoad(waiting_max=3), NodeLoad(waiting=3, waiting_max=3), NodeLoad(0.08, waiting_max=3)
SLOW = NodeLoad(waiting=1, waiting_max=3, service_s=0.1)


def near(kind: Near, **has: bool) -> list[Capability]:
    return [offers(name, near=kind, has_data=has.get(name, False), idempotent=True) for name in ("edge", "a")]


@pytest.mark.parametrize(
    ("known", "loads", "servers"),
    [
        (near(Near.LEAST_LOADED), {"edge": SLOW, "a": FAR}, ("a", "edge")),
        (near(Near.LEAST_LOADED), {"edge": FREE, "a": FAR}, None),
        (near(Near.CALLER), {"edge": SLOW, "a": FAR}, None),
        (near(Near.DATA, a=True), {"edge": FREE, "a": FAR}, ("a", "edge")),
        (near(Near.DATA, edge=True), {"edge": SLOW, "a": FREE}, None),
        (near(Near.CALLER), {"edge": FULL, "a": FAR}, ("a",)),  # busy here
    ],
)
def test_where_a_call_goes(
    known: list[Capability], loads: dict[str, NodeLoad], servers: tuple[str, ...] | None
) -> None:
    found = at_edge(known, loads)
    if servers is None:
        assert isinstance(found, Dispatch)
    else:
        assert found == Forward(servers, ("edge",), movable=True, idempotent=True)


def test_busy_everywhere_is_busy() -> None:
    found = at_edge(near(Near.CALLER), {"edge": FULL, "a": FULL})
    assert isinstance(found, Refuse)
    assert found.code is AnswerCode.BUSY


def test_a_silent_gateway_is_asked_last_and_not_replaced_in_the_middle_of_a_call_that_is_not_idempotent() -> None:
    known = [offers("a"), offers("b")]
    assert at_edge(known, {"b": FAR}) == Forward(("b", "c", "a"), ("edge",), movable=True)
    both = [replace(each, idempotent=True) for each in known]
    assert at_edge(both, {"b": FAR}) == Forward(("b", "c", "a"), ("edge",), movable=True, idempotent=True)


def test_what_a_gateway_has_built_in_is_never_asked_of_another_one() -> None:
    """The item of another bucket would be another item, also while the gateway is silent."""
    known = [capability(name, idempotent=True) for name in ("a", "b")]
    assert at_edge(known, {"b": FREE}) == Forward(("a",), ("edge",))
    assert isinstance(at_edge([capability("edge"), *known], {"edge": FREE, "a": FREE}), Dispatch)


def test_a_request_that_was_passed_on_is_done_where_it_arrives() -> None:
    found = resolve(request(path=("x",)), near(Near.LEAST_LOADED), {"edge": SLOW, "a": FREE}, EDGE, 0.0)
    assert isinstance(found, Dispatch)
