# SPDX-License-Identifier: Apache-2.0
# ruff: noqa: INP001 -- a script, not a package
"""Generate the model files and data of the example. Run it from the root of the repository.

It prints the SHA-256 of each file. The signals come from a seeded generator, not from a real plant, so
the example needs no download and can be reproduced. The models are real:

* `pump-vibration` is a 1-D convolutional autoencoder. The filters of encoder and decoder are the principal
  components of healthy signals, which is optimal for a linear autoencoder of that width (Eckart and Young
  1936). They are quantized to int8 and written as a `.tflite` file of two CONV_2D operators. Healthy
  signals are reproduced; the short impacts of a worn bearing are not.
* `line-current` is data only: the gateway trains the isolation forest on it (`spec.train` of the model).

Requires numpy and ai-edge-litert: `pip install "tinyfleet[build]"`.
"""

from __future__ import annotations

import csv
import hashlib
import sys
from pathlib import Path

import flatbuffers  # type: ignore[import-untyped]
import numpy as np
from ai_edge_litert import schema_py_generated as tfl
from numpy.typing import NDArray

SAMPLES = 64  # of one window, at 1.6 kHz
KERNEL = 8
SEED = 20261121
Float = NDArray[np.float64]


def vibration(rng: np.random.Generator, windows: int, *, worn: bool) -> Float:
    """Generate windows of pump vibration in g: shaft, blades and noise. A worn bearing adds short impacts."""
    time_s = np.arange(SAMPLES) / 1600.0
    phase = rng.uniform(0, 2 * np.pi, (windows, 3, 1))
    shaft_hz = rng.uniform(23.5, 24.5, (windows, 1))
    signal = 0.6 * np.sin(2 * np.pi * shaft_hz * time_s + phase[:, 0])
    signal += 0.25 * np.sin(2 * np.pi * 2 * shaft_hz * time_s + phase[:, 1])
    signal += 0.15 * np.sin(2 * np.pi * 5 * shaft_hz * time_s + phase[:, 2])
    signal += rng.normal(0, 0.02, signal.shape)
    if worn:
        for row in signal:
            for start in rng.integers(0, SAMPLES - 6, 3):
                ring = np.exp(-np.arange(6) / 2.0) * np.cos(np.pi * np.arange(6))
                row[start : start + 6] += rng.uniform(0.3, 0.6) * ring
    return np.asarray(signal, dtype=np.float64)


def filters(healthy: Float, width: int) -> Float:
    """Return the first `width` principal components of all pieces of healthy signals, one per row."""
    _, _, components = np.linalg.svd(healthy.reshape(-1, KERNEL), full_matrices=False)
    signs = np.sign(components[:, np.argmax(np.abs(components), axis=1)].diagonal())
    return np.asarray((components * signs[:, None])[:width], dtype=np.float64)


class Graph:
    """Builds a `.tflite` file: int8, one chain of operators."""

    def __init__(self) -> None:
        self.buffers = [tfl.BufferT()]  # number 0 is empty by convention
        self.tensors: list[tfl.TensorT] = []
        self.operators: list[tfl.OperatorT] = []

    def tensor(self, name: str, shape: list[int], scale: float, data: NDArray[np.generic] | None = None) -> int:
        """Add a tensor; with `data`, a constant."""
        tensor, quantization = tfl.TensorT(), tfl.QuantizationParametersT()
        quantization.scale, quantization.zeroPoint = [scale], [0]
        tensor.name, tensor.shape, tensor.quantization = name.encode(), shape, quantization
        tensor.type = tfl.TensorType.INT32 if data is not None and data.dtype == np.int32 else tfl.TensorType.INT8
        if data is not None:
            buffer = tfl.BufferT()
            buffer.data = np.frombuffer(data.tobytes(), dtype=np.uint8)
            tensor.buffer = len(self.buffers)
            self.buffers.append(buffer)
        self.tensors.append(tensor)
        return len(self.tensors) - 1

    def convolve(self, source: int, weights: Float, to: tuple[str, list[int], float]) -> int:
        """Convolve without overlap; `weights` is [filters, kernel, channels]. Return the output's tensor."""
        count, kernel, channels = weights.shape
        scale = float(np.abs(weights).max() / 127)
        integers = np.clip(np.round(weights / scale), -127, 127).astype(np.int8)
        name, shape, out_scale = to
        bias_scale = scale * self.tensors[source].quantization.scale[0]
        inputs = [
            source,
            self.tensor(f"{name}/weights", [count, 1, kernel, channels], scale, integers),
            self.tensor(f"{name}/bias", [count], bias_scale, np.zeros(count, dtype=np.int32)),
        ]
        self.tensors[inputs[1]].quantization.quantizedDimension = 0
        options, operator = tfl.Conv2DOptionsT(), tfl.OperatorT()
        options.padding, options.strideH, options.strideW = tfl.Padding.VALID, 1, kernel
        operator.builtinOptionsType, operator.builtinOptions = tfl.BuiltinOptions.Conv2DOptions, options
        operator.inputs, operator.outputs = inputs, [self.tensor(name, shape, out_scale)]
        self.operators.append(operator)
        return int(operator.outputs[0])

    def file(self, source: int, result: int) -> bytes:
        """Return the graph as a `.tflite` file."""
        code, graph, model = tfl.OperatorCodeT(), tfl.SubGraphT(), tfl.ModelT()
        code.builtinCode = code.deprecatedBuiltinCode = tfl.BuiltinOperator.CONV_2D
        code.version = 3
        graph.tensors, graph.operators, graph.inputs, graph.outputs = self.tensors, self.operators, [source], [result]
        graph.name = b"main"
        model.version, model.operatorCodes, model.subgraphs, model.buffers = 3, [code], [graph], self.buffers
        model.description = b"tinyfleet example"
        builder = flatbuffers.Builder(4096)
        builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
        return bytes(builder.Output())


