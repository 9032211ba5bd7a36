# SPDX-License-Identifier: Apache-2.0
"""The chips that there is a model of, and how one is made with firmware in its flash."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

from firmware.chips import nrf52840, stm32l4
from firmware.chips.chip import Chip
from firmware.chips.cortex_m import CortexM
from firmware.chips.elf import read_segments

CHIPS: Final[dict[str, tuple[Callable[[int], Chip], int]]] = {
    "nrf52840": (nrf52840.Nrf52840, nrf52840.CPU),
    "stm32l4": (stm32l4.Stm32L4, stm32l4.CPU),
}


def make(name: str, elf: Path, contents: dict[int, bytes], seed: int = 0) -> CortexM:
    """Return a chip that has been switched on; `contents` maps addresses in flash to what is there besides firmware."""
    kind, cpu = CHIPS[name]
    chip = kind(seed)
    code = read_segments(elf)
    for address, data in (code | contents).items():
        chip.flash.load(address - chip.layout.flash, data)
    return CortexM(chip, cpu, code)
