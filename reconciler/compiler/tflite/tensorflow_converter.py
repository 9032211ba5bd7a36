# SPDX-License-Identifier: Apache-2.0
"""Converts `.keras` files and SavedModels to `.tflite` with TensorFlow.

This module and `keras_training` alone import TensorFlow, and only run in the build subprocess.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from reconciler.compiler.errors import BuildFailed, ModelUnreadable
from reconciler.compiler.tflite.untrusted_archives import check_keras, check_operations, unpack


@dataclass(frozen=True, slots=True)
class ConvertedModel:
    """A model quantized to full int8, and the same model in float."""

    int8: bytes
    float32: bytes


def convert_model(name: str, data: bytes, representative: npt.NDArray[np.float64] | None) -> ConvertedModel:
    """Quantize a float model with representative data."""
    if representative is None:
        raise BuildFailed(
            f"{name} is a float model: name representative data in spec.quantize.representative, which sets its ranges"
        )
    with tempfile.TemporaryDirectory() as folder:
        if name.endswith(".keras"):
            model = load_keras(name, data, Path(folder))
            return quantize_keras(model, representative)
        unpack(name, data, Path(folder))
        return _convert_saved(name, Path(folder), representative)


def _tensorflow() -> Any:  # noqa: ANN401 - no types
    import tensorflow  # noqa: PLC0415, ICN001 - 655 MB: never at import time

    return tensorflow


def load_keras(name: str, data: bytes, folder: Path) -> Any:  # noqa: ANN401 - no types
    """Load a model in the format of Keras, without any code that it may hold."""
    check_keras(name, data)
    tensorflow = _tensorflow()
    path = folder / "model.keras"
    path.write_bytes(data)
    try:
        return tensorflow.keras.models.load_model(path, compile=False, safe_mode=True)
    except MemoryError:
        raise
    except Exception as error:  # the loader passes on any exception of its parts
        raise ModelUnreadable(f"TensorFlow cannot load {name}: {_first_line(error)}") from error


def quantize_keras(model: Any, representative: npt.NDArray[np.float64]) -> ConvertedModel:  # noqa: ANN401
    """Convert a model of Keras in its present state."""
    tensorflow = _tensorflow()
    if len(model.inputs) != 1:
        raise BuildFailed(f"the model has {len(model.inputs)} inputs; only models with one input can be converted")
    shape = tuple(model.inputs[0].shape)
    if shape[0] != 1:  # otherwise layers such as Flatten add operators that compute shapes
        fixed = tensorflow.keras.Input(batch_shape=(1, *shape[1:]), dtype=model.inputs[0].dtype)
        model = tensorflow.keras.Model(fixed, model(fixed))
    samples = _samples(representative, (1, *shape[1:]))
    make = tensorflow.lite.TFLiteConverter.from_keras_model
    return ConvertedModel(_run(tensorflow, make(model), samples), _run(tensorflow, make(model), None))


def _convert_saved(name: str, folder: Path, representative: npt.NDArray[np.float64]) -> ConvertedModel:
    tensorflow = _tensorflow()
    roots = sorted(folder.rglob("saved_model.pb"))
    if len(roots) != 1:
        raise ModelUnreadable(f"{name} has {len(roots)} files named saved_model.pb; it must hold one SavedModel")
    _check_graph(name, roots[0].read_bytes())
    root = str(roots[0].parent)
    try:
        signature = tensorflow.saved_model.load(root).signatures["serving_default"]
        shape = next(iter(signature.structured_input_signature[1].values())).shape.as_list()
    except MemoryError:
        raise
    except Exception as error:
        raise ModelUnreadable(f"TensorFlow cannot load {name}: {_first_line(error)}") from error
    samples = _samples(representative, (1, *shape[1:]))
    make = tensorflow.lite.TFLiteConverter.from_saved_model
    return ConvertedModel(_run(tensorflow, make(root), samples), _run(tensorflow, make(root), None))


def _check_graph(name: str, data: bytes) -> None:
    from tensorflow.core.protobuf.saved_model_pb2 import SavedModel  # noqa: PLC0415 - as above

    parsed: Any = SavedModel()
    try:
        parsed.ParseFromString(data)
    except Exception as error:  # protobuf's DecodeError, which has moved between versions
        raise ModelUnreadable(f"saved_model.pb in {name} is damaged: {_first_line(error)}") from error
    operations: set[str] = set()
    for meta in parsed.meta_graphs:
        operations.update(node.op for node in meta.graph_def.node)
        for function in meta.graph_def.library.function:
            operations.update(node.op for node in function.node_def)
    check_operations(name, operations)


def _samples(rows: npt.NDArray[np.float64], shape: tuple[Any, ...]) -> list[npt.NDArray[np.float32]]:
    if None in shape or int(np.prod(shape)) != rows.shape[1]:
        raise BuildFailed(
            f"a row of the representative data has {rows.shape[1]} values; the model's input has the shape {shape}"
        )
    return [row.astype(np.float32).reshape(shape) for row in rows]


def _run(tensorflow: Any, converter: Any, samples: list[npt.NDArray[np.float32]] | None) -> bytes:  # noqa: ANN401
    if samples is not None:

        def dataset() -> Iterator[list[npt.NDArray[np.float32]]]:
            for sample in samples:
                yield [sample]

        converter.optimizations = [tensorflow.lite.Optimize.DEFAULT]
        converter.representative_dataset = dataset
        converter.target_spec.supported_ops = [tensorflow.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = tensorflow.int8
        converter.inference_output_type = tensorflow.int8
    try:
        return bytes(converter.convert())
    except MemoryError:
        raise
    except Exception as error:  # the converter passes on any exception of its parts
        raise BuildFailed(
            f"TensorFlow cannot convert the model to {'int8' if samples else 'float'}: {_first_line(error)}"
        ) from error


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[0] if lines else type(error).__name__)[:300]