def autoencoder(healthy: Float, width: int) -> bytes:
    """Build the autoencoder, which maps pieces of 8 samples to `width` numbers and back."""
    rows = filters(healthy, width)
    codes = healthy.reshape(-1, KERNEL) @ rows.T
    pieces = SAMPLES // KERNEL
    signal_scale, code_scale = float(np.abs(healthy).max() * 1.25 / 127), float(np.abs(codes).max() * 1.25 / 127)
    graph = Graph()
    source = graph.tensor("signal", [1, 1, SAMPLES, 1], signal_scale)
    code = graph.convolve(source, rows[:, :, None], ("code", [1, 1, pieces, width], code_scale))
    back = graph.convolve(code, rows.T[:, None, :], ("reconstruction", [1, 1, pieces, KERNEL], signal_scale))
    return graph.file(source, back)


def current(rng: np.random.Generator, rows: int, *, faulty: bool) -> Float:
    """Generate readings of one phase: mean and peak current in A, and the third harmonic in per cent."""
    mean = rng.normal(4.2, 0.15, rows)
    peak = mean * rng.normal(1.45, 0.03, rows)
    harmonic = rng.normal(2.0, 0.4, rows)
    if faulty:
        mean, harmonic = mean + rng.uniform(0.6, 1.5, rows), harmonic + rng.uniform(2.0, 6.0, rows)
    return np.stack([mean, peak, np.maximum(harmonic, 0)], axis=1)


def table(path: Path, header: list[str], rows: Float, digits: int) -> None:
    """Write readings as CSV, one window per line."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows([f"{value:.{digits}f}".removesuffix(".000") for value in row] for row in rows)


def main() -> None:
    """Generate all files and print each SHA-256, to copy into the Model documents."""
    root = Path(__file__).resolve().parents[1] / "models"
    rng = np.random.default_rng(SEED)
    healthy = vibration(rng, 600, worn=False)
    for version, width in (("1.0.0", 2), ("1.1.0", 3)):
        (root / "pump-vibration" / f"autoencoder-{version}.tflite").write_bytes(autoencoder(healthy, width))
    holdout = np.vstack([vibration(rng, 60, worn=False), vibration(rng, 60, worn=True)])
    labels = np.repeat([0.0, 1.0], 60)[:, None]
    header = [f"g{index:02d}" for index in range(SAMPLES)]
    table(root / "pump-vibration" / "holdout.csv", [*header, "label"], np.hstack([holdout, labels]), 3)
    readings = ["mean_a", "peak_a", "third_harmonic_pct"]
    table(root / "line-current" / "normal.csv", readings, current(rng, 400, faulty=False), 3)
    holdout = np.vstack([current(rng, 80, faulty=False), current(rng, 20, faulty=True)])
    labels = np.repeat([0.0, 1.0], [80, 20])[:, None]
    table(root / "line-current" / "holdout.csv", [*readings, "label"], np.hstack([holdout, labels]), 3)
    for path in sorted(root.rglob("*")):
        if path.suffix in {".csv", ".tflite"}:
            sys.stdout.write(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.relative_to(root.parent)}\n")


if __name__ == "__main__":
    main()
