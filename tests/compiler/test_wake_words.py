# SPDX-License-Identifier: Apache-2.0
"""The wake words that home-automation users run on microphones: exact over a sequence, layer by layer, in C."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from flatbuffers import Builder

from bench.public_models import fetch
from reconciler.compiler.engine_runner import HostRunner, make_request
from reconciler.compiler.pack.operators import Concatenation
from reconciler.compiler.tflite.network_pack import build_network
from reconciler.compiler.tflite.oracle import Oracle
from tests.firmware.conftest import build

STEPS = 60  # the oldest rows of the longest window are from 20 inferences before
WORDS = ("alexa", "hey_jarvis", "hey_mycroft", "okay_nabu")


@pytest.fixture(scope="module")
def models() -> dict[str, Path]:
    return {path.stem: path for path in fetch()}


def with_layers_as_outputs(model: bytes) -> bytes:
    """Return the model with the last dense layer, and the layers before it, as outputs: noise is never a wake word."""
    opened = schema.ModelT.InitFromObj(schema.Model.GetRootAs(model, 0))
    graph = opened.subgraphs[0]
    codes = [code.builtinCode for code in opened.operatorCodes]
    layers = (schema.BuiltinOperator.FULLY_CONNECTED, schema.BuiltinOperator.DEPTHWISE_CONV_2D)
    graph.outputs = [op.outputs[0] for op in graph.operators if codes[op.opcodeIndex] in layers][-4:]
    opened.signatureDefs = []
    builder = Builder(len(model))
    builder.Finish(opened.Pack(builder), b"TFL3")
    return bytes(builder.Output())


@pytest.mark.parametrize("word", WORDS)
def test_every_step_equals_the_oracle(models: dict[str, Path], word: str) -> None:
    model = with_layers_as_outputs(models[word].read_bytes())
    network, oracle = build_network(model), Oracle(model)
    rng = np.random.default_rng(len(model))
    steps = [rng.integers(-128, 128, oracle.inputs[0]["shape"]).astype(np.int8) for _ in range(STEPS)]
    runner = HostRunner(build("host-asan") / "tinyfleet-runner")
    done = runner.ask(make_request(network.data, [x.tobytes() for x in steps]), STEPS)
    runner.close()
    assert (done.verdict, done.first_wrong_golden) == (0, None)
    computed = [each.outputs for each in done.inferences]
    assert computed == [b"".join(out.tobytes() for out in oracle.run([x])) for x in steps]
    assert len(set(computed)) == STEPS


@pytest.mark.parametrize(("word", "arena_bytes"), list(zip(WORDS, (3496, 3292, 4136, 4840), strict=True)))
def test_the_windows_of_a_wake_word_are_kept_in_place(models: dict[str, Path], word: str, arena_bytes: int) -> None:
    """The documents of the models ask for 22,348 to 37,000 bytes."""
    network = build_network(models[word].read_bytes())
    assert network.placement.layout.size == network.placement.lower_bound == arena_bytes
    joined = [op for op in network.placement.operators if isinstance(op, Concatenation)]
    assert len(joined) == (6 if word == "okay_nabu" else 0)  # three pairs of layers that each take half of the channels
