# SPDX-License-Identifier: Apache-2.0
"""The clock of a recording: 20,480 samples at 20 kHz."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

RATE_HZ = 20_000
SAMPLES = 20_480
SECONDS = SAMPLES / RATE_HZ

Floats = npt.NDArray[np.float64]

TIMES_S: Floats = np.arange(SAMPLES) / RATE_HZ


def tone(frequency_hz: float, phase: float) -> Floats:
    """Return a sine of amplitude 1; its phase is in radians."""
    return np.asarray(np.sin(2 * np.pi * frequency_hz * TIMES_S + phase), np.float64)
