# SPDX-License-Identifier: Apache-2.0
"""The build service: the same bytes everywhere, one build per recipe, damaged entries, and limits."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from reconciler.compiler.artifact_store import ArtifactStore, StoreUnavailable
from reconciler.compiler.build_result import ORACLE_STEP, BuildResult
from reconciler.compiler.errors import BuildFailed, BuildGateFailed, DoesNotFit, ModelUnreadable
from reconciler.compiler.recipe import GateSpec, recipe_from_json
from reconciler.compiler.sandbox import BuildJob, BuildLimits, CageExit, can_isolate_network, failure_of_exit, run_job
from reconciler.compiler.service import BuildService
from reconciler.model import FeatureOf, TrainSpec
from tests.compiler.recipes import TARGET, Files, forest_recipe, readings


@pytest.fixture(scope="module")
def forest() -> tuple[Files, BuildResult]:
    files = Files()
    return files, run_job(BuildJob(forest_recipe(files), files.by_digest))


def test_an_artifact_is_not_built_twice(tmp_path: Path, forest: tuple[Files, BuildResult]) -> None:
    files, recipe = Files(), forest_recipe(Files())
    forest_recipe(files)
    service = BuildService(ArtifactStore(str(tmp_path)))
    assert service.cached(recipe) is None
    first = service.build(recipe, files)
    fetched = files.fetched
    again = BuildService(ArtifactStore(str(tmp_path))).build(recipe, files)
    assert again == first == forest[1]
    assert files.fetched == fetched


def test_a_cached_artifact_imports_no_large_package(tmp_path: Path, forest: tuple[Files, BuildResult]) -> None:
    recipe = forest_recipe(Files())
    ArtifactStore(str(tmp_path)).put(recipe.digest, forest[1])
    (tmp_path / "recipe.json").write_bytes(recipe.to_json())
    script = (
        "import sys; from pathlib import Path\n"
        "from reconciler.compiler.recipe import recipe_from_json\n"
        "from reconciler.compiler.service import BuildService\n"
        "from reconciler.compiler.artifact_store import ArtifactStore\n"
        f"folder = Path({str(tmp_path)!r})\n"
        "recipe = recipe_from_json((folder / 'recipe.json').read_bytes())\n"
        "service = BuildService(ArtifactStore(str(folder)))\n"
        "assert service.cached(recipe)\n"
        "print(*(m for m in ('tensorflow', 'sklearn', 'ai_edge_litert') if m in sys.modules))\n"
    )
    out = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split()
    assert out == []


def test_a_damaged_entry_is_built_again(tmp_path: Path) -> None:
    files = Files()
    recipe = forest_recipe(files)
    service = BuildService(ArtifactStore(str(tmp_path)))
    first = service.build(recipe, files)
    (entry,) = [p for p in tmp_path.rglob(recipe.digest) if p.parent.name != "locks"]
    whole = entry.read_bytes()
    for damaged in (whole[:-1], whole[:100], b"", whole[:-5] + b"XXXXX", whole.replace(b"pack_bytes", b"pack_bytez")):
        entry.write_bytes(damaged)
        assert service.cached(recipe) is None
    assert service.build(recipe, files) == first
    assert entry.read_bytes() == whole


def test_an_entry_under_the_wrong_key_is_ignored(tmp_path: Path, forest: tuple[Files, BuildResult]) -> None:
    store = ArtifactStore(str(tmp_path))
    other = forest_recipe(Files(), parameters={"threshold": 0.7})
    store.put(other.digest, forest[1])
    assert store.get(other.digest) is None


def test_a_store_can_be_any_fsspec_url(forest: tuple[Files, BuildResult]) -> None:
    recipe = forest_recipe(Files())
    store = ArtifactStore("memory://artifacts")
    assert store.get(recipe.digest) is None
    store.put(recipe.digest, forest[1])
    with store.exclusively(recipe.digest):
        assert ArtifactStore("memory://artifacts").get(recipe.digest) == forest[1]


def test_a_store_that_cannot_be_written_is_unavailable(tmp_path: Path, forest: tuple[Files, BuildResult]) -> None:
    (tmp_path / "file").write_text("no folder")
    store = ArtifactStore(str(tmp_path / "file"))
    with pytest.raises(StoreUnavailable):
        store.put("ab" * 32, forest[1])
    with pytest.raises(StoreUnavailable):
        store.get("ab" * 32)
    with pytest.raises(StoreUnavailable), store.exclusively("ab" * 32):
        pytest.fail("the lock cannot be taken")


def test_concurrent_requests_build_once(tmp_path: Path) -> None:
    files = Files()
    recipe = forest_recipe(files)
    service = BuildService(ArtifactStore(str(tmp_path)))
    barrier = threading.Barrier(4)

    def ask() -> BuildResult:
        barrier.wait()
        return service.build(recipe, files)

    with ThreadPoolExecutor(4) as pool:
        built = [future.result() for future in [pool.submit(ask) for _ in range(4)]]
    assert all(each == built[0] for each in built)
    assert files.fetched == len(recipe.files())


def test_two_services_on_one_store_build_once(tmp_path: Path) -> None:
    files = [Files(), Files()]
    recipe, _ = (forest_recipe(each) for each in files)
    services = [BuildService(ArtifactStore(str(tmp_path))) for _ in files]
    futures = [service.submit(recipe, each) for service, each in zip(services, files, strict=True)]
    assert futures[0].result() == futures[1].result()
    assert sorted(each.fetched for each in files) == [0, 1]


def test_any_executor_gives_the_same_bytes(tmp_path: Path, forest: tuple[Files, BuildResult]) -> None:
    files = Files()
    recipe = forest_recipe(files)
    with ProcessPoolExecutor(1) as pool:
        assert BuildService(ArtifactStore(str(tmp_path)), executor=pool).build(recipe, files) == forest[1]


def test_bytes_do_not_depend_on_the_hash_seed_or_threads(
    forest: tuple[Files, BuildResult], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONHASHSEED", "99")
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    files = Files()
    assert run_job(BuildJob(forest_recipe(files), files.by_digest)) == forest[1]


def test_a_recipe_is_read_as_written() -> None:
    files = Files()
    train = TrainSpec("extra-trees", 5, features=(FeatureOf("rms"), FeatureOf("kurtosis", 1)), channels=2)
    gate = GateSpec("accuracy", at_least=0.5, data=files.add("holdout.csv", b"x"))
    recipe = forest_recipe(files, train=train, gates=(gate,))
    assert recipe_from_json(recipe.to_json()) == recipe


def test_every_change_of_a_recipe_changes_its_digest() -> None:
    files = Files()
    recipe = forest_recipe(files)
    others = [
        replace(recipe, model="readings@1.0.1"),
        replace(recipe, scheme="int8"),
        replace(recipe, parameters={"threshold": 0.66}),
        replace(recipe, target=replace(TARGET, slot_bytes=65535)),
        replace(recipe, train=TrainSpec("isolation-forest", 10, 100, 8)),
        replace(recipe, gates=(GateSpec("auc", at_least=0.5),)),
    ]
    assert len({each.digest for each in (recipe, *others)}) == 7


def test_a_file_with_the_wrong_digest_is_refused(tmp_path: Path) -> None:
    recipe = forest_recipe(Files())
    with pytest.raises(BuildFailed, match=r"normal\.csv has the SHA-256 .*, but the model's document says"):
        BuildService(ArtifactStore(str(tmp_path))).build(recipe, lambda _file: b"something else")


def test_a_build_that_takes_too_long_is_stopped() -> None:
    files = Files()
    recipe = forest_recipe(files, train=TrainSpec("isolation-forest", 1024, 300, 1))
    began = time.monotonic()
    with pytest.raises(BuildFailed, match="took longer than its limit"):
        run_job(BuildJob(recipe, files.by_digest, BuildLimits(wall_s=1.0)))
    assert time.monotonic() - began < 60  # the whole build would take minutes


@pytest.mark.parametrize(
    ("ended", "error", "message"),
    [
        (
            CageExit(
                -signal.SIGABRT,
                timed_out=False,
                errors="INFO: delegate\nsoftmax.h:123 params.beta > 0",
                step=ORACLE_STEP,
            ),
            ModelUnreadable,
            r"TensorFlow Lite itself refuses this model: its kernels end with SIGABRT: softmax\.h:123 params",
        ),
        (
            CageExit(-signal.SIGSEGV, timed_out=False, errors="", step=ORACLE_STEP),
            ModelUnreadable,
            "SIGSEGV: they give no reason; convert",
        ),
        (
            CageExit(-signal.SIGABRT, timed_out=False, errors="what(): std::bad_alloc", step=ORACLE_STEP),
            BuildFailed,
            "was ended by SIGABRT: .* needs more than 1024 bytes of memory at the step `compare with TensorFlow Lite`",
        ),
        (
            CageExit(3, timed_out=False, errors="Trouble", step="convert"),
            BuildFailed,
            "exited with code 3 at the step `convert`: Trouble",
        ),
        (
            CageExit(0, timed_out=True, errors="", step="train"),
            BuildFailed,
            "its limit of 5 s and was stopped at the step `train`: use a",
        ),
    ],
)
def test_the_end_of_a_build_process_names_the_step(ended: CageExit, error: type, message: str) -> None:
    failure = failure_of_exit(ended, BuildLimits(wall_s=5.0, memory_bytes=1024))
    assert type(failure) is error
    assert re.search(message, str(failure))


def test_a_build_that_takes_too_much_memory_is_stopped() -> None:
    files = Files()
    with pytest.raises(BuildFailed):
        run_job(BuildJob(forest_recipe(files), files.by_digest, BuildLimits(memory_bytes=96 << 20)))


@pytest.mark.skipif(not can_isolate_network(), reason="this system lets no process give up its network")
def test_the_build_has_no_network(tmp_path: Path) -> None:
    script = "import socket; print([name for _, name in socket.if_nameindex()])"
    out = subprocess.run(
        ["unshare", "--user", "--map-root-user", "--net", "--", sys.executable, "-c", script],
        capture_output=True, text=True, check=True, cwd=tmp_path,
    )  # fmt: skip
    assert out.stdout.strip() == "['lo']"


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        (
            {"target": replace(TARGET, slot_bytes=1000)},
            BuildGateFailed,
            r"pack_bytes is \d+, but must be at most 1000 \(the slot of device type board\)",
        ),
        ({"target": replace(TARGET, arena_bytes=8)}, BuildGateFailed, "arena_bytes"),
        ({"target": replace(TARGET, operators=("CONV_2D",))}, DoesNotFit, "lacks the operators TREE_ENSEMBLE"),
        ({"target": replace(TARGET, pack_format=3)}, DoesNotFit, "pack format 3"),
        ({"gates": (GateSpec("instructions", at_most=10),)}, BuildGateFailed, "instructions is"),
        (
            {"target": replace(TARGET, clock_mhz=64.0), "gates": (GateSpec("inference_ms", at_most=0.001),)},
            BuildGateFailed,
            "inference_ms is 0",
        ),
        ({"gates": (GateSpec("auc", at_least=0.5),)}, BuildGateFailed, "needs data"),
        (
            {"input_shapes": ((1, 4),)},
            BuildFailed,
            r"spec\.inputs in the model's document has \[4\] elements, but the model has \[3\]",
        ),
        ({"parameters": {"threshold": 1.5}}, BuildFailed, "must be above 0 and at most 1"),
        ({"parameters": {"limit": 1}}, BuildFailed, "takes the parameter `threshold`"),
    ],
)
def test_the_first_failed_gate_ends_the_build(changes: dict[str, object], error: type, message: str) -> None:
    files = Files()
    with pytest.raises(error, match=message):
        run_job(BuildJob(forest_recipe(files, **changes), files.by_digest))


def test_gates_report_their_figures() -> None:
    files = Files()
    data = files.add("holdout.csv", readings(2, 200, odd=40))
    gates = (
        GateSpec("auc", at_least=0.95, data=data),
        GateSpec("float_auc", at_least=0.95, data=data),
        GateSpec("agreement", at_least=1.0, data=data),
        GateSpec("changed_decisions", at_most=0.0, data=data),
    )
    report = run_job(BuildJob(forest_recipe(files, gates=gates), files.by_digest)).report
    assert [gate.metric for gate in report.gates] == [
        "pack_bytes", "arena_bytes", "golden_vectors", "auc", "float_auc", "agreement", "changed_decisions",
    ]  # fmt: skip
    assert all(gate.passed for gate in report.gates)
