# SPDX-License-Identifier: Apache-2.0
"""The words for a trial's end are about numbers that the firmware has."""

from __future__ import annotations

import re
from pathlib import Path

from reconciler.devices.trial_errors import WORDS, trial_failed

HEADER = Path(__file__).parents[2] / "firmware" / "include" / "tinyfleet" / "error.h"


def test_every_number_is_one_of_the_firmwares() -> None:
    known = {int(number) for number in re.findall(r"TF_ERR_\w+ = (-\d+)", HEADER.read_text())}
    assert WORDS.keys() <= known


def test_a_number_that_nobody_knows_is_told_as_it_is() -> None:
    assert trial_failed(-31) == "the trial failed with -31"
    assert trial_failed(-87) == "the trial failed with -87: another output than its golden vectors say"
