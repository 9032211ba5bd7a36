# SPDX-License-Identifier: Apache-2.0
"""How each kind of model of a pool votes. Runs only in the caged process."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from reconciler.compiler.engine_runner import ExecutionTarget, HostRunner, make_request, runner_is_built, runner_program
from reconciler.compiler.errors import BuildFailed, ModelUnreadable, ToolsMissing
from reconciler.compiler.pack.checker import check_pack
from reconciler.compiler.pack.io_section import Descriptor, ElementType
from reconciler.compiler.pack.pack_format import PackKind, SectionId, disassemble
from reconciler.compiler.pack.parameter_values import encode_values
from reconciler.compiler.pool.forest_evaluation import ForestEvaluation
from reconciler.compiler.pool.messages import ABSTAINED, PooledKind, PooledModel, SampleRows
from reconciler.compiler.reference.interpreter import ReferenceInterpreter
from reconciler.model.contests import THRESHOLD

Votes = npt.NDArray[np.int8]
Floats = npt.NDArray[np.float64]
Thresholds = Sequence[float | None]


class Evaluation(Protocol):
    """A model that is ready to vote."""

    def vote(self, rows: SampleRows, thresholds: Thresholds) -> Votes:
        """Return a row of votes for each threshold."""


def evaluation_of(model: PooledModel) -> Evaluation:
    """Load a model, or raise what is wrong with it."""
    match model.kind:
        case PooledKind.PACK:
            check_pack(model.data)
            is_forest = disassemble(model.data).kind is PackKind.TREE_ENSEMBLE
            return ForestEvaluation(model.data) if is_forest else PackEvaluation(model.data)
        case PooledKind.TFLITE:
            return NetworkEvaluation(_tflite(model.data), model.decide)
        case PooledKind.KERAS:
            return NetworkEvaluation(_keras(model), model.decide)
        case PooledKind.SKOPS:
            return SklearnEvaluation(_skops(model))


def abstain(rows: SampleRows, thresholds: Thresholds) -> Votes:
    """Return no vote for any row."""
    return np.full((len(thresholds), rows.count), ABSTAINED, np.int8)


class PackEvaluation:
    """A network or a threshold model as a pack: on the device's own engine if it is built, else on the reference."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._reference = ReferenceInterpreter(data)
        self._input: Descriptor = self._reference.inputs[0]

    def vote(self, rows: SampleRows, thresholds: Thresholds) -> Votes:
        """Run every window once for each threshold."""
        # The rows are windows from many devices, not a sequence, so a model with state has nothing to continue from.
        if SectionId.STATE in self._reference.pack.sections:
            return abstain(rows, thresholds)
        fits = rows.layout.element_type == self._input.type and len(rows.windows) == self._input.nbytes * rows.count
        if not fits or len(self._reference.inputs) != 1:
            return abstain(rows, thresholds)
        size = self._input.nbytes
        windows = [rows.windows[at : at + size] for at in range(0, len(rows.windows), size)]
        return np.array([self._decisions(windows, threshold) for threshold in thresholds], np.int8)

    def _decisions(self, windows: Sequence[bytes], threshold: float | None) -> list[int]:
        values = [entry.default for entry in self._reference.parameters]
        if threshold is not None:
            for index, value in encode_values(self._data, {THRESHOLD: threshold}).items():
                values[index] = value
        if runner_is_built(ExecutionTarget.HOST):
            with closing(HostRunner(runner_program(ExecutionTarget.HOST))) as runner:
                request = make_request(self._data, windows, parameters=values)
                inferences = runner.ask(request, len(windows)).inferences
            return [ABSTAINED if each.error else int(each.decision != 0) for each in inferences]
        return [int(self._reference.run([window], values).decision != 0) for window in windows]


Predict = Callable[[npt.NDArray[np.float32]], Floats]


class NetworkEvaluation:
    """A network in floating point, with the decision that its document names."""

    def __init__(self, predict: tuple[int, Predict], decide: str | None) -> None:
        self._elements, self._predict = predict
        if decide is None:
            raise BuildFailed("a network of the pool needs spec.decide: it says how its output becomes a decision")
        self._decide = decide

    def vote(self, rows: SampleRows, thresholds: Thresholds) -> Votes:
        """Run every window once, and compare its score with each threshold."""
        windows = real_windows(rows)
        if windows is None or windows.shape[1] != self._elements:
            return abstain(rows, thresholds)
        outputs = np.array([self._predict(window.astype(np.float32)).reshape(-1) for window in windows], np.float64)
        if self._decide == "argmax":
            return np.tile((outputs.argmax(axis=1) != 0).astype(np.int8), (len(thresholds), 1))
        is_error = self._decide == "reconstruction"
        if is_error and outputs.shape != windows.shape:
            return abstain(rows, thresholds)
        scores = ((outputs - windows) ** 2).mean(axis=1) if is_error else outputs[:, 0]
        return _above(scores, thresholds)


