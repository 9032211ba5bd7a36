# SPDX-License-Identifier: Apache-2.0
"""Whether a pipeline is as fast as its document wants."""

from __future__ import annotations

from reconciler.model import PipelineTarget


def missed(target: PipelineTarget | None, latency_ms: float, period_ms: float) -> tuple[str, ...]:
    """Describe each bound of a target that times exceed."""
    if target is None:
        return ()
    bounds = (("latency", target.latency_ms, latency_ms), ("period", target.period_ms, period_ms))
    return tuple(
        f"the {name} is above {bound:,} ms" for name, bound, took in bounds if bound is not None and took > bound
    )
