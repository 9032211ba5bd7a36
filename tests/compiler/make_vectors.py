# SPDX-License-Identifier: Apache-2.0
"""Writes tests/vectors/pack.json and patch.json: run `python -m tests.compiler.make_vectors`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from reconciler.compiler.errors import PackMalformed
from reconciler.compiler.pack.checker import check_pack
from reconciler.compiler.pack.decision_head import DecisionMode
from reconciler.compiler.pack.io_section import ElementType
from reconciler.compiler.pack.pack_format import OLDEST_FORMAT_VERSION
from reconciler.compiler.pack.tunable_parameters_section import Parameter, name_hash
from reconciler.compiler.payload.patch import apply_patch, make_patch
from reconciler.compiler.reference.interpreter import ReferenceInterpreter, generate_inputs
from reconciler.compiler.tflite.network_pack import Decision, DeviceLimits, build_network
from reconciler.compiler.threshold.threshold_pack import build_threshold_pack
from tests.compiler.random_forests import forest_packs
from tests.compiler.tflite_builder import Model

VECTORS = Path(__file__).parent.parent / "vectors"
EDITS = 48


def _int8(seed: int, *shape: int) -> np.ndarray[Any, Any]:
    return np.random.default_rng(seed).integers(-127, 128, shape).astype(np.int8)


def _conv(*, depthwise: bool, padding: int, stride: int, dilation: int = 1) -> bytes:
    model = Model()
    x = model.tensor([1, 6, 5, 3], 0.05, 3)
    channels = 6 if depthwise else 4
    shape = (1, 3, 3, channels) if depthwise else (channels, 3, 3, 3)
    scales = [0.002 * (i + 1) for i in range(channels)]
    w = model.tensor(shape, scales, data=_int8(1, *shape), axis=3 if depthwise else 0)
    b = model.tensor([channels], 0.001, kind="INT32", data=np.arange(channels, dtype=np.int32) * 321 - 700)
    extent = 2 * dilation + 1
    out = [-(-n // stride) if padding == 0 else -(-(n - extent + 1) // stride) for n in (6, 5)]
    y = model.tensor([1, *out, channels], 0.3, -7)
    name, table = ("DEPTHWISE_CONV_2D", "DepthwiseConv2DOptions") if depthwise else ("CONV_2D", "Conv2DOptions")
    options: dict[str, Any] = {"depthMultiplier": 2} if depthwise else {}
    options |= {"padding": padding, "strideH": stride, "strideW": stride, "fusedActivationFunction": 1}
    options |= {"dilationHFactor": dilation, "dilationWFactor": dilation}
    model.operator(name, [x, w, b], [y], table=table, **options)
    return model.finish([x], [y])


def _dense(channels_have_scales: int, depth: int = 21) -> Model:
    model = Model()
    x = model.tensor([2, depth], 0.05, 3)
    scales = [0.004 + 0.001 * i for i in range(5 if channels_have_scales else 1)]
    w = model.tensor((5, depth), scales, data=_int8(2, 5, depth))
    y = model.tensor([2, 5], 0.21, -7)
    model.operator("FULLY_CONNECTED", [x, w, -1], [y], table="FullyConnectedOptions")
    return model


def _small() -> Iterator[tuple[str, bytes]]:
    """Return one model for each operator."""
    convolutions: dict[str, dict[str, Any]] = {
        "conv same": {"depthwise": False, "padding": 0, "stride": 2},
        "conv valid dilated": {"depthwise": False, "padding": 1, "stride": 1, "dilation": 2},
        "depthwise same": {"depthwise": True, "padding": 0, "stride": 1},
        "depthwise valid": {"depthwise": True, "padding": 1, "stride": 2},
    }
    for name, options in convolutions.items():
        yield name, _conv(**options)
    yield "dense per tensor", _dense(0).finish([0], [2])
    yield "dense per channel", _dense(1).finish([0], [2])
    for name in ("AVERAGE_POOL_2D", "MAX_POOL_2D"):
        model = Model()
        x, y = model.tensor([1, 7, 6, 2], 0.05, 3), model.tensor([1, 4, 3, 2], 0.05, 3)
        geometry = {"strideH": 2, "strideW": 2, "filterHeight": 3, "filterWidth": 3}
        model.operator(name, [x], [y], table="Pool2DOptions", padding=0, **geometry)
        yield name.lower(), model.finish([x], [y])
    model = Model()
    x, y = model.tensor([1, 7, 6, 2], 0.05, 3), model.tensor([1, 2], 0.03, 5)
    model.operator("MEAN", [x, model.constant([1, 2])], [y], table="ReducerOptions")
    yield "mean", model.finish([x], [y])
    for name in ("ADD", "MUL"):
        model = Model()
        x, z, y = (
            model.tensor([1, 3, 4, 2], 0.05, 3),
            model.tensor([4, 1], 0.09, -30),
            model.tensor([1, 3, 4, 2], 0.1, 5),
        )
        model.operator(name, [x, z], [y], table=f"{name.title()}Options", fusedActivationFunction=3)
        yield f"{name.lower()} broadcast", model.finish([x, z], [y])
    for name in ("QUANTIZE", "RELU6", "TANH"):
        model = Model()
        y_kind = {"TANH": (1 / 128, 0)}.get(name, (0.031, 5))
        x, y = model.tensor([1, 50], 0.05, 3), model.tensor([1, 50], *y_kind)
        model.operator(name, [x], [y])
        yield name.lower(), model.finish([x], [y])
    model = Model()
    x, y = model.tensor([3, 9], 0.11, 3), model.tensor([3, 9], 1 / 256, -128)
    model.operator("SOFTMAX", [x], [y], table="SoftmaxOptions", beta=1.0)
    yield "softmax", model.finish([x], [y])
    model = Model()
    x, p, y = (
        model.tensor([1, 2, 3, 2], 0.05, 3),
        model.tensor([1, 4, 4, 2], 0.05, 3),
        model.tensor([1, 4, 8, 2], 0.05, 3),
    )
    model.operator("PAD", [x, model.constant([[0, 0], [1, 1], [1, 0], [0, 0]])], [p], table="PadOptions")
    model.operator("CONCATENATION", [p, p], [y], table="ConcatenationOptions", axis=2)
    yield "pad and concatenation", model.finish([x], [y])


def models_with_state() -> Iterator[tuple[str, bytes]]:
    """Return a part of a tensor, and models that keep what they need of the past.

    The variable of the delay is assigned before it is used.
    """
    model = Model()
    x, y = model.tensor([1, 3, 4, 2], 0.05, 3), model.tensor([1, 3, 2, 2], 0.05, 3)
    bounds = [model.constant(values) for values in ([0, 0, 1, 0], [1, 3, 3, 2], [1, 1, 1, 1])]
    model.operator("STRIDED_SLICE", [x, *bounds], [y], table="StridedSliceOptions")
    yield "slice", model.finish([x], [y])
    model = Model()
    x, past, rows = (model.tensor([1, n, 1, 2], 0.05, 3) for n in (1, 4, 5))
    kept = model.variable([1, 4, 1, 2], 0.05, 3, np.full((1, 4, 1, 2), -7, np.int8))
    model.operator("READ_VARIABLE", [kept], [past])
    model.operator("CONCATENATION", [past, x], [rows], table="ConcatenationOptions", axis=1)
    younger = model.tensor([1, 4, 1, 2], 0.05, 3)
    bounds = [model.constant(values) for values in ([0, 1, 0, 0], [0, 0, 0, 0], [1, 1, 1, 1])]
    model.operator("STRIDED_SLICE", [rows, *bounds], [younger], table="StridedSliceOptions", beginMask=13, endMask=15)
    model.operator("ASSIGN_VARIABLE", [kept, younger], [])
    w = model.tensor((3, 5, 1, 2), [0.01, 0.02, 0.03], data=_int8(7, 3, 5, 1, 2))
    b = model.tensor([3], 0.001, kind="INT32", data=np.array([5, -600, 70], np.int32))
    y = model.tensor([1, 1, 1, 3], 0.4, -7)
    options = {"padding": 1, "strideH": 1, "strideW": 1, "dilationHFactor": 1, "dilationWFactor": 1}
    model.operator("CONV_2D", [rows, w, b], [y], table="Conv2DOptions", **options)
    yield "window over time", model.finish([x], [y])
    model = Model()
    x, past, y = model.tensor([1, 6], 0.05, 3), model.tensor([1, 6], 0.05, 3), model.tensor([1, 6], 0.1, 5)
    kept = model.variable([1, 6], 0.05, 3, np.full((1, 6), 3, np.int8))
    model.operator("READ_VARIABLE", [kept], [past])
    model.operator("ASSIGN_VARIABLE", [kept, x], [])
    model.operator("ADD", [past, x], [y], table="AddOptions")
    yield "delay", model.finish([x], [y])
    yield "svdf", _svdf()
    yield "lstm", _lstm()


def _svdf() -> bytes:
    """Return two units of two filters each, with a memory of three."""
    model = Model()
    x, y = model.tensor([1, 5], 0.05, 3), model.tensor([1, 2], 0.6, -128)
    w = model.tensor([4, 5], 0.01, data=_int8(9, 4, 5))
    time = np.random.default_rng(10).integers(-9000, 9000, (4, 3), np.int16)
    t = model.tensor([4, 3], 0.0001, kind="INT16", data=time)
    b = model.tensor([2], 1e-7, kind="INT32", data=np.array([900000, -70000], np.int32))
    memory = model.state([1, 12], 0.001)
    model.operator("SVDF", [x, w, t, b, memory], [y], table="SVDFOptions", rank=2, fusedActivationFunction=1)
    return model.finish([x], [y])


def _lstm() -> bytes:
    """Return three units over two steps, whose cells are clipped."""
    model = Model()
    x, y = model.tensor([1, 2, 4], 0.05, 3), model.tensor([1, 2, 3], 1 / 128, 5)
    inputs = [model.tensor([3, 4], 0.01, data=_int8(20 + gate, 3, 4)) for gate in range(4)]
    loops = [model.tensor([3, 3], 0.01, data=_int8(30 + gate, 3, 3)) for gate in range(4)]
    bias = np.array([500, -600, 70], np.int32)
    biases = [model.tensor([3], 0.0005, kind="INT32", data=bias * (gate - 1)) for gate in range(4)]
    hidden, cell = model.state([1, 3], 1 / 128, 5, "INT8"), model.state([1, 3], 2.0**-12)
    inside = [*(model.tensor([0], 2.0**-12, kind="INT16") for _ in range(4)), model.tensor([0], 1 / 128, 5)]
    model.operator(
        "UNIDIRECTIONAL_SEQUENCE_LSTM", [x, *inputs, *loops, *[-1] * 3, *biases, -1, -1, hidden, cell, *[-1] * 4], [y],
        table="UnidirectionalSequenceLSTMOptions", fusedActivationFunction=4, cellClip=1.5, intermediates=inside,
    )  # fmt: skip
    return model.finish([x], [y])


def good_packs() -> dict[str, bytes]:
    """Return all packs of the vectors, by name."""
    packs = {name: build_network(model).data for name, model in _small()}
    plain = {name: model for name, model in _small() if name.startswith(("conv", "depthwise"))}
    oldest = DeviceLimits(OLDEST_FORMAT_VERSION)
    packs |= {f"{name} plain": build_network(model, limits=oldest).data for name, model in plain.items()}
    packs["dense wide"] = build_network(_dense(1, 24).finish([0], [2])).data
    parameter = (Parameter(name_hash("threshold"), 40, -128, 127),)
    classifier = _dense(1).finish([0], [2])
    packs["head largest"] = build_network(classifier, decision=Decision(DecisionMode.LARGEST)).data
    packs["head largest with floor"] = build_network(
        classifier, decision=Decision(DecisionMode.LARGEST, 0), parameters=parameter
    ).data
    packs["head threshold"] = build_network(
        classifier, decision=Decision(DecisionMode.THRESHOLD, 0), parameters=parameter
    ).data
    echo = Model()
    x, y = echo.tensor([1, 32], 0.05, 3), echo.tensor([1, 32], 0.03, -5)
    echo.operator("RELU", [x], [y])
    packs["head reconstruction"] = build_network(
        echo.finish([x], [y]),
        decision=Decision(DecisionMode.RECONSTRUCTION, 0),
        parameters=(Parameter(name_hash("threshold"), 1000, 0, 1 << 30),),
    ).data
    weights = [3, -4, 5, 100, -100, 127, -127, 0]
    packs["threshold int16"] = build_threshold_pack(
        weights, threshold=50, bias=-1000, shift=4, inputs=[range(8), [32767, -32768] * 4]
    )
    packs["threshold int8"] = build_threshold_pack(
        weights, threshold=-5, shift=0, element=ElementType.INT8, inputs=[range(8), [127, -128] * 4]
    )
    return packs | forest_packs() | {name: build_network(model).data for name, model in models_with_state()}


def _edited(packs: dict[str, bytes]) -> Iterator[dict[str, Any]]:
    """Return packs with one byte changed, with the verdict of the checker."""
    rng = np.random.default_rng(11)
    for name, data in packs.items():
        places = rng.choice(len(data), min(EDITS, len(data)), replace=False)
        for at in sorted(int(p) for p in places):
            value = int(data[at] ^ (1 << rng.integers(0, 8))) if rng.integers(0, 2) else int(rng.integers(0, 256))
            changed = data[:at] + bytes([value]) + data[at + 1 :]
            yield {"pack": name, "at": at, "value": value, "valid": _valid(changed)}


def _valid(data: bytes) -> bool:
    try:
        check_pack(data, arena_bytes=1 << 16)
    except PackMalformed:
        return False
    return True


def pack_vectors() -> dict[str, Any]:
    """Return the content of pack.json."""
    packs = good_packs()
    good = []
    for name, data in packs.items():
        reference = ReferenceInterpreter(data)
        runs = []
        for seed in (1, 12345, 0xDEADBEEF):
            inputs = generate_inputs(seed, reference.inputs)
            out = reference.run(inputs)
            outputs = b"".join(out.outputs).hex()
            runs.append({"seed": seed, "outputs": outputs, "decision": out.decision, "score": out.score})
        good.append({"name": name, "pack": data.hex(), "runs": runs})
    return {"good": good, "edited": list(_edited(packs))}


def patch_vectors() -> list[dict[str, Any]]:
    """Return the content of patch.json: the result in hexadecimal, or null if a device must refuse."""
    rng = np.random.default_rng(5)
    old = rng.integers(0, 256, 300).astype(np.uint8)
    near = old + (rng.integers(0, 20, 300) == 0)
    far = old + rng.integers(0, 5, 300).astype(np.uint8)
    dense_then_new = np.concatenate([old[:150], rng.integers(0, 256, 150).astype(np.uint8)])
    source = old.tobytes()
    packs = good_packs()
    cases: list[tuple[str, bytes | None, bytes]] = [
        ("same", source, source),
        ("few changes", source, near.astype(np.uint8).tobytes()),
        ("all changed a little", source, far.tobytes()),
        ("half is new", source, dense_then_new.tobytes()),
        ("grown", source, source + b"tail"),
        ("against nothing", None, far.tobytes()),
        ("zeros from nothing", None, bytes(1000)),
        ("pack to pack", packs["conv same"], packs["depthwise same"]),
    ]
    vectors = []
    for name, base, target in cases:
        patch = make_patch(target, base)
        row = {"name": name, "source": (base or b"").hex(), "length": len(target), "patch": patch.hex()}
        vectors.append({**row, "result": target.hex()})
        for at in sorted(int(p) for p in rng.choice(8 * len(patch), min(24, 8 * len(patch)), replace=False)):
            damaged = bytearray(patch)
            damaged[at // 8] ^= 1 << at % 8
            vectors.append(
                {**row, "name": f"{name}, bit {at}", "patch": damaged.hex(), "result": _applied(damaged, row)}
            )
        shorter = patch[:-1]
        vectors.append({**row, "name": f"{name}, cut", "patch": shorter.hex(), "result": _applied(shorter, row)})
    return vectors


def _applied(patch: bytes | bytearray, row: dict[str, Any]) -> str | None:
    try:
        return apply_patch(bytes(patch), bytes.fromhex(row["source"]), row["length"]).hex()
    except PackMalformed:
        return None


def as_text(content: Any) -> str:  # noqa: ANN401 - JSON
    """Return the text of the file, with one record per line."""
    if isinstance(content, list):
        return "[\n" + ",\n".join(json.dumps(item) for item in content) + "\n]\n"
    parts = [f'"{key}": [\n' + ",\n".join(json.dumps(item) for item in rows) + "\n]" for key, rows in content.items()]
    return "{\n" + ",\n".join(parts) + "\n}\n"


if __name__ == "__main__":
    (VECTORS / "pack.json").write_text(as_text(pack_vectors()))
    (VECTORS / "patch.json").write_text(as_text(patch_vectors()))