class SklearnEvaluation:
    """An estimator of scikit-learn: on the window, or on the features of the samples, by its number of inputs."""

    def __init__(self, estimator: Any) -> None:  # noqa: ANN401 - no types
        self._estimator = estimator
        self._inputs = int(estimator.n_features_in_)

    def vote(self, rows: SampleRows, thresholds: Thresholds) -> Votes:
        """Predict all rows at once. An outlier is -1, an anomalous class is not 0."""
        inputs = self._matching(rows)
        if inputs is None:
            return abstain(rows, thresholds)
        if not hasattr(self._estimator, "score_samples"):
            predicted = self._estimator.predict(inputs)
            return np.tile((predicted != 0).astype(np.int8), (len(thresholds), 1))
        own = (self._estimator.predict(inputs) == -1).astype(np.int8)
        scores = -np.asarray(self._estimator.score_samples(inputs), np.float64)
        return np.array([own if each is None else (scores > each).astype(np.int8) for each in thresholds], np.int8)

    def _matching(self, rows: SampleRows) -> Floats | None:
        windows = real_windows(rows)
        if windows is not None and windows.shape[1] == self._inputs:
            return windows
        if rows.layout.statistics and len(rows.layout.statistics) == self._inputs:
            return np.frombuffer(rows.features, "<i4").reshape(rows.count, -1).astype(np.float64)
        return None


def real_windows(rows: SampleRows) -> Floats | None:
    """Return the windows in real units; None: the samples have none."""
    layout = rows.layout
    if layout.element_type not in tuple(ElementType) or not rows.windows:
        return None
    values = np.frombuffer(rows.windows, ElementType(layout.element_type).code).reshape(rows.count, -1)
    return (values.astype(np.float64) - layout.zero_point) * layout.scale


def _above(scores: Floats, thresholds: Thresholds) -> Votes:
    return np.array(
        [np.full(len(scores), ABSTAINED) if each is None else scores > each for each in thresholds], np.int8
    )


def _tflite(data: bytes) -> tuple[int, Predict]:
    from ai_edge_litert.interpreter import Interpreter  # noqa: PLC0415 - of the extra `build`

    try:
        interpreter = Interpreter(model_content=data, num_threads=1)
        interpreter.allocate_tensors()
    except (ValueError, RuntimeError) as error:
        raise ModelUnreadable(f"TensorFlow Lite can't read the model: {error}") from error
    (source, *more), target = interpreter.get_input_details(), interpreter.get_output_details()[0]
    if more:
        raise ModelUnreadable("the model has several inputs; a model of the pool has one")

    def predict(window: npt.NDArray[np.float32]) -> Floats:
        interpreter.set_tensor(source["index"], _quantized(window, source).reshape(source["shape"]))
        interpreter.invoke()
        return _dequantized(interpreter.get_tensor(target["index"]), target)

    return int(np.prod(source["shape"])), predict


def _quantized(window: npt.NDArray[np.float32], detail: dict[str, Any]) -> npt.NDArray[np.generic]:
    dtype = np.dtype(detail["dtype"])
    if dtype.kind == "f":
        return window.astype(dtype)
    scale, zero_point = detail["quantization"]
    limits = np.iinfo(dtype)
    return np.asarray(np.clip(np.rint(window / scale) + zero_point, limits.min, limits.max), dtype)


def _dequantized(values: npt.NDArray[np.generic], detail: dict[str, Any]) -> Floats:
    if values.dtype.kind == "f":
        return values.astype(np.float64)
    scale, zero_point = detail["quantization"]
    return np.asarray((values.astype(np.float64) - zero_point) * scale, np.float64)


def _keras(model: PooledModel) -> tuple[int, Predict]:
    from reconciler.compiler.tflite.tensorflow_converter import load_keras  # noqa: PLC0415 - of the extra `build`

    with tempfile.TemporaryDirectory() as folder:
        loaded = load_keras(model.name, model.data, Path(folder))
    shape = tuple(loaded.inputs[0].shape)[1:]

    def predict(window: npt.NDArray[np.float32]) -> Floats:
        return np.asarray(loaded(window.reshape(1, *shape), training=False), np.float64)

    return int(np.prod(shape)), predict


# The types that a file of skops may hold, besides those that skops itself trusts. Nothing in a file can add to them.
SKOPS_TYPES = ("sklearn.tree._tree.Tree",)  # the trees of forests: their links are checked before they are followed


def _skops(model: PooledModel) -> Any:  # noqa: ANN401 - no types
    try:
        from skops import io  # noqa: PLC0415 - of the extra `learn`
    except ModuleNotFoundError as missing:
        raise ToolsMissing("a .skops model needs skops: install tinyfleet[learn]") from missing
    try:
        unknown = sorted(set(io.get_untrusted_types(data=model.data)) - set(SKOPS_TYPES))
        loaded = None if unknown else io.loads(model.data, trusted=list(SKOPS_TYPES))
    except MemoryError:
        raise
    except Exception as error:  # the loader passes on any exception of its parts
        raise ModelUnreadable(f"{model.name} can't be read: {error}") from error
    if unknown:
        raise ModelUnreadable(f"{model.name} holds {', '.join(unknown)}, which is not allowed in a model")
    for estimator in (loaded, *np.ravel(getattr(loaded, "estimators_", []))):
        _check_links(model.name, getattr(estimator, "tree_", None))
    return loaded


def _check_links(name: str, tree: Any) -> None:  # noqa: ANN401 - no types
    """Refuse a tree that leads outside of its own arrays: scikit-learn follows its links without a check."""
    if tree is None:
        return
    count, inner = tree.node_count, tree.children_left != -1
    numbers = np.arange(count)
    for links in (tree.children_left, tree.children_right):
        if len(links) != count or not ((links[inner] > numbers[inner]) & (links[inner] < count)).all():
            raise ModelUnreadable(f"{name} holds a tree whose nodes lead nowhere")
    if not ((tree.feature[inner] >= 0) & (tree.feature[inner] < tree.n_features)).all():
        raise ModelUnreadable(f"{name} holds a tree that asks for a feature that it does not have")
