# SPDX-License-Identifier: Apache-2.0
"""All windows of a run to failure: generated, or read from NASA's files."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

from bench.bearings.recording import BEARINGS, record
from bench.bearings.sampling import SENSOR_HZ, WINDOW, WINDOWS_PER_FILE, Int16s, windows
from bench.bearings.schedule import FILES, life, recorded_minutes
from bench.bearings.signal import SAMPLES, Floats

EVERY_FILE = range(FILES)
NASA_COLUMNS = (0, 2, 4, 6)  # set 1 has two accelerometers per bearing; these are the first of each
_NASA_TIME = "%Y.%m.%d.%H.%M.%S"


@dataclass(frozen=True)
class BearingRun:
    """The windows of four bearings on one shaft, in the order of time."""

    source: str
    minutes: Floats  # since the start, for each window
    life: Floats  # 0 … 1, for each window
    windows: Int16s  # [bearing, window, sample]


def generated(files: Sequence[int] = EVERY_FILE, seed: int = 0) -> BearingRun:
    """Generate these files of the run; another seed gives another run of the same machine."""
    minutes = recorded_minutes()
    lives = life(minutes)
    return _run(
        "generated",
        minutes[list(files)],
        lives[list(files)],
        lambda at: [
            record(bearing, files[at], minutes[files[at]], lives[files[at]], seed) for bearing in range(BEARINGS)
        ],
    )


def read_nasa(folder: Path) -> BearingRun:
    """Read the files of set 1 of NASA's bearing data set, which are named after the time of their recording."""
    paths = sorted(path for path in folder.iterdir() if path.is_file())
    if not paths:
        raise SystemExit(f"{folder} has no files: give the folder of set 1 of NASA's bearing data set")
    times = [_nasa_time(path) for path in paths]
    minutes = np.array([(time - times[0]) / timedelta(minutes=1) for time in times])
    return _run("NASA", minutes, life(minutes), lambda at: _nasa_file(paths[at]))


def _run(source: str, minutes: Floats, lives: Floats, read: Callable[[int], Sequence[Floats]]) -> BearingRun:
    per_file = np.array([[windows(channel) for channel in read(at)] for at in range(len(minutes))])
    return BearingRun(
        source,
        (minutes[:, None] + np.arange(WINDOWS_PER_FILE) * WINDOW / SENSOR_HZ / 60).ravel(),
        np.repeat(lives, WINDOWS_PER_FILE),
        per_file.swapaxes(0, 1).reshape(BEARINGS, len(minutes) * WINDOWS_PER_FILE, -1),
    )


def _nasa_time(path: Path) -> datetime:
    try:
        return datetime.strptime(path.name, _NASA_TIME).replace(tzinfo=UTC)
    except ValueError:
        raise SystemExit(f"{path} is not named after a time, such as 2003.10.22.12.06.24") from None


def _nasa_file(path: Path) -> Sequence[Floats]:
    columns = np.loadtxt(path, usecols=NASA_COLUMNS, unpack=True)
    if columns.shape != (BEARINGS, SAMPLES):
        raise SystemExit(f"{path} does not hold {SAMPLES} rows of the accelerometers of set 1")
    return list(columns)
