# SPDX-License-Identifier: Apache-2.0
"""How many boards have which class of evidence, and the times of an update on three of them.

`python -m bench.boards`. The BBC micro:bit is emulated with 7.8 million instructions per second of this machine's clock
(16 MHz with two cycles for an instruction), and its line is used at 115,200 baud. The machine must have a processor
to spare, or the emulator can't keep up. RP2040 is emulated as fast as this machine can, which is slower than the chip.
The third speaks MQTT over TLS itself (bench/tls_board.py).
"""

from __future__ import annotations

import asyncio
import re
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Final

from bench.tls_board import measure
from firmware.chips.build import build
from firmware.chips.device import ChipDevice
from firmware.chips.models import make
from firmware.chips.powercut import PROVISIONED
from firmware.network.build import build as build_network
from reconciler.devices.conversation import Answered, Confirmed, Outcome
from reconciler.devices.link_session import LinkSession
from reconciler.devices.messages import ReportKind
from reconciler.devices.reports import DeviceReport
from reconciler.devices.serial_bus_link import SerialLink
from reconciler.devices.serial_port import SerialPort
from reconciler.model import DeviceId
from tests.firmware.bench import Bench, make_pack
from tests.firmware.board import NRF51_MICROBIT, Board, write_flash_file
from tests.firmware.talk import job, report_of
from tests.firmware.talk import update as play

PAGE: Final = Path(__file__).resolve().parents[1] / "docs" / "boards.md"
CLASSES: Final = "SABC"
ADDRESS: Final = 7
BAUD: Final = 115200
PACED: Final = ("-icount", "shift=7,align=on")  # 2 to the power of 7 ns for an instruction
PREBAKED, NEW = make_pack(1), make_pack(3, inputs=3000)


def classes(page: str) -> Counter[str]:
    """Count the ports in the table of docs/boards.md by their class."""
    return Counter(re.findall(r"^\| `[^|]+` \|(?: [^|]+ \|)+ ([SABC]) \|$", page, re.MULTILINE))


def update_paced_microbit_s() -> float:
    """Update an emulated BBC micro:bit over its line, at the speed of the chip."""
    bench = Bench("plant")
    made = bench.device("pump-1", address=ADDRESS)
    device = DeviceId(made.name)

    async def update(path: Path) -> tuple[Outcome, float]:
        link = SerialLink(SerialPort(f"unix:{path}", BAUD), {device: ADDRESS})
        fleet = LinkSession(link, lambda _device, cose, nonce: made.open_signed(cose, nonce))
        running = asyncio.create_task(fleet.run())
        await fleet.ask(device, ReportKind.CAPABILITIES)  # says how long an answer may take
        asked = await fleet.ask(device, ReportKind.REPORT)
        if not isinstance(asked, Answered) or not isinstance(asked.body, DeviceReport):
            raise SystemExit(f"no report: {asked}")
        begun = time.monotonic()
        outcome, _ = await fleet.update(job(made, bench.install(made, NEW, 1), NEW, asked.body))
        running.cancel()
        return outcome, time.monotonic() - begun

    elf = build(NRF51_MICROBIT.name)
    with tempfile.TemporaryDirectory() as folder:
        flash, line = Path(folder) / "flash.bin", Path(folder) / "uart"
        write_flash_file(NRF51_MICROBIT, flash, {0: made.region(PREBAKED)})
        with Board(NRF51_MICROBIT, elf, flash, listen=line, extra=PACED):
            outcome, seconds = asyncio.run(update(line))
    if not isinstance(outcome, Confirmed):
        raise SystemExit(f"the update ends with {outcome}")
    return seconds


def update_rp2040_s() -> float:
    """Update an emulated RP2040 in this process: of the time, the emulator needs nearly all to check signatures."""
    bench = Bench("plant")
    made = bench.device("pump-1", address=ADDRESS)
    chip = make("rp2040", build("rp2040"), {PROVISIONED["rp2040"]: made.region(PREBAKED)})
    device = ChipDevice(chip, ADDRESS)
    before = report_of(device, made)
    begun = time.monotonic()
    outcome, _ = play(device, made, job(made, bench.install(made, NEW, 1), NEW, before))
    if not isinstance(outcome, Confirmed):
        raise SystemExit(f"the update ends with {outcome}")
    return time.monotonic() - begun


def main() -> None:
    """Print the figures."""
    counted = classes(PAGE.read_text(encoding="utf-8"))
    for letter in CLASSES:
        sys.stdout.write(f"boards_class_{letter.lower()}={counted[letter]}\n")
    sys.stdout.write(f"update_paced_microbit_bytes={len(NEW)}\n")
    sys.stdout.write(f"update_paced_microbit_s={update_paced_microbit_s():.1f}\n")
    sys.stdout.write(f"update_rp2040_s={update_rp2040_s():.1f}\n")
    with tempfile.TemporaryDirectory(prefix="tls-") as folder:
        took_s, resent = measure(build_network(), Path(folder))
    sys.stdout.write(f"tls_54k_s={took_s:.2f}\ntls_resent={resent}\n")


if __name__ == "__main__":
    main()
