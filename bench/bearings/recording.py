# SPDX-License-Identifier: Apache-2.0
"""One generated recording of one of the four bearings. Equal arguments give equal samples."""

from __future__ import annotations

import math

import numpy as np

from bench.bearings.fault import Fault, FaultyPart, fault_vibration
from bench.bearings.geometry import SHAFT_HZ
from bench.bearings.signal import SAMPLES, Floats, tone
from bench.bearings.surroundings import load_factor, surroundings

BEARINGS = 4
SHAFT_G, NOISE_G = 0.03, 0.06
SPEED_SPREAD = 0.002
# As in the run to failure that this imitates: bearing 3 ends with a fault of its inner race, bearing 4 of its rollers.
FAULTS = {2: Fault(FaultyPart.INNER_RACE, onset=0.80), 3: Fault(FaultyPart.ROLLING_ELEMENT, onset=0.72)}


def record(bearing: int, number: int, minutes: float, life: float, seed: int = 0) -> Floats:
    """Return the acceleration in g that file `number` holds for a bearing, counted from 0."""
    random = np.random.default_rng((bearing, number, seed))
    vibration = load_factor(minutes, random) * _shaft(bearing, random)
    vibration += NOISE_G * random.standard_normal(SAMPLES)
    vibration += surroundings(life, random)
    if bearing in FAULTS:
        vibration += fault_vibration(FAULTS[bearing], life, random)
    return vibration


def _shaft(bearing: int, random: np.random.Generator) -> Floats:
    """Return the shaft's imbalance and its harmonics, which each bearing gets with another phase."""
    speed_hz = SHAFT_HZ * (1 + SPEED_SPREAD * random.standard_normal())
    phase = random.uniform(0, 2 * math.pi)
    return SHAFT_G * (
        tone(speed_hz, phase) + 0.4 * tone(2 * speed_hz, 2 * phase + bearing) + 0.2 * tone(3 * speed_hz, 3 * phase)
    )
