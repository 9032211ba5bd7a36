# SPDX-License-Identifier: Apache-2.0
"""Packages on a real MicroPython, next to the pack that they were made from on the engine in C."""

from __future__ import annotations

import hashlib
import json
import subprocess
from pathlib import Path

import cbor2
import numpy as np
import pytest

from reconciler.compiler.engine_runner import ExecutionTarget, execute
from reconciler.compiler.errors import BuildFailed, PackMalformed, RuntimeUnsupported
from reconciler.compiler.micropython.translation import translate
from reconciler.compiler.pack.features_section import Feature, FeatureWindow, Statistic
from reconciler.compiler.pack.package_format import NAMES, disassemble_package, is_package
from reconciler.compiler.pack.parameter_values import encode_values
from reconciler.compiler.pack.sampling_parameters import with_sampling
from reconciler.compiler.threshold.threshold_pack import build_threshold_pack
from reconciler.model.samples import SAMPLE_EVERY
from tests.compiler.random_forests import all_statistics, forest_packs
from tests.firmware.conftest import build
from tests.micropython.forests import THRESHOLD, isolation_forest
from tests.micropython.interpreter import ON_DEVICE, environment, unix_command

RUN = ON_DEVICE / "run_package.py"


def windows(seed: int, elements: int) -> list[bytes]:
    """Return windows of every size of signal, and the extremes."""
    rng = np.random.default_rng(seed)
    drawn = [rng.integers(-spread, spread + 1, elements) for spread in (0, 1, 3, 50, 700, 9000, 32767) for _ in "abc"]
    extremes = [np.full(elements, 32767), np.full(elements, -32768), np.where(np.arange(elements) % 2, 32767, -32768)]
    return [window.astype("<i2").tobytes() for window in (*drawn, *extremes)]


def on_micropython(folder: Path, package: bytes, asked: list[tuple[int, bytes]]) -> list[tuple[int, int]]:
    """Run windows, each with a threshold; return decisions and scores."""
    path = folder / "package"
    path.write_bytes(package)
    lines = "".join(f"{threshold} {window.hex()}\n" for threshold, window in asked)
    done = subprocess.run(
        unix_command(RUN, folder, path), input=lines, env=environment(), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    name, *answers = done.stdout.split("\n")
    assert name == "micropython"
    return [(int(decision), int(score)) for decision, score in (line.split() for line in answers if line)]


def on_the_engine_in_c(pack: bytes, samples: list[bytes]) -> list[tuple[int, int]]:
    """Run windows on the engine of the agent in C, with one threshold."""
    build("host")
    found = execute(ExecutionTarget.HOST, pack, samples, parameters=[THRESHOLD]).inferences
    return [(inference.decision, inference.score) for inference in found]


@pytest.mark.parametrize("channels", [1, 3])
def test_every_statistic_and_decision_equals_that_of_the_engine_in_c(tmp_path: Path, channels: int) -> None:
    for seed, samples in enumerate((2, 24, 250)):
        pack = isolation_forest(seed, all_statistics(16, samples, channels))
        asked = windows(seed, samples * channels)
        found = on_micropython(tmp_path, translate(pack).data, [(THRESHOLD, window) for window in asked])
        assert found == on_the_engine_in_c(pack, asked)
        assert len({score for _, score in found}) > 3


def test_each_statistic_alone_has_the_code_that_it_needs(tmp_path: Path) -> None:
    for statistic in Statistic:
        window = FeatureWindow(40, 2, (Feature(statistic, 1, 9, -70, 1 << 12),))
        pack = isolation_forest(int(statistic), window, bits=8, trees=3)
        asked = windows(int(statistic), 80)
        found = on_micropython(tmp_path, translate(pack).data, [(THRESHOLD, window) for window in asked])
        assert found == on_the_engine_in_c(pack, asked), statistic.name


def test_a_package_has_four_files_in_the_order_of_the_specification() -> None:
    package = translate(isolation_forest(1, all_statistics(16, 24, 2))).data
    assert is_package(package)
    assert tuple(cbor2.loads(package)) == NAMES == ("model.json", "__init__.py", "config.json", "features.py")
    assert cbor2.dumps(cbor2.loads(package), canonical=True) == package
    assert json.loads(disassemble_package(package)["config.json"])["window"] == {"channels": 2, "samples": 24}


def test_the_same_pack_gives_the_same_bytes() -> None:
    first, second = (translate(isolation_forest(1, all_statistics(16, 24, 2))).data for _ in range(2))
    assert hashlib.sha256(first).digest() == hashlib.sha256(second).digest()


def test_a_threshold_has_the_integer_that_it_has_in_the_pack() -> None:
    pack = isolation_forest(1, all_statistics(16, 24, 2))
    package = translate(pack).data
    for value in (0.01, 0.5, 0.61, 1.0):
        assert encode_values(package, {"threshold": value}) == encode_values(pack, {"threshold": value})
    with pytest.raises(BuildFailed, match="no parameter volume"):
        encode_values(package, {"volume": 1.0})
    with pytest.raises(BuildFailed, match="above 0 and at most 1, not 2"):
        encode_values(package, {"threshold": 2.0})


@pytest.mark.parametrize(
    ("pack", "named"),
    [
        (build_threshold_pack([1, 2], threshold=3, inputs=[[1, 1]]), "a threshold model"),
        (forest_packs()["forest classification"], "a forest that classifies"),
        (forest_packs()["forest regression"], "a regression forest"),
        (with_sampling(isolation_forest(1, all_statistics(16, 24, 2)), {SAMPLE_EVERY: 9}), "keep no samples"),
    ],
)
def test_other_models_are_refused_by_name(pack: bytes, named: str) -> None:
    with pytest.raises(RuntimeUnsupported, match=named):
        translate(pack)


def test_damaged_packages_are_refused() -> None:
    package = translate(isolation_forest(1, all_statistics(16, 24, 2))).data
    files = disassemble_package(package)
    for wrong in (
        package[:-1],
        package + b"\0",
        b"",
        cbor2.dumps({name: files[name] for name in reversed(NAMES)}),
        cbor2.dumps({name: files[name] for name in NAMES[:3]}),
        cbor2.dumps({**files, "more.py": b""}),
        cbor2.dumps({**files, "config.json": "text"}),
    ):
        with pytest.raises(PackMalformed):
            disassemble_package(wrong)
