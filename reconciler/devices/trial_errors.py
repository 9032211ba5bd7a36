# SPDX-License-Identifier: Apache-2.0
"""Why devices leave a trial, in words. The numbers are those of firmware/include/tinyfleet/error.h."""

from __future__ import annotations

from collections.abc import Mapping

WORDS: Mapping[int, str] = {
    -24: "the pack is not the one that was signed",
    -83: "the pack is malformed",
    -84: "it has no engine for this kind of pack",
    -85: "it lacks an operator",
    -86: "it needs a larger arena",
    -87: "another output than its golden vectors say",
    -90: "it was ended by a reset",
    -91: "it was ended by the watchdog, or by a fault",
    -92: "the input has another size than the model takes",
}


def trial_failed(error: int) -> str:
    """Say in a sentence how a trial ended that failed."""
    words = WORDS.get(error)
    return f"the trial failed with {error}" + (f": {words}" if words else "")
