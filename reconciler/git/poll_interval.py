# SPDX-License-Identifier: Apache-2.0
"""Computes when to poll the remote again. Pure: randomness is passed in."""

from __future__ import annotations

from dataclasses import dataclass

_DOUBLINGS = 16  # 2**16 intervals exceed any maximum; without this limit the power would overflow a float


@dataclass(frozen=True, slots=True)
class PollInterval:
    """How often to poll, how much jitter to add, and how far to back off."""

    interval_s: float = 30.0
    jitter: float = 0.2  # share of the delay, in both directions, so that gateways do not poll at the same time
    max_s: float = 900.0


def delay_s(interval: PollInterval, failures: int, chance: float) -> float:
    """Return the delay after `failures` polls in a row without an answer; `chance` is in [0, 1).

    Only an unreachable remote is polled less often. The next push may fix a refused commit, and polling
    costs one round trip.
    """
    backed_off = interval.interval_s * 2.0 ** min(failures, _DOUBLINGS)
    # The interval takes precedence over a smaller maximum.
    capped: float = max(interval.interval_s, min(backed_off, interval.max_s))
    return capped * (1 + interval.jitter * (2 * chance - 1))
