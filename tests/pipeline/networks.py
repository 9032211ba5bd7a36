# SPDX-License-Identifier: Apache-2.0
"""Small int8 networks to cut, with a branch that crosses cuts."""

from __future__ import annotations

from bench.zoo import Chain


def branched(seed: int = 5, *, side: int = 8, channels: int = 4) -> bytes:
    """A residual CNN: two convolutions, a third around them, their sum, a pool, a dense layer and a softmax."""
    net = Chain(seed)
    first = net.tensor([1, side, side, 3], 0.02, -3)
    x = net.conv(first, channels, (3, 3))
    y = net.conv(net.conv(x, 2 * channels, (3, 3), (2, 2)), 2 * channels, (3, 3), relu=0)
    x = net.add(y, net.conv(x, 2 * channels, (1, 1), (2, 2), relu=0))
    return net.model.finish([first], [net.softmax(net.dense(net.pool(x), 5, relu=0))])


def straight(seed: int = 6, *, inputs: int = 24, layers: int = 6) -> bytes:
    """Dense layers, one after the other."""
    net = Chain(seed)
    first = x = net.tensor([1, inputs], 0.04, 5)
    for _ in range(layers):
        x = net.dense(x, inputs)
    return net.model.finish([first], [x])
