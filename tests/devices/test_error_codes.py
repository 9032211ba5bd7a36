# SPDX-License-Identifier: Apache-2.0
"""The descriptions of error codes."""

from __future__ import annotations

from reconciler.devices.error_codes import DeviceErrorCode, describe_failed_trial, describe_refusal


def test_an_unknown_code_is_shown_as_a_number() -> None:
    assert describe_failed_trial(-31) == "the trial failed with -31"
    assert describe_refusal(-31, "offering") == "refused while offering with -31"


def test_a_known_code_is_described() -> None:
    assert describe_failed_trial(-87) == "the trial failed with -87: the output differs from the golden vectors"
    assert (
        describe_refusal(DeviceErrorCode.SEQUENCE, "offering")
        == "refused while offering with -20: it has already accepted this or a later order"
    )
