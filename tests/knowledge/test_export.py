# SPDX-License-Identifier: Apache-2.0
"""An export has every sample with its votes and label, in formats that other programs read back."""

from __future__ import annotations

import csv
import stat
import subprocess
import sys
import tracemalloc
from collections import deque
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from pyarrow import ipc, parquet

from reconciler.compiler.datasets import read_dataset
from reconciler.knowledge.export import BATCH, COLUMNS, ExportFormat, export, rows_of
from reconciler.knowledge.records import SampleContext
from reconciler.knowledge.writer import KnowledgeWriter
from reconciler.model import ContestId, Digest, ModelRef, Version
from tests.knowledge.knowledge_samples import CONTEST, CONTEXT, NOON, batch, sample, voter

ROOT = Path(__file__).parents[2]


@pytest.fixture
def knowledge(tmp_path: Path) -> Iterator[KnowledgeWriter]:
    """1,203 samples, of which one has a label and one lacks its window."""
    opened = KnowledgeWriter(tmp_path / "knowledge.db")
    opened.save_context(SampleContext(CONTEXT, ModelRef("forest", Version("1")), Digest("a" * 64), {"threshold": 0.6}))
    samples = [sample(number) for number in range(1202)]
    opened.ingest(batch(0, *samples, sample(1202, window=None, element_type=0, context=b"????")))
    opened.label(2, "Ada", NOON, anomalous=False)
    opened.save_votes(CONTEST, {voter(1): {1: True, 2: None}, voter(2): {1: True}, voter(3): {1: False}}, 2)
    yield opened
    opened.close()


def test_csv_has_a_column_for_each_element(knowledge: KnowledgeWriter, tmp_path: Path) -> None:
    path = tmp_path / "samples.csv"
    assert export(knowledge, CONTEST, ExportFormat.CSV, path) == 1203
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 1203
    assert tuple(rows[0]) == (*COLUMNS, "f0", "f1", "f2", "s0", "s1", "s2", "s3")
    assert [rows[7][f"s{index}"] for index in range(4)] == ["7", "-1", "2", "-3"]
    assert (rows[0]["votes_anomalous"], rows[0]["votes_normal"], rows[0]["label"]) == ("2", "1", "")
    assert (rows[1]["votes_anomalous"], rows[1]["votes_normal"], rows[1]["label"]) == ("0", "0", "0")
    assert (rows[0]["model"], rows[0]["threshold"], rows[0]["anomalous"]) == ("forest@1", "0.6", "1")
    assert (rows[1202]["model"], rows[1202]["s0"]) == ("", "")


@pytest.mark.parametrize("form", [ExportFormat.PARQUET, ExportFormat.ARROW])
def test_other_formats_have_the_same_rows(knowledge: KnowledgeWriter, tmp_path: Path, form: ExportFormat) -> None:
    path = tmp_path / f"samples.{form}"
    assert export(knowledge, CONTEST, form, path) == 1203
    table = parquet.read_table(path) if form is ExportFormat.PARQUET else ipc.open_file(str(path)).read_all()
    assert table.to_pylist() == list(rows_of(knowledge, CONTEST))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_an_empty_contest_gives_an_empty_file(knowledge: KnowledgeWriter, tmp_path: Path) -> None:
    for form in ExportFormat:
        assert export(knowledge, ContestId("other"), form, tmp_path / form) == 0


def test_a_file_that_exists_is_left_alone(knowledge: KnowledgeWriter, tmp_path: Path) -> None:
    path = tmp_path / "mine"
    path.write_text("mine")
    with pytest.raises(FileExistsError):
        export(knowledge, CONTEST, ExportFormat.CSV, path)
    assert path.read_text() == "mine"


def test_without_the_extra_one_line_says_what_to_install(knowledge: KnowledgeWriter, tmp_path: Path) -> None:
    """In a Python that can't import pyarrow, as on a gateway without the extra."""
    code = (
        "import sys; sys.modules['pyarrow'] = None\n"
        "from pathlib import Path\n"
        "from reconciler.knowledge.export import *\n"
        "from reconciler.knowledge.reader import read_knowledge\n"
        "with read_knowledge(Path(sys.argv[1]), daemon_runs=True) as knowledge:\n"
        "    try:\n"
        "        export(knowledge, 'pump-vibration', ExportFormat.PARQUET, Path(sys.argv[2]))\n"
        "    except LearnMissing as missing:\n"
        "        print(missing)\n"
    )
    path = tmp_path / "samples.parquet"
    command = [sys.executable, "-c", code, str(knowledge.path), str(path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "an export as parquet needs pyarrow: install tinyfleet[learn], or export csv\n"
    assert not path.exists()


def test_an_export_can_train_a_model(knowledge: KnowledgeWriter, tmp_path: Path) -> None:
    """The windows, with a label, are a dataset of the compiler."""
    path = tmp_path / "samples.csv"
    export(knowledge, CONTEST, ExportFormat.CSV, path)
    with path.open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["s0"]]
    columns = [name for name in rows[0] if name.startswith("s") and name[1:].isdigit()]
    text = "\n".join([",".join([*columns, "label"]), *(",".join([*(r[c] for c in columns), "0"]) for r in rows)])
    assert read_dataset("train.csv", text.encode()).rows.shape == (1202, 4)


def test_an_export_holds_no_more_of_a_larger_knowledge_base(tmp_path: Path) -> None:
    """Votes are read with the batch of their samples: a full knowledge base has millions of them."""
    with closing(KnowledgeWriter(tmp_path / "knowledge.db")) as knowledge:
        peaks = []
        for size in (2 * BATCH, 6 * BATCH):
            known = knowledge.last_sample(CONTEST)
            knowledge.ingest(batch(known, *(sample(number) for number in range(known, size)), end=size))
            knowledge.save_votes(
                CONTEST, {voter(number): dict.fromkeys(range(known + 1, size + 1), True) for number in range(5)}, size
            )
            tracemalloc.start()
            rows = deque(rows_of(knowledge, CONTEST), maxlen=1)
            peaks.append(tracemalloc.get_traced_memory()[1])
            tracemalloc.stop()
            assert (rows[0]["number"], rows[0]["votes_anomalous"]) == (size, 5)
        assert peaks[1] < 1.2 * peaks[0]
