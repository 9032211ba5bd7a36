# SPDX-License-Identifier: Apache-2.0
"""Datasets of gates and of training."""

from __future__ import annotations

from reconciler.compiler.datasets import read_dataset


def test_a_dataset_without_a_label_column_has_no_labels() -> None:
    assert read_dataset("t.csv", b"a,b\n1,2\n3,4\n", label="label").labels is None
