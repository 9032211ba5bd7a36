# SPDX-License-Identifier: Apache-2.0
"""When to ask the remote again. Pure: the clock and the chance are passed in."""

from __future__ import annotations

from dataclasses import dataclass

_DOUBLINGS = 16  # 2**16 intervals are beyond any ceiling; more would overflow a float some day


@dataclass(frozen=True, slots=True)
class PollInterval:
    """How often to poll, how much to spread it, and how far to back off."""

    interval_s: float = 30.0
    jitter: float = 0.2  # of the delay, in both directions: a fleet of gateways must not ask in step
    ceiling_s: float = 900.0


def delay_s(cadence: PollInterval, failures: int, chance: float) -> float:
    """Return how long to wait after `failures` polls without an answer; `chance` is in [0, 1).

    Only a remote that gives no answer is asked less often: a refused commit may be mended by the next push,
    and asking about it costs one question.
    """
    backed_off = cadence.interval_s * 2.0 ** min(failures, _DOUBLINGS)
    # The interval wins over a ceiling below it.
    capped: float = max(cadence.interval_s, min(backed_off, cadence.ceiling_s))
    return capped * (1 + cadence.jitter * (2 * chance - 1))
