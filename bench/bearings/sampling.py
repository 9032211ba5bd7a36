# SPDX-License-Identifier: Apache-2.0
"""From a recording at 20 kHz to the sensor's int16 samples at 500 Hz, through a rectangular low-pass."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from bench.bearings.signal import RATE_HZ, SAMPLES, Floats

SENSOR_HZ = 500
COUNTS_PER_G = 4096
WINDOW = 250
WINDOWS_PER_FILE = SAMPLES * SENSOR_HZ // RATE_HZ // WINDOW

Int16s = npt.NDArray[np.int16]


def low_passed(vibration: Floats) -> Floats:
    """Return the samples at `SENSOR_HZ` of what is below half that rate."""
    spectrum = np.fft.rfft(vibration)
    spectrum[SENSOR_HZ * SAMPLES // (2 * RATE_HZ) + 1 :] = 0
    return np.asarray(np.fft.irfft(spectrum, SAMPLES)[:: RATE_HZ // SENSOR_HZ], np.float64)


def windows(vibration: Floats) -> Int16s:
    """Return the complete windows of one recording, as the sensor counts."""
    counts = np.clip(np.rint(low_passed(vibration) * COUNTS_PER_G), -32768, 32767).astype(np.int16)
    return counts[: WINDOWS_PER_FILE * WINDOW].reshape(WINDOWS_PER_FILE, WINDOW)
