# SPDX-License-Identifier: Apache-2.0
"""The section FEATURES (docs/specs/pack.md section 7.1): the statistics of a window that the trees look at.

It needs no NumPy, which the daemon does without.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

from reconciler.compiler.errors import PackMalformed

_FEATURES = struct.Struct("<HBB")
_FEATURE = struct.Struct("<BBBBii")


class Statistic(IntEnum):
    """A statistic of one channel of a window."""

    VALUE = 0
    MEAN = 1
    VARIANCE = 2
    STD = 3
    RMS = 4
    SKEWNESS = 5
    KURTOSIS = 6
    PEAK = 7
    CREST = 8
    ZERO_CROSSINGS = 9
    MIN = 10
    MAX = 11


@dataclass(frozen=True, slots=True)
class Feature:
    """One input of the trees: a statistic, and how it is scaled to the range of the thresholds."""

    statistic: Statistic
    channel: int
    shift: int
    offset: int
    multiplier: int


@dataclass(frozen=True, slots=True)
class FeatureWindow:
    """The samples that one decision is based on, and their features."""

    samples: int
    channels: int
    features: tuple[Feature, ...]


def encode_features(window: FeatureWindow) -> bytes:
    """Write the section FEATURES."""
    head = _FEATURES.pack(window.samples, window.channels, len(window.features))
    return head + b"".join(
        _FEATURE.pack(f.statistic, f.channel, f.shift, 0, f.offset, f.multiplier) for f in window.features
    )


def decode_features(data: bytes) -> FeatureWindow:
    """Read the section FEATURES (rule 19)."""
    if len(data) < _FEATURES.size:
        raise PackMalformed("FEATURES is truncated")
    samples, channels, count = _FEATURES.unpack_from(data)
    if not (1 <= samples <= 4096 and 1 <= channels <= 16 and 1 <= count <= 32):  # noqa: PLR2004 - section 7.1
        raise PackMalformed("FEATURES has a count out of range")
    if len(data) != _FEATURES.size + count * _FEATURE.size:
        raise PackMalformed("FEATURES does not have the length that its count requires")
    return FeatureWindow(samples, channels, _feature_records(data[_FEATURES.size :], channels))


def _feature_records(data: bytes, channels: int) -> tuple[Feature, ...]:
    found: Sequence[Feature] = []
    for statistic, channel, shift, zero, offset, multiplier in _FEATURE.iter_unpack(data):
        if statistic not in tuple(Statistic) or channel >= channels or shift > 62 or zero or multiplier < 0:  # noqa: PLR2004
            raise PackMalformed("FEATURES has a record out of range")
        found = [*found, Feature(Statistic(statistic), channel, shift, offset, multiplier)]
    return tuple(found)
