# SPDX-License-Identifier: Apache-2.0
"""How the library divides the flash that it is given, and what a device type says of it."""

from __future__ import annotations

import ctypes
import itertools
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from tests.docs.markdown import ROOT
from tests.library.conftest import run

Layout = Callable[..., list[tuple[int, int]] | None]
JOURNAL, PROVISIONED, SLOTS = slice(0, 2), 2, slice(5, 7)
REGIONS = 11  # of struct tf_geometry, each with offset, size and the size of its erase units


@pytest.fixture(scope="module")
def layout(unpacked: Path, tmp_path_factory: pytest.TempPathFactory) -> Layout:
    library = tmp_path_factory.mktemp("layout") / "layout.so"
    sources = (unpacked / "src" / "tinyfleet_layout.c", unpacked / "src" / "store" / "geometry.c")
    run("cc", "-shared", "-fPIC", f"-I{unpacked / 'src'}", *sources, "-o", library, cwd=library.parent)
    code = ctypes.CDLL(str(library))

    def divide(
        size: int, erase: int, write: int, provisioned: int = 0, samples: int = 0
    ) -> list[tuple[int, int]] | None:
        flash = (ctypes.c_uint32 * 5)(size, erase, write, provisioned, samples)
        geometry = (ctypes.c_uint32 * (2 + 3 * REGIONS))()
        if code.tinyfleet_layout(flash, geometry) < 0:
            return None
        if code.tf_geometry_complete(geometry) < 0:
            assert write & (write - 1), "the agent refuses what the library has divided"
            return None
        return [(geometry[2 + 3 * i], geometry[3 + 3 * i]) for i in range(REGIONS)]

    return divide


FLASHES = st.tuples(
    st.integers(1, 4096),  # erase units
    st.sampled_from([256, 1024, 4096, 16384, 262144]),  # bytes of each
    st.sampled_from([1, 4, 8, 16, 32]),  # bytes of a write unit
    st.integers(0, 7),  # eighths that are provisioned
    st.sampled_from([0, 2]),  # units of each log of samples
)


@given(flash=FLASHES)
def test_regions_fill_flash_without_overlap(layout: Layout, flash: tuple[int, int, int, int, int]) -> None:
    units, erase, write, eighths, samples = flash
    size = units * erase
    regions = layout(size, erase, write, eighths * size // 8, samples * erase)
    if regions is None:
        return
    used = sorted((offset, offset + length) for offset, length in regions if length)
    assert all(end <= begin for (_, end), (begin, _) in itertools.pairwise(used))
    assert size - 2 * erase < used[-1][1] <= size  # what is left is too small for two slots
    slots = regions[SLOTS]
    assert slots[0][1] == slots[1][1] > 0


def test_flash_that_is_too_small_is_refused(layout: Layout) -> None:
    assert layout(65536, 4096, 4) is not None
    assert layout(32768, 4096, 4) is None
    assert layout(1 << 20, 4096, 4, 1 << 20) is None


@pytest.mark.parametrize(
    "flash",
    [
        pytest.param((1 << 20, 3000, 4), id="an erase unit that is not a power of two"),
        pytest.param((1 << 20, 0, 4), id="no erase unit"),
        pytest.param((1 << 20, 4096, 3), id="a write unit that is not a power of two"),
        pytest.param((1 << 20, 4096, 4, 0xFFFFF000), id="more provisioned than there is"),
        pytest.param((1 << 20, 4096, 4, 0, 0x80000000), id="more samples than there is"),
        pytest.param((1 << 31, 4096, 4), id="more flash than offsets can count"),
    ],
)
def test_impossible_flash_is_refused(layout: Layout, flash: tuple[int, ...]) -> None:
    assert layout(*flash) is None


@pytest.mark.parametrize("page", ["esp-idf", "zephyr"])
def test_the_device_types_on_the_pages_are_right(layout: Layout, unpacked: Path, page: str) -> None:
    """What `tinyfleet provision` writes must be where the example's firmware looks for it."""
    text = (ROOT / "docs" / f"{page}.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"```yaml\n(flash:\n.+?)```", text, re.DOTALL)
    flash = yaml.safe_load(block)["flash"]
    start, size = partition(unpacked / "examples" / page)
    regions = layout(size, 4096, 4)
    assert regions is not None
    first, second = regions[JOURNAL]
    assert flash["provisioned"] == {"offset": start + regions[PROVISIONED][0], "bytes": regions[PROVISIONED][1]}
    assert flash["journal"] == {"offset": start + first[0], "bytes": first[1] + second[1]}
    assert flash["bytes"] >= start + size


def partition(example: Path) -> tuple[int, int]:
    """Return offset and size of the partition in an example."""
    if (table := example / "partitions.csv").exists():
        (row,) = [line for line in table.read_text().splitlines() if line.startswith("tinyfleet")]
        offset, size = (int(field, 16) for field in row.split(",")[3:5])
        return offset, size
    (overlay,) = example.glob("boards/*.overlay")
    found = re.search(r"tinyfleet_partition: .*?reg = <(\w+) (\w+)>", overlay.read_text(), re.DOTALL)
    assert found
    return int(found[1], 16), int(found[2], 16)
