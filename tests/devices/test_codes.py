# SPDX-License-Identifier: Apache-2.0
"""What a device's numbers mean, as people read it."""

from __future__ import annotations

from reconciler.devices.error_codes import DeviceErrorCode, refused, trial_failed


def test_a_number_that_nobody_knows_is_told_as_it_is() -> None:
    assert trial_failed(-31) == "the trial failed with -31"
    assert refused(-31, "offering") == "refused while offering with -31"


def test_a_number_is_told_with_its_words() -> None:
    assert trial_failed(-87) == "the trial failed with -87: another output than its golden vectors say"
    assert refused(DeviceErrorCode.SEQUENCE, "offering") == "refused while offering with -20: it has obeyed this or a later order"
