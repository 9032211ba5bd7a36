# SPDX-License-Identifier: Apache-2.0
"""Inconsistent `.tflite` files are refused."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from ai_edge_litert import schema_py_generated as schema

from reconciler.compiler.errors import ModelUnreadable
from reconciler.compiler.tflite import graph_reader
from tests.compiler.sample_models import add_network
from tests.compiler.tflite_builder import Model as Flat


def _sparse(model: Flat) -> None:
    model._graph.tensors[2].sparsity = schema.SparsityParametersT()


def _no_such_code(model: Flat) -> None:
    model._graph.operators[0].opcodeIndex = 9


def _too_little_data(model: Flat) -> None:
    model._graph.tensors[2].shape = [5]


def _made_by_nothing(model: Flat) -> None:
    model.tensor([1, 4])


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (lambda: add_network(_sparse), "is sparse"),
        (lambda: add_network(_no_such_code), "operator code 9, which does not exist"),
        (lambda: add_network(_too_little_data), "has 4 bytes of data; its shape requires 5"),
        (lambda: add_network(lambda _model: None, outputs=[44]), "names tensor 44, which does not exist"),
        (lambda: add_network(_made_by_nothing, outputs=[3]), "no operator writes the output tensor 3"),
        (lambda: bytes(graph_reader.MAX_FILE_BYTES + 1), "the limit is 67108864"),
    ],
)
def test_an_inconsistent_file_is_refused(data: Callable[[], bytes], message: str) -> None:
    with pytest.raises(ModelUnreadable, match=message):
        graph_reader.check_order(graph_reader.read_graph(data()))


def test_a_tensor_with_several_zero_points_is_refused() -> None:
    tensor = graph_reader.Tensor(3, "x", (1, 4), "INT8", None, (0.1,), (1, 2), 0)
    with pytest.raises(ModelUnreadable, match="has 2 zero points instead of one"):
        _ = tensor.zero_point
    with pytest.raises(ModelUnreadable, match="must be a constant of integers"):
        tensor.ints()
