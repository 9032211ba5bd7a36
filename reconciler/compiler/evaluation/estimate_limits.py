# SPDX-License-Identifier: Apache-2.0
"""What turns instructions into time, and how far off estimates may be. Without NumPy, because the daemon needs it."""

from __future__ import annotations

from typing import Final

CYCLES_PER_INSTRUCTION: Final = 1.5  # on small cores: loads, flash wait states and taken branches
ESTIMATE_OFF_PERCENT: Final = 15  # at most, on networks that the fit has not seen (tests/firmware/test_estimate.py)
