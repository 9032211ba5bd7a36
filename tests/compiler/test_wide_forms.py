# SPDX-License-Identifier: Apache-2.0
"""The wide forms of layers: the order of their weights, when a builder chooses them, and what a checker refuses."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from bench.zoo import Chain
from reconciler.compiler.errors import PackMalformed
from reconciler.compiler.pack.checker import check_pack
from reconciler.compiler.pack.operators import (
    FullyConnected,
    Operator,
    WideConv2D,
    WideDepthwiseConv2D,
    is_wide,
)
from reconciler.compiler.pack.pack_format import SectionId, assemble, disassemble
from reconciler.compiler.pack.plan_section import decode_plan, decode_tensors, encode_plan
from reconciler.compiler.pack.wide_forms import (
    interleave_pairs,
    interleave_quads,
    scratch_bytes,
    separate_pairs,
    separate_quads,
)
from reconciler.compiler.tflite.network_pack import DeviceLimits, build_network
from tests.compiler.make_vectors import good_packs

PACKS = good_packs()


@pytest.mark.parametrize("shape", [(1, 4, 3, 3, 8), (1, 5, 1, 1, 3), (3, 3, 2, 5, 2), (2, 1, 1, 4, 1)])
def test_interleaved_filters_can_be_separated(shape: tuple[int, int, int, int, int]) -> None:
    weights = np.arange(np.prod(shape)).reshape(shape)
    assert (separate_pairs(interleave_pairs(weights), shape) == weights).all()


@pytest.mark.parametrize(("channels", "depth"), [(1, 4), (5, 24), (8, 8)])
def test_interleaved_dense_weights_can_be_separated(channels: int, depth: int) -> None:
    weights = np.arange(channels * depth).reshape(channels, depth)
    assert (separate_quads(interleave_quads(weights), channels, depth) == weights).all()


def test_the_order_of_two_filters_and_of_four_channels() -> None:
    filters = np.arange(10).reshape(1, 2, 1, 1, 5)
    assert interleave_pairs(filters).tolist() == [0, 1, 2, 3, 5, 6, 7, 8, 4, 0, 0, 0, 9, 0, 0, 0]
    assert interleave_quads(np.arange(8).reshape(2, 4)).tolist() == [*range(8), *[0] * 8]


def network() -> bytes:
    net = Chain(4)
    first = net.tensor([1, 12, 12, 8], 0.05, 3)
    x = net.conv(first, 8, (3, 3))
    x = net.depthwise(x)
    return net.model.finish([first], [net.dense(net.pool(net.conv(x, 16, (1, 1))), 4)])


def plan_of(data: bytes) -> list[Operator]:
    return decode_plan(disassemble(data).section(SectionId.PLAN))


def test_the_lowest_format_that_suffices_is_written() -> None:
    wide, plain = build_network(network()), build_network(network(), limits=DeviceLimits(1))
    assert (disassemble(wide.data).version, disassemble(plain.data).version) == (2, 1)
    assert sum(is_wide(op) for op in plan_of(wide.data)) == 4
    assert not any(is_wide(op) for op in plan_of(plain.data))
    assert disassemble(PACKS["mean"]).version == 1


def test_an_arena_grows_by_no_more_than_the_scratch_of_one_layer() -> None:
    wide, plain = build_network(network()), build_network(network(), limits=DeviceLimits(1))
    tensors = decode_tensors(disassemble(wide.data).section(SectionId.TENSORS))
    scratch = [
        scratch_bytes(op, tensors[op.input].dims[3], tensors[op.output].dims)
        for op in plan_of(wide.data)
        if isinstance(op, (WideConv2D, WideDepthwiseConv2D))
    ]
    assert plain.placement.layout.size < wide.placement.layout.size <= plain.placement.layout.size + max(scratch)


def test_layers_stay_plain_where_the_arena_has_no_room_for_scratch() -> None:
    roomy, plain = build_network(network()), build_network(network(), limits=DeviceLimits(1))
    room = plain.placement.layout.size
    tight = build_network(network(), limits=DeviceLimits(arena_bytes=room))
    assert tight.placement.layout.size <= room < roomy.placement.layout.size
    kinds = [is_wide(op) for op in plan_of(tight.data)]
    assert any(kinds)
    assert not all(is_wide(op) for op in plan_of(tight.data) if not isinstance(op, FullyConnected))


def changed(name: str, **fields: int) -> bytes:
    pack = disassemble(PACKS[name])
    plan = encode_plan([replace(op, **fields) for op in decode_plan(pack.section(SectionId.PLAN))])
    return assemble(replace(pack, version=2, sections={**pack.sections, SectionId.PLAN: plan}))


@pytest.mark.parametrize(
    ("name", "fields", "message"),
    [
        ("conv same", {"scratch": 2}, "scratch is outside"),
        ("conv same", {"scratch": 1 << 31}, "scratch is outside"),
        ("depthwise same", {"band": 0}, "no band"),
        ("depthwise same", {"dilation_w": 2}, "window|no band"),
        ("dense wide", {"flags": 4}, "unknown flag"),
        ("dense per channel", {"flags": 3}, "whole quads"),
    ],
)
def test_a_wide_layer_that_breaks_a_rule_is_refused(name: str, fields: dict[str, int], message: str) -> None:
    with pytest.raises(PackMalformed, match=message):
        check_pack(changed(name, **fields))


@pytest.mark.parametrize("name", ["conv same", "depthwise same"])
@pytest.mark.parametrize("end", ["input", "output"])
def test_scratch_on_top_of_the_input_or_the_output_is_refused(name: str, end: str) -> None:
    pack = disassemble(PACKS[name])
    (layer,) = decode_plan(pack.section(SectionId.PLAN))
    tensor = decode_tensors(pack.section(SectionId.TENSORS))[getattr(layer, end)]
    roomy = replace(disassemble(changed(name, scratch=tensor.offset)), arena_bytes=2 * pack.arena_bytes)
    with pytest.raises(PackMalformed, match="scratch overlaps"):
        check_pack(assemble(roomy))


def test_a_wide_layer_in_format_1_is_refused() -> None:
    for name in ("conv same", "depthwise same", "dense wide"):
        with pytest.raises(PackMalformed, match="needs pack format 2"):
            check_pack(assemble(replace(disassemble(PACKS[name]), version=1)))


def test_a_shift_that_is_too_large_for_the_wide_form_is_refused() -> None:
    pack = disassemble(PACKS["conv same"])
    (layer,) = decode_plan(pack.section(SectionId.PLAN))
    assert isinstance(layer, WideConv2D)
    for shift in (0, -21):
        weights = bytearray(pack.section(SectionId.WEIGHTS))
        weights[layer.shifts] = shift % 256
        with pytest.raises(PackMalformed, match="does not suit the wide form"):
            check_pack(assemble(replace(pack, sections={**pack.sections, SectionId.WEIGHTS: bytes(weights)})))
