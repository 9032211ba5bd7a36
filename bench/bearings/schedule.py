# SPDX-License-Identifier: Apache-2.0
"""When the files of a run to failure were recorded: 43 every five minutes, the rest every ten, with two standstills."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

FILES = 2156
_EARLY_FILES, _EARLY_MINUTES, _MINUTES = 43, 5, 10
_STANDSTILLS = ((700, 1440), (1500, 2880))  # after this file, minutes

Floats = npt.NDArray[np.float64]


def recorded_minutes() -> Floats:
    """Return the minutes from the start of the run to each file."""
    number = np.arange(FILES)
    minutes: Floats = (
        np.minimum(number, _EARLY_FILES) * _EARLY_MINUTES + np.maximum(number - _EARLY_FILES, 0) * _MINUTES
    )
    for after, length in _STANDSTILLS:
        minutes = minutes + np.where(number > after, length, 0)
    return np.asarray(minutes, np.float64)


def life(minutes: Floats) -> Floats:
    """Return the part of its life that the machine had behind it at each file."""
    return np.asarray(minutes / minutes[-1], np.float64)
