# SPDX-License-Identifier: Apache-2.0
"""The chips that can be emulated here, and how one is made with firmware in its flash."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

from firmware.chips import esp32c3, nrf52840, stm32l4
from firmware.chips.chip import Chip
from firmware.chips.cortex_m import CortexM
from firmware.chips.elf import read_segments
from firmware.chips.processor import Processor
from firmware.chips.risc_v import RiscV
from firmware.chips.rp2040 import Rp2040


def _cortex_m(chip: Chip, cpu: int, elf: Path, contents: dict[int, bytes]) -> Processor:
    code = read_segments(elf)
    for address, data in (code | contents).items():
        chip.flash.load(address - chip.layout.flash, data)
    return CortexM(chip, cpu, code)


def _esp32c3(elf: Path, contents: dict[int, bytes], seed: int) -> Processor:
    """Load addresses in its ELF file are those of code; `contents` has those of data."""
    chip = esp32c3.Esp32C3(seed)
    code = read_segments(elf)
    for address, data in code.items():
        chip.flash.load(address - chip.code.flash_as_code, data)
    for address, data in contents.items():
        chip.flash.load(address - chip.layout.flash, data)
    return RiscV(chip, code)


CHIPS: Final[dict[str, Callable[[Path, dict[int, bytes], int], Processor]]] = {
    "esp32c3": _esp32c3,
    "nrf52840": lambda elf, contents, seed: _cortex_m(nrf52840.Nrf52840(seed), nrf52840.CPU, elf, contents),
    "rp2040": Rp2040,
    "stm32l4": lambda elf, contents, seed: _cortex_m(stm32l4.Stm32L4(seed), stm32l4.CPU, elf, contents),
}


def make(name: str, elf: Path, contents: dict[int, bytes], seed: int = 0) -> Processor:
    """Return a chip that has been switched on; `contents` maps addresses in flash to what is there besides firmware."""
    return CHIPS[name](elf, contents, seed)
