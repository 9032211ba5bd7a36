# SPDX-License-Identifier: Apache-2.0
"""What is read at a glance is what is read in full, whatever a device is called, runs and holds."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.model import DeviceId, Digest, NoChange, ObservedDevice, Parameters, Phase
from reconciler.report.device_status import DeviceStatus, PassStamp, device_status
from reconciler.report.status_files import device_file, read_device_file
from reconciler.report.status_scan import UnreadableStatus, scan_status

NOON = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
words = st.from_regex("[a-z][a-z0-9_]{0,30}", fullmatch=True)
names = st.one_of(st.sampled_from(("on", "null", "y", "threshold")), words)
numbers = st.one_of(st.integers(-(2**40), 2**40), st.floats(allow_nan=False, allow_infinity=False))


def status(parameters: Parameters, model: str | None = "m@1", why: str = "as wanted") -> DeviceStatus:
    seen = ObservedDevice(NOON, Phase.CONFIRMED, Digest("ab" * 16), sequence=7, parameters=parameters)
    return device_status(NoChange(DeviceId("pump-1"), why), seen, model, PassStamp(NOON, "c" * 40), None)


@given(st.dictionaries(names, numbers, max_size=8))
def test_parameters_are_told_and_read_as_they_are(parameters: dict[str, float]) -> None:
    data = device_file(status(parameters))
    assert read_device_file(data).parameters == parameters
    assert scan_status(data).parameters == parameters


@pytest.mark.parametrize("parameters", [{}, {"threshold": 0.5}, {"a": -3, "b_2": 1000}])
def test_the_usual_ones_need_no_yaml(parameters: Parameters) -> None:
    """A review looks at ten thousand files: what is no YAML any more still tells all in the form that we write."""
    data = device_file(status(parameters)).replace(b"commit:", b"commit: [") + b"  - ["
    assert scan_status(data).parameters == parameters


@pytest.mark.parametrize("parameters", [{"threshold": 1e-9}, {"on": 1}, {"a": 1, "null": 2, "z": 3}])
def test_what_is_written_otherwise_is_not_read_in_part(parameters: Parameters) -> None:
    assert scan_status(device_file(status(parameters))).parameters == parameters


def test_of_an_unknown_pack_and_of_an_older_release_nothing_is_told() -> None:
    assert scan_status(device_file(status({"threshold": 0.5}, model=None))).parameters is None
    older = re.sub(rb"  parameters:\n(    .*\n)+", b"", device_file(status({"threshold": 0.5})))
    assert scan_status(older).parameters is None
    assert read_device_file(older).parameters is None


def test_a_message_imitates_no_parameters() -> None:
    why = "so it goes\n  parameters:\n    threshold: 9\n  conditions:\n"
    assert scan_status(device_file(status({"threshold": 0.5}, why=why))).parameters == {"threshold": 0.5}


def test_what_is_no_status_is_refused() -> None:
    with pytest.raises(UnreadableStatus):
        scan_status(b"\xff")
