# SPDX-License-Identifier: Apache-2.0
"""Sizes of packs and payloads: `make bench-pack`.

Isolation forests of three features with a subsample of 100, as in the published comparison, evaluated on
24,000 windows of which a twentieth are anomalies; and a network after retraining that moved 1, 10 or 100 per
cent of its weights a little.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np

from bench.zoo import keyword_spotting
from reconciler.compiler.artifact_store import ArtifactStore
from reconciler.compiler.datasets import Dataset
from reconciler.compiler.forest.training import anomaly_scores, train_forest
from reconciler.compiler.pack.pack_format import Pack, SectionId, assemble, disassemble
from reconciler.compiler.payload.payload_encodings import candidates, decode
from reconciler.compiler.recipe import BuildTarget, File, Recipe
from reconciler.compiler.sandbox import BuildJob, run_job
from reconciler.compiler.tflite.network_pack import build_network
from reconciler.model import TrainSpec

WINDOWS = 24_000
THRESHOLD = 0.6
TARGET = BuildTarget("bench", "cortex-m4", 1 << 16, 1 << 15, ("TREE_ENSEMBLE",))


def windows(rng: np.random.Generator, count: int, *, odd: int = 0) -> np.ndarray:
    """Return windows of three correlated features; anomalies are two to four times as far from the mean."""
    mix = np.array([[1.0, 0.4, 0.2], [0.0, 0.8, 0.3], [0.0, 0.0, 0.6]])
    rows = np.asarray(rng.normal(0, 1, (count, 3)) @ mix)
    rows[:odd] *= rng.uniform(2.0, 4.0, (odd, 1))
    return rows


def forests() -> None:
    """Print the sizes of forests, and how many decisions quantization changes."""
    rng = np.random.default_rng(20261121)
    dataset = Dataset(("a", "b", "c"), windows(rng, 2000))
    evaluated = windows(rng, WINDOWS, odd=WINDOWS // 20)
    for trees in (10, 50):
        for scheme in ("int16", "int8"):
            train = TrainSpec("isolation-forest", trees, 100, 7)
            trained = train_forest(dataset, train, scheme=scheme, parameters={"threshold": THRESHOLD})
            exact = anomaly_scores(trained, trained.exact_sums(evaluated)) > THRESHOLD
            device = trained.device_sums(evaluated)[:, 0] < trained.limit()
            best = candidates(trained.data)[0]
            name = f"forest_{trees}_{scheme}"
            print(f"{name}_nodes={sum(len(tree.left) for tree in trained.exact.trees)}")
            print(f"{name}_bytes={len(trained.data)}")
            print(f"{name}_smallest_bytes={len(best.data)}  # {best.encoding.name.lower()}")
            print(f"{name}_changed_decisions={int((device != exact).sum())}  # of {WINDOWS}")


def deltas() -> None:
    """Print the payload sizes of a network for keyword spotting after retraining."""
    old = build_network(keyword_spotting()).data
    print(f"network_bytes={len(old)}")
    pack = disassemble(old)
    for percent in (1, 10, 100):
        new = retrained(pack, percent / 100)
        found = {
            ("delta" if payload.against_base else payload.encoding.name.lower()): payload
            for payload in candidates(new, old)
        }
        for payload in found.values():
            if decode(payload, len(new), old) != new:
                raise AssertionError("a payload does not decode to the pack")
        print(f"retrained_{percent}_raw_bytes={len(new)}")
        print(f"retrained_{percent}_heatshrink_bytes={len(found['heatshrink'].data)}")
        print(f"retrained_{percent}_compressed_bytes={min(len(found[form].data) for form in ('heatshrink', 'patch'))}")
        print(f"retrained_{percent}_delta_bytes={len(found['delta'].data)}")


def retrained(pack: Pack, share: float) -> bytes:
    """Move a share of the weights a little, as more epochs would; all golden outputs change."""
    rng = np.random.default_rng(int(1000 * share))
    weights = np.frombuffer(pack.section(SectionId.WEIGHTS), np.int8).astype(np.int64)
    changed = rng.choice(len(weights), int(share * len(weights)), replace=False)
    step = np.rint(rng.normal(0, 2, len(changed)))
    weights[changed] += np.where(step == 0, 1, step).astype(np.int64)
    golden = bytearray(pack.section(SectionId.GOLDEN))
    golden[8:] = rng.integers(0, 256, len(golden) - 8).astype(np.uint8).tobytes()
    sections = {**pack.sections, SectionId.WEIGHTS: weights.clip(-127, 127).astype(np.int8).tobytes()}
    return assemble(replace(pack, sections={**sections, SectionId.GOLDEN: bytes(golden)}))


def cached() -> None:
    """Print the time to look up an artifact in a new process, and which packages that process imported."""
    rng = np.random.default_rng(1)
    lines = ["a,b,c", *(",".join(f"{v:.3f}" for v in row) for row in windows(rng, 300))]
    data = ("\n".join(lines) + "\n").encode()
    source = File("x.csv", hashlib.sha256(data).hexdigest())
    recipe = Recipe("bench@1", source, TARGET, train=TrainSpec("isolation-forest", 10, 100, 7))
    with tempfile.TemporaryDirectory() as folder:
        ArtifactStore(folder).put(recipe.digest, run_job(BuildJob(recipe, {source.sha256: data})))
        (Path(folder) / "recipe.json").write_bytes(recipe.to_json())
        script = (
            "import sys, time; from pathlib import Path\n"
            "from reconciler.compiler.recipe import recipe_from_json\n"
            "from reconciler.compiler.service import BuildService\n"
            "from reconciler.compiler.artifact_store import ArtifactStore\n"
            "folder = sys.argv[1]\n"
            "began = time.perf_counter()\n"
            "recipe = recipe_from_json((Path(folder) / 'recipe.json').read_bytes())\n"
            "assert BuildService(ArtifactStore(folder)).cached(recipe)\n"
            "print(f'build_cached_ms={1000 * (time.perf_counter() - began):.1f}')\n"
            "print(f'build_cached_imports_tensorflow={int(\"tensorflow\" in sys.modules)}')\n"
        )
        sys.stdout.flush()
        subprocess.run([sys.executable, "-c", script, folder], check=True)


if __name__ == "__main__":
    forests()
    deltas()
    cached()
