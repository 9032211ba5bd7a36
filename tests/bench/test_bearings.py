# SPDX-License-Identifier: Apache-2.0
"""The generated bearings: their faults have the frequencies of a ZA-2115, and the sensor sees what is below 250 Hz."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bench.bearings.dataset import generated, read_nasa
from bench.bearings.geometry import SHAFT_HZ, ZA_2115
from bench.bearings.recording import FAULTS, record
from bench.bearings.sampling import COUNTS_PER_G, low_passed, windows
from bench.bearings.schedule import FILES, life, recorded_minutes
from bench.bearings.signal import RATE_HZ, SAMPLES, Floats, tone

CAGE_HZ, OUTER_HZ, INNER_HZ, SPIN_HZ = 14.8, 236.4, 296.9, 140.0  # as the vendor lists them, at 2,000 rpm
INNER_RACE, ROLLING_ELEMENT = 2, 3
HEALTHY, FAILING = 500, 2100


def recorded(bearing: int, number: int) -> Floats:
    minutes = recorded_minutes()
    return record(bearing, number, minutes[number], life(minutes)[number])


def test_another_seed_gives_another_recording() -> None:
    same, other = (record(INNER_RACE, HEALTHY, 0.0, 0.2, seed) for seed in (0, 1))
    assert np.array_equal(same, record(INNER_RACE, HEALTHY, 0.0, 0.2))
    assert not np.array_equal(same, other)
    assert np.std(other) == pytest.approx(np.std(same), rel=0.1)


def envelope_line(vibration: Floats, frequency_hz: float) -> float:
    """Return how far a line stands out of the spectrum of the envelope around the housing's resonance."""
    spectrum = np.fft.fft(vibration)
    hz = np.fft.fftfreq(SAMPLES, 1 / RATE_HZ)
    spectrum[(hz < 2500) | (hz > 5500)] = 0
    envelope = np.abs(np.fft.ifft(spectrum))
    return line(envelope - envelope.mean(), frequency_hz, RATE_HZ)


def line(signal: Floats, frequency_hz: float, rate_hz: float) -> float:
    """Return the strongest bin within 1.5 Hz of a frequency over the median of its surroundings."""
    strength = np.abs(np.fft.rfft(signal))
    hz = np.fft.rfftfreq(len(signal), 1 / rate_hz)
    near = np.abs(hz - frequency_hz) < 1.5
    around = (np.abs(hz - frequency_hz) < 12) & ~near
    return float(strength[near].max() / np.median(strength[around]))


def test_the_fault_frequencies_are_those_that_the_vendor_lists() -> None:
    frequencies = ZA_2115.fault_frequencies(SHAFT_HZ)
    assert frequencies.cage_hz == pytest.approx(CAGE_HZ, abs=0.05)
    assert frequencies.outer_race_hz == pytest.approx(OUTER_HZ, abs=0.05)
    assert frequencies.inner_race_hz == pytest.approx(INNER_HZ, abs=0.05)
    assert frequencies.element_spin_hz == pytest.approx(SPIN_HZ, abs=0.05)


@pytest.mark.parametrize(
    ("bearing", "frequency_hz", "other_hz"),
    [(INNER_RACE, INNER_HZ, OUTER_HZ), (ROLLING_ELEMENT, 2 * SPIN_HZ, OUTER_HZ)],
)
def test_a_failing_part_shows_its_frequency_in_the_envelope(bearing: int, frequency_hz: float, other_hz: float) -> None:
    numbers = range(FAILING, FAILING + 20)
    assert np.median([envelope_line(recorded(bearing, n), frequency_hz) for n in numbers]) > 8
    assert np.median([envelope_line(recorded(bearing, n), other_hz) for n in numbers]) < 3
    assert np.median([envelope_line(recorded(bearing, n - FAILING + HEALTHY), frequency_hz) for n in numbers]) < 3
    assert np.median([envelope_line(recorded(0, n), frequency_hz) for n in numbers]) < 3


def test_impacts_pass_the_load_zone() -> None:
    """The inner race turns with the shaft, a rolling element with the cage."""
    numbers = range(FAILING, FAILING + 20)
    inner = np.median([envelope_line(recorded(INNER_RACE, n), INNER_HZ - SHAFT_HZ) for n in numbers])
    rolling = np.median([envelope_line(recorded(ROLLING_ELEMENT, n), 2 * SPIN_HZ - CAGE_HZ) for n in numbers])
    assert min(inner, rolling) > 6


def test_the_sensor_sees_below_250_hz_only() -> None:
    assert low_passed(tone(240, 0)).std() == pytest.approx(0.5**0.5, rel=0.01)
    assert low_passed(tone(260, 0)).std() < 0.1  # the ends of the recording only


def test_windows_are_counts_of_the_sensor() -> None:
    assert windows(tone(50, 0)).shape == (2, 250)
    assert windows(tone(50, 0)).max() == pytest.approx(COUNTS_PER_G, rel=0.01)
    assert windows(tone(50, 0) * 100).max() == 32767


def test_wear_shows_in_the_sensors_band() -> None:
    for bearing in FAULTS:
        healthy, failing = (low_passed(recorded(bearing, number)).std() for number in (HEALTHY, FAILING))
        assert failing > 2 * healthy
    for bearing in (0, 1):
        healthy, old = (low_passed(recorded(bearing, number)).std() for number in (HEALTHY, FAILING))
        assert old < 1.5 * healthy


def test_a_run_is_repeatable_and_in_the_order_of_time() -> None:
    numbers = [0, 43, 701, FILES - 1]
    run = generated(numbers)
    assert run.windows.shape == (4, 8, 250)
    assert (run.windows == generated(numbers).windows).all()
    assert len(np.unique(run.windows.reshape(32, -1), axis=0)) == 32
    assert list(run.minutes[::2]) == [0, 215, 215 + 6580 + 1440, recorded_minutes()[-1]]
    assert (run.life[0], run.life[-1]) == (0, 1)


def test_the_files_of_nasas_set_are_read(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    channels = np.round(rng.normal(0, 0.1, (3, SAMPLES, 8)), 3)
    names = ("2003.10.22.12.06.24", "2003.10.22.12.11.24", "2003.10.22.12.21.24")
    for name, rows in zip(names, channels, strict=True):
        np.savetxt(tmp_path / name, rows, fmt="%.3f", delimiter="\t")
    run = read_nasa(tmp_path)
    assert list(run.minutes[::2]) == [0, 5, 15]
    for bearing in range(4):
        expected = np.concatenate([windows(rows[:, 2 * bearing]) for rows in channels])
        assert (run.windows[bearing] == expected).all()


@pytest.mark.parametrize("name", ["readme.txt", ""])
def test_another_folder_is_refused(tmp_path: Path, name: str) -> None:
    if name:
        (tmp_path / name).write_text("hello")
    with pytest.raises(SystemExit, match=r"set 1|named after a time"):
        read_nasa(tmp_path)
