# SPDX-License-Identifier: Apache-2.0
"""tinyfleet-vdev with sample logs: a window given through the control socket is pulled over the serial line."""

from __future__ import annotations

import struct
from pathlib import Path

from reconciler.compiler.pack.io_section import ElementType
from reconciler.compiler.threshold.threshold_pack import build_threshold_pack
from reconciler.devices.messages import SampleSpace
from tests.firmware.bench import Bench
from tests.firmware.samples import kept
from tests.firmware.talk import SerialDevice
from tests.firmware.vdev import Vdev

PACK = build_threshold_pack([1] * 16, threshold=100, element=ElementType.INT16)
WINDOW = struct.pack("<16h", 3000, *range(15))


def test_a_window_from_the_control_socket_is_kept(vdev_program: Path, bench: Bench) -> None:
    made = bench.device("d1", address=1)
    options = ("--line", "unix:{folder}/line", "--samples-bytes", "8192", "--infer-every", "0")
    with Vdev(vdev_program, [made], (PACK,), *options) as vdev, vdev.line("line") as line:
        assert vdev.command(f"infer d1 {WINDOW.hex()}").splitlines()[0] == "d1 decision=1 score=3105"
        device = SerialDevice(line, 1)
        assert [record.window for record in kept(device, SampleSpace.ANOMALIES)] == [WINDOW]
        vdev.command("restart d1")
        assert [record.window for record in kept(device, SampleSpace.ANOMALIES)] == [WINDOW]
        assert vdev.status("d1")["violations"] == "0"
