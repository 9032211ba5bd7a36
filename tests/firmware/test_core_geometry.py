# SPDX-License-Identifier: Apache-2.0
"""Flash layouts that the core accepts and refuses (docs/specs/flash.md)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest

from tests.firmware.host import Geometry, HostLibrary
from tests.firmware.orders import SMALL

GEOMETRY = -65
ERASE = SMALL.erase
TINY = Geometry(erase=64, write=1, provisioned=0x1000, journal=2048, marks=64, slot=64)
LARGEST = replace(TINY, slot=64 * 65534)


LARGE_UNITS = {"scratch": 4 * ERASE, "slot.0": 4 * ERASE, "slot.1": 4 * ERASE}  # as in flash with smaller first sectors


def start(library: HostLibrary, geometry: Geometry, change: Callable[[Any], None]) -> int:
    """Return the error of a start on a changed layout; OK or one that only a provisioned device does not have."""
    layout = library.geometry(geometry)
    change(layout)
    device = library.c.host_device_new(geometry.bytes, library.geometry(geometry), 16384)
    try:
        library.c.host_device_layout(device, layout)
        return int(library.c.host_boot(device))
    finally:
        library.c.host_device_free(device)


def unchanged(layout: Any) -> None:  # noqa: ANN401 - a C struct
    """Leave the layout as it is."""


@pytest.mark.parametrize(
    "geometry",
    [
        SMALL,
        TINY,
        LARGEST,
        replace(SMALL, write=32),
        replace(SMALL, slot=0, marks=0),
        replace(SMALL, anomalies=2 * ERASE, normals=3 * ERASE),
    ],
    ids=["usual", "smallest", "most units", "widest writes", "no slots", "samples"],
)
def test_layouts_that_the_core_accepts(host_library: HostLibrary, geometry: Geometry) -> None:
    assert start(host_library, geometry, unchanged) != GEOMETRY


def set_field(path: str, value: int) -> Callable[[Any], None]:
    def change(layout: Any) -> None:  # noqa: ANN401 - a C struct
        *parents, name = path.split(".")
        at = layout
        for parent in parents:
            at = at[int(parent)] if parent.isdigit() else getattr(at, parent)
        setattr(at, name, value)

    return change


def set_units(units: Mapping[str, int]) -> Callable[[Any], None]:
    """Give regions erase units of their own. Each of them starts at 0, and scratch has room for every unit but one."""

    def change(layout: Any) -> None:  # noqa: ANN401 - a C struct
        for path, unit in units.items():
            set_field(f"{path}.erase_size", unit)(layout)
            set_field(f"{path}.offset", 0)(layout)
        set_field("scratch.size", 16 * ERASE)(layout)

    return change


ROOMY = replace(
    SMALL, provisioned=16 * ERASE, journal=8 * ERASE, marks=16 * ERASE, slot=32 * ERASE, anomalies=16 * ERASE
)


@pytest.mark.parametrize(
    "units",
    [
        LARGE_UNITS,
        {**LARGE_UNITS, "scratch": 4 * ERASE, "samples.0": 8 * ERASE, "samples.1": 8 * ERASE},
        {"provisioned": 16 * ERASE},
        {**LARGE_UNITS, "scratch": 64},
        {"journal.0": 64, "journal.1": 64, "marks": 64},
    ],
)
def test_regions_may_have_erase_units_of_their_own(host_library: HostLibrary, units: Mapping[str, int]) -> None:
    assert start(host_library, ROOMY, set_units(units)) != GEOMETRY


@pytest.mark.parametrize(
    "units",
    [
        {**LARGE_UNITS, "slot.0": 2 * ERASE},
        {**LARGE_UNITS, "slot.1": 2 * ERASE},
        {**LARGE_UNITS, "scratch": 8 * ERASE},
        {**LARGE_UNITS, "slot.0": 32 * ERASE, "slot.1": 32 * ERASE},
        {"samples.0": 8 * ERASE},
        {"samples.0": 16 * ERASE, "samples.1": 16 * ERASE},
        {"samples.0": 32 * ERASE, "samples.1": 32 * ERASE},
        {"marks": 32},
        {"marks": 3 * ERASE},
        {"provisioned": 32 * ERASE},
    ],
    ids=[
        "slot A in smaller units",
        "slot B in smaller units",
        "scratch in larger units",
        "scratch smaller than a unit",
        "logs that differ",
        "samples of one unit",
        "samples of half a unit",
        "too small",
        "not a power of two",
        "provisioned of half a unit",
    ],
)
def test_erase_units_that_do_not_fit_their_region(host_library: HostLibrary, units: Mapping[str, int]) -> None:
    assert start(host_library, ROOMY, set_units(units)) == GEOMETRY


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("erase_size", 0),
        ("erase_size", 32),
        ("erase_size", 768),
        ("write_size", 0),
        ("write_size", 12),
        ("write_size", 64),
        *((f"{region}.size", ERASE + 64) for region in ("provisioned", "marks", "scratch")),
        *((f"{region}.offset", 64) for region in ("journal.0", "journal.1", "provisioned", "marks", "scratch")),
        *((f"{region}.offset", 64) for region in ("slot.0", "slot.1", "samples.0", "samples.1")),
        *((f"journal.{sector}.size", size) for sector in (0, 1) for size in (1536, 2 * ERASE + 64, 8 * ERASE + ERASE)),
        *((f"slot.{slot}.size", size) for slot in (0, 1) for size in (0, ERASE, 3 * ERASE + 64)),
        *((f"{region}.size", 0) for region in ("provisioned", "marks", "scratch")),
        *((f"samples.{space}.size", size) for space in (0, 1) for size in (ERASE, 2 * ERASE + 64)),
    ],
)
def test_layouts_that_the_core_refuses(host_library: HostLibrary, path: str, value: int) -> None:
    assert start(host_library, SMALL, set_field(path, value)) == GEOMETRY


def test_journal_sectors_of_less_than_two_records_are_refused(host_library: HostLibrary) -> None:
    def shrink(layout: Any) -> None:  # noqa: ANN401 - a C struct
        layout.journal[0].size = layout.journal[1].size = 2048 - 64

    assert start(host_library, TINY, shrink) == GEOMETRY


def test_a_slot_of_more_units_than_a_record_can_name_is_refused(host_library: HostLibrary) -> None:
    def grow(layout: Any) -> None:  # noqa: ANN401 - a C struct
        layout.slot[0].size = layout.slot[1].size = 64 * 65535

    assert start(host_library, TINY, grow) == GEOMETRY


@pytest.mark.parametrize("geometry", [replace(SMALL, rows=4 * ERASE), replace(SMALL, forest=4 * ERASE)])
def test_rows_without_a_place_for_the_forest_and_the_reverse(host_library: HostLibrary, geometry: Geometry) -> None:
    assert start(host_library, geometry, unchanged) == GEOMETRY
    assert start(host_library, replace(geometry, rows=4 * ERASE, forest=4 * ERASE), unchanged) != GEOMETRY
