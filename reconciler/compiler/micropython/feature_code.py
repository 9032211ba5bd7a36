# SPDX-License-Identifier: Apache-2.0
"""Generates features.py of a package: integer code for the statistics that one model looks at, and no others."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib.resources import files

from reconciler.compiler.pack.features_section import Feature, FeatureWindow, Statistic

_S = Statistic
_PARTS = ("root", "sums", "deviations", "powers")  # in the order of the template
_NEEDS_POWERS = frozenset({_S.SKEWNESS, _S.KURTOSIS})
_NEEDS_DEVIATIONS = _NEEDS_POWERS | {_S.PEAK, _S.CREST, _S.ZERO_CROSSINGS}
_NEEDS_SUMS = _NEEDS_DEVIATIONS | {_S.MEAN, _S.VARIANCE, _S.STD, _S.RMS}
_NEEDS_ROOT = _NEEDS_POWERS | {_S.STD, _S.RMS, _S.CREST}
_NEEDED_BY = {"root": _NEEDS_ROOT, "sums": _NEEDS_SUMS, "deviations": _NEEDS_DEVIATIONS, "powers": _NEEDS_POWERS}
_EXPRESSIONS = {
    _S.VALUE: "x{c}[-1]",
    _S.MEAN: "mean{c}",
    _S.VARIANCE: "spread{c} >> 8",
    _S.STD: "std{c}",
    _S.RMS: "root(squares{c} * 65536 // len(x{c}))",
    _S.SKEWNESS: "skewness{c}",
    _S.KURTOSIS: "kurtosis{c}",
    _S.PEAK: "peak{c}",
    _S.CREST: "peak{c} * 16384 // std{c} if std{c} else 0",
    _S.ZERO_CROSSINGS: "crossings{c}",
    _S.MIN: "min(x{c})",
    _S.MAX: "max(x{c})",
}


def template(name: str) -> str:
    """Return the text of a file that packages are made from."""
    return (files("reconciler.compiler.micropython") / "template" / name).read_text(encoding="utf-8")


def feature_code(window: FeatureWindow, threshold_bits: int) -> bytes:
    """Return features.py for the features of a window."""
    wanted = {feature.statistic for feature in window.features}
    parts = dict(zip(("head", *_PARTS), re.split(r"# -+ \w+\n", template("features.py")), strict=True))
    kept = [parts["head"], *(parts[name] for name in _PARTS if wanted & _NEEDED_BY[name])]
    return ("".join(kept) + "\n".join(_function(window, threshold_bits)) + "\n").encode()


def _function(window: FeatureWindow, threshold_bits: int) -> Iterator[str]:
    yield 'def features(x: "list[int]") -> "list[int]":'
    yield f'    """Return the features of a window of {window.samples} samples of {window.channels} channels."""'
    for channel in sorted({feature.channel for feature in window.features}):
        wanted = {feature.statistic for feature in window.features if feature.channel == channel}
        yield from _channel(channel, wanted, window.channels)
    yield "    return ["
    for feature in window.features:
        yield f"        {_scaled(feature, (1 << threshold_bits) - 1)},"
    yield "    ]"


def _channel(c: int, wanted: set[Statistic], channels: int) -> Iterator[str]:
    yield f"    x{c} = x" if channels == 1 else f"    x{c} = [x[i] for i in range({c}, len(x), {channels})]"
    if wanted & _NEEDS_SUMS:
        yield f"    mean{c}, spread{c}, squares{c} = sums(x{c})"
    if wanted & {_S.STD, _S.CREST}:
        yield f"    std{c} = root(spread{c} * 256)"
    if wanted & _NEEDS_DEVIATIONS:
        yield f"    peak{c}, crossings{c} = deviations(x{c}, mean{c})"
    if wanted & _NEEDS_POWERS:
        yield f"    skewness{c}, kurtosis{c} = powers(x{c}, mean{c}, peak{c})"


def _scaled(feature: Feature, most: int) -> str:
    raw = _EXPRESSIONS[feature.statistic].format(c=feature.channel)
    return f"scaled({raw}, {feature.offset}, {feature.multiplier}, {feature.shift}, {most})"
