# SPDX-License-Identifier: Apache-2.0
"""The library for Linux grows a forest from rows that are in its flash when it starts."""

from __future__ import annotations

import hashlib
import struct
import zlib
from collections.abc import Sequence

from reconciler.compiler.pack.features_section import Feature, FeatureWindow, Statistic
from reconciler.compiler.pack.learn_section import LearnRecipe
from reconciler.compiler.pack.learning_parameter import with_learning
from reconciler.compiler.reference.growing import ForestForm
from reconciler.devices.learned_regions import row_check, row_stride
from tests.firmware.bench import Bench
from tests.firmware.conftest import build
from tests.firmware.host import Geometry, HostAgent, HostLibrary
from tests.firmware.learning import grown_forest, starter_pack

GEOMETRY = Geometry(write=8, slot=0x10000, rows=0x10000, forest=0x10000)
ALL_ANOMALOUS = 1000


def rows_region(pack: bytes, rows: Sequence[Sequence[int]], write_bytes: int) -> bytes:
    """Return the region `rows` of a device that has collected these (docs/specs/learning.md, section 2)."""
    head = struct.pack("<4sI16s4x", b"TFR1", 0, hashlib.sha256(pack).digest()[:16])
    region = head + struct.pack("<I", zlib.crc32(head))
    for slot, row in enumerate(rows):
        data = struct.pack(f"<{len(row)}HI", *row, row_check(tuple(row), slot))
        region += data.ljust(row_stride(len(row), write_bytes), b"\xff")
    return region


def grown_on_host(rows: Sequence[Sequence[int]], form: ForestForm, seed: int) -> bytes:
    """Return the section that the library grows."""
    features = tuple(Feature(Statistic.VALUE, 0, 0, 0, 1) for _ in range(form.features))
    recipe = LearnRecipe(rows=len(rows), every=1, seed=seed, most_anomalous=ALL_ANOMALOUS)
    pack = with_learning(starter_pack(form, window=FeatureWindow(16, 1, features)), recipe)
    region = Bench("plant").device("pump-1").region(pack)
    agent = HostAgent(HostLibrary(build("host") / "libtinyfleet-host.so"), region, geometry=GEOMETRY)
    agent.write_flash(GEOMETRY.regions()["rows"].offset, rows_region(pack, rows, GEOMETRY.write))
    agent.boot()
    agent.settle()
    return grown_forest(agent).section
