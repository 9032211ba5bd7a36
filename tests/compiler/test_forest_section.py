# SPDX-License-Identifier: Apache-2.0
"""The section FOREST: decoding is the inverse of encoding, and takes one pass over the bits."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.compiler.errors import PackMalformed
from reconciler.compiler.pack.bitstream import BitReader
from reconciler.compiler.pack.forest_head import ForestMode
from reconciler.compiler.pack.forest_section import decode_forest, encode_forest, node_count
from reconciler.compiler.reference.forest import sums
from tests.compiler.random_forests import random_forest


@settings(max_examples=150, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    mode=st.sampled_from(list(ForestMode)),
    features=st.integers(1, 32),
    bits=st.integers(4, 16),
    jump_bits=st.sampled_from([0, 14]),
)
def test_a_forest_is_decoded_as_encoded(seed: int, mode: ForestMode, features: int, bits: int, jump_bits: int) -> None:
    forest = random_forest(np.random.default_rng(seed), mode, features, bits=bits, jump_bits=jump_bits)
    encoded = encode_forest(forest)
    decoded = decode_forest(encoded, features)
    assert decoded.trees == forest.trees
    assert (decoded.table == forest.table).all()
    assert encode_forest(decoded) == encoded


@settings(max_examples=150, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), jump_bits=st.sampled_from([0, 14]), data=st.data())
def test_a_flipped_bit_gives_a_valid_forest_or_a_refusal(seed: int, jump_bits: int, data: st.DataObject) -> None:
    forest = random_forest(np.random.default_rng(seed), ForestMode.ISOLATION, 5, bits=8, jump_bits=jump_bits)
    encoded = bytearray(encode_forest(forest))
    at = data.draw(st.integers(0, 8 * len(encoded) - 1))
    encoded[at // 8] ^= 1 << at % 8
    try:
        damaged = decode_forest(bytes(encoded), 5)
    except PackMalformed:
        return
    assert all(node_count(tree) >= 1 for tree in damaged.trees)
    assert len(sums(damaged, [0] * 5)) == 1


def one_pass_sum(section: bytes, features: int, y: Sequence[int]) -> int:
    """Walk the stream as a device does: forward only, with a count of the nodes still to skip."""
    forest = decode_forest(section, features)
    start = 20 + 2 * len(forest.table) + (-2 * len(forest.table) % 4)
    flag, lb = section[1], section[3]
    stream = BitReader(section[start:])

    def leaf() -> int:
        return stream.get(lb) if not flag or stream.get(1) else 0

    def skip(count: int) -> None:
        while count:
            if stream.get(1):
                stream.get((features - 1).bit_length() + forest.threshold_bits)
                count += 1
            else:
                leaf()
                count -= 1

    total = 0
    for _ in forest.trees:
        depth = left_over = 0
        while stream.get(1):
            feature, threshold = stream.get((features - 1).bit_length()), stream.get(forest.threshold_bits)
            if y[feature] <= threshold:
                left_over += 1
            else:
                skip(1)
            depth += 1
        total += int(forest.table[leaf(), 0]) + depth * forest.depth_unit
        skip(left_over)
    return total


@settings(max_examples=100, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_one_pass_over_the_stream_finds_the_leaves(seed: int) -> None:
    rng = np.random.default_rng(seed)
    forest = random_forest(rng, ForestMode.ISOLATION, 4, bits=6)
    y = [int(v) for v in rng.integers(0, 64, 4)]
    assert one_pass_sum(encode_forest(forest), 4, y) == sums(forest, y)[0]
