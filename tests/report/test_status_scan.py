# SPDX-License-Identifier: Apache-2.0
"""The fast scan of a status file equals the full reading, for any device."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.model import DeviceId, Digest, NoChange, ObservedDevice, Parameters, Phase
from reconciler.report.device_status import DeviceFacts, DeviceStatus, PassStamp, device_status
from reconciler.report.status_files import device_file, read_device_file
from reconciler.report.status_scan import UnreadableStatus, scan_status

NOON = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
identifiers = st.from_regex("[a-z][a-z0-9_]{0,30}", fullmatch=True)
names = st.one_of(st.sampled_from(("on", "null", "y", "threshold")), identifiers)
numbers = st.one_of(st.integers(-(2**40), 2**40), st.floats(allow_nan=False, allow_infinity=False))


def status(parameters: Parameters, model: str | None = "m@1", why: str = "as wanted") -> DeviceStatus:
    seen = ObservedDevice(NOON, Phase.CONFIRMED, Digest("ab" * 16), sequence=7, parameters=parameters)
    return device_status(DeviceFacts(NoChange(DeviceId("pump-1"), why), seen, model), PassStamp(NOON, "c" * 40), None)


@given(st.dictionaries(names, numbers, max_size=8))
def test_parameters_are_written_and_read_back(parameters: dict[str, float]) -> None:
    data = device_file(status(parameters))
    assert read_device_file(data).parameters == parameters
    assert scan_status(data).parameters == parameters


@pytest.mark.parametrize("parameters", [{}, {"threshold": 0.5}, {"a": -3, "b_2": 1000}])
def test_usual_files_are_scanned_without_yaml(parameters: Parameters) -> None:
    """A review reads ten thousand files. Bytes that YAML refuses show that the scan does not parse them as YAML."""
    data = device_file(status(parameters)).replace(b"commit:", b"commit: [") + b"  - ["
    assert scan_status(data).parameters == parameters


@pytest.mark.parametrize("parameters", [{"threshold": 1e-9}, {"on": 1}, {"a": 1, "null": 2, "z": 3}])
def test_unusual_parameters_are_read_in_full(parameters: Parameters) -> None:
    assert scan_status(device_file(status(parameters))).parameters == parameters


def test_parameters_of_an_unknown_pack_or_an_older_release_are_unknown() -> None:
    assert scan_status(device_file(status({"threshold": 0.5}, model=None))).parameters is None
    older = re.sub(rb"  parameters:\n(    .*\n)+", b"", device_file(status({"threshold": 0.5})))
    assert scan_status(older).parameters is None
    assert read_device_file(older).parameters is None


def test_a_message_cannot_imitate_parameters() -> None:
    why = "so it goes\n  parameters:\n    threshold: 9\n  conditions:\n"
    assert scan_status(device_file(status({"threshold": 0.5}, why=why))).parameters == {"threshold": 0.5}


def test_other_bytes_are_refused() -> None:
    with pytest.raises(UnreadableStatus):
        scan_status(b"\xff")
