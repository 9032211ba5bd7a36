# SPDX-License-Identifier: Apache-2.0
"""Samples: windows that devices kept for their gateway (docs/specs/samples.md)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum

from reconciler.model.names import DeviceId

# Parameters of a pack.
SAMPLE_EVERY = "sample-every"  # one in this many normal windows is kept; 0: none
SAMPLE_WINDOWS = "sample-windows"  # 0: samples are kept without their window
SAMPLING_PARAMETERS = (SAMPLE_EVERY, SAMPLE_WINDOWS)  # a contest sets them, if the model has them


class SampleLog(IntEnum):
    """A log of samples on a device; the number is the space of the messages."""

    ANOMALIES = 0
    NORMALS = 1


@dataclass(frozen=True, slots=True)
class Sample:
    """One record of a device's log, with when it arrived and how many windows it stands for."""

    device: DeviceId
    log: SampleLog
    offset: int  # in the log; with the device and its boots, the identity of the sample
    boots: int
    uptime_ms: int
    inferences: int  # since the start of the device, with this one
    score: int
    anomalous: bool  # the decision of the model that ran
    skipped: int  # windows that were not kept since the record before; 65535: at least as many
    context: bytes  # 4 bytes: which model, with which parameters
    features: tuple[int, ...]
    window: bytes | None
    element_type: int  # of the window, as in pack.md, section 2; 0: it has none
    weight: int  # windows that it stands for: `sample-every` in force for a normal, 1 for an anomaly
    received_at: datetime
