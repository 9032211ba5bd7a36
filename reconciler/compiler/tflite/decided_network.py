# SPDX-License-Identifier: Apache-2.0
"""A network with the head that makes its decision, and the comparison of its pack with the oracle."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from reconciler.compiler.errors import BuildFailed
from reconciler.compiler.pack.decision_head import DecisionMode
from reconciler.compiler.pack.fixed_point import Ints
from reconciler.compiler.pack.io_section import decode_io
from reconciler.compiler.pack.pack_format import SectionId, disassemble
from reconciler.compiler.pack.parameter_values import encode_value
from reconciler.compiler.pack.tunable_parameters_section import Parameter, ParameterEncoding, name_hash
from reconciler.compiler.reference.interpreter import ReferenceInterpreter
from reconciler.compiler.tflite.network_pack import Decision, DeviceLimits, NetworkPack, build_network
from reconciler.compiler.tflite.network_prediction import Int8Model
from reconciler.compiler.tflite.oracle import Oracle
from reconciler.model import THRESHOLD, Decide

HEAD_MODES: Mapping[str, DecisionMode] = {
    Decide.ARGMAX: DecisionMode.LARGEST,
    Decide.RECONSTRUCTION: DecisionMode.RECONSTRUCTION,
    Decide.THRESHOLD: DecisionMode.THRESHOLD,
}
_THRESHOLD_ENCODINGS = {DecisionMode.RECONSTRUCTION: ParameterEncoding.RECONSTRUCTION_ERROR}
_ORACLE_SAMPLES = 4
_ORACLE_STEPS = 24  # of a model with state


def build_decided_network(
    model: bytes, decide: str | None, parameters: Mapping[str, float], limits: DeviceLimits
) -> NetworkPack:
    """Build the pack of a full-int8 model that decides as a document says, by these parameters."""
    mode = HEAD_MODES[decide] if decide else None
    entries = _limit(build_network(model, limits=limits).data, mode, parameters)
    decision = None if mode is None else Decision(mode, 0 if entries else None)
    return build_network(model, decision=decision, parameters=entries, limits=limits)


def int8_model(model: bytes, network: NetworkPack) -> Int8Model:
    """Return the model in the oracle, with the interface of its pack."""
    pack = disassemble(network.data)
    inputs, outputs = decode_io(pack.section(SectionId.IO))
    targets = [item for item in outputs if item.tensor is not None]
    oracle = Oracle(model, network.locations)
    return Int8Model(oracle, inputs, targets, network.input_orders, SectionId.STATE in pack.sections)


def compare_with_oracle(data: bytes, oracle: Callable[[Sequence[Ints]], list[Ints]]) -> None:
    """Compare the pack with the oracle on a few random inputs; a difference is a bug of the compiler.

    If the model has state, the inputs are a sequence from the initial state, of both sides.
    """
    reference = ReferenceInterpreter(data)
    rng = np.random.default_rng(len(data))
    for _ in range(_ORACLE_STEPS if SectionId.STATE in reference.pack.sections else _ORACLE_SAMPLES):
        inputs = [rng.integers(-128, 128, source.elements) for source in reference.inputs]
        computed = reference.run([x.astype(np.int8).tobytes() for x in inputs]).outputs
        for ours, theirs in zip(computed, oracle(inputs), strict=False):  # ours may end with a decision
            if (np.frombuffer(ours, np.int8) != theirs).any():
                raise AssertionError("the pack does not compute what the oracle computes: a bug of the compiler")


def _limit(without_head: bytes, mode: DecisionMode | None, parameters: Mapping[str, float]) -> tuple[Parameter, ...]:
    if not parameters:
        if mode in {DecisionMode.RECONSTRUCTION, DecisionMode.THRESHOLD}:
            raise BuildFailed("spec.decide needs a limit: set `threshold` in spec.parameters")
        return ()
    if mode is None or set(parameters) != {THRESHOLD}:
        raise BuildFailed("a network takes one parameter, `threshold`, and only with a spec.decide that uses it")
    pack = disassemble(without_head)
    limits = (0, (1 << 31) - 1) if mode is DecisionMode.RECONSTRUCTION else (-129, 128)
    encoding = _THRESHOLD_ENCODINGS.get(mode, ParameterEncoding.OUTPUT_VALUE)
    entry = Parameter(name_hash(THRESHOLD), 0, *limits, encoding)
    default = encode_value(pack, entry, parameters[THRESHOLD])
    if not limits[0] <= default <= limits[1]:
        raise BuildFailed(f"the threshold {parameters[THRESHOLD]} is outside the range of the model's output")
    return (Parameter(entry.name_hash, default, *limits, entry.encoding),)
