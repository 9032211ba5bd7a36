# SPDX-License-Identifier: Apache-2.0
"""What a healthy machine adds to a recording: run-in, temperature, mains hum, and knocks from outside."""

from __future__ import annotations

import math

import numpy as np

from bench.bearings.signal import SAMPLES, Floats, tone

RUN_IN_G, RUN_IN_LIFE = 0.05, 0.02
MAINS_G, MAINS_HZ = 0.01, 50
KNOCK_CHANCE, KNOCK_G, KNOCK_DECAY, KNOCK_SAMPLES = 0.01, 0.8, 80, 400
DAY_MINUTES = 1440


def load_factor(minutes: float, random: np.random.Generator) -> float:
    """Return how much stronger the shaft shakes than on average; it follows the temperature of the day."""
    return 1 + 0.15 * math.sin(2 * math.pi * minutes / DAY_MINUTES) + 0.05 * random.standard_normal()


def surroundings(life: float, random: np.random.Generator) -> Floats:
    """Return the vibration that the fault has no part in, in g."""
    added = MAINS_G * tone(MAINS_HZ, random.uniform(0, 2 * math.pi))
    added += RUN_IN_G * math.exp(-life / RUN_IN_LIFE) * random.standard_normal(SAMPLES)
    if random.random() < KNOCK_CHANCE:
        start = random.integers(SAMPLES - KNOCK_SAMPLES)
        added[start : start + KNOCK_SAMPLES] += KNOCK_G * np.exp(-np.arange(KNOCK_SAMPLES) / KNOCK_DECAY)
    return added
