# SPDX-License-Identifier: Apache-2.0
"""Refuses every pack that the device's checker must refuse (docs/specs/pack.md section 9).

A device checks a pack once, when it is staged, so that inferences need no checks. The compiler applies the
same rules, so both sides reach the same verdict on the same bytes.
"""

from __future__ import annotations

from collections.abc import Sequence

from reconciler.compiler.pack.decision_head import DecisionMode, decode_head
from reconciler.compiler.pack.features_section import decode_features
from reconciler.compiler.pack.forest_head import ForestMode, decode_forest_head
from reconciler.compiler.pack.forest_section import decode_forest
from reconciler.compiler.pack.golden_section import decode_golden, has_digests
from reconciler.compiler.pack.io_section import Descriptor, ElementType, decode_io
from reconciler.compiler.pack.learn_section import decode_learn
from reconciler.compiler.pack.operator_checks import CheckedNetwork, check_multiplier, check_operator, require
from reconciler.compiler.pack.operators import LEARN, STAGE, STATE, THRESHOLD, TREE_ENSEMBLE, is_wide
from reconciler.compiler.pack.pack_format import WIDE_FORMAT_VERSION, Pack, PackKind, SectionId, disassemble
from reconciler.compiler.pack.plan_section import TensorRecord, decode_plan, decode_tensors
from reconciler.compiler.pack.state_section import decode_states
from reconciler.compiler.pack.tunable_parameters_section import Parameter, decode_parameters
from reconciler.compiler.pack.weighted_sum_section import check_threshold

MAX_RECORDS = 4096


def check_pack(data: bytes, *, arena_bytes: int = 1 << 31) -> None:
    """Raise `PackMalformed` for the first rule that a pack breaks."""
    pack = disassemble(data)
    require(
        pack.arena_bytes <= arena_bytes,
        f"the pack needs {pack.arena_bytes} bytes of arena; the device has {arena_bytes}",
    )
    inputs, outputs = decode_io(pack.section(SectionId.IO))
    parameters = decode_parameters(pack.section(SectionId.PARAMETERS))
    if pack.kind is PackKind.NEURAL_NETWORK:
        _check_network(pack, inputs, outputs, parameters)
    else:
        _check_simple(pack, inputs, outputs, parameters)
    golden = pack.section(SectionId.GOLDEN)
    require(pack.kind is PackKind.NEURAL_NETWORK or not has_digests(golden), "only a network can be a stage")
    decode_golden(golden, inputs, outputs, sequences=SectionId.STATE in pack.sections)


def _check_simple(pack: Pack, inputs: list[Descriptor], outputs: list[Descriptor], parameters: list[Parameter]) -> None:
    """Check a threshold model or a tree ensemble (kinds 0 and 2)."""
    require(len(inputs) == len(outputs) == 1, "a pack of this kind has one input and one output")
    source, target = inputs[0], outputs[0]
    require(source.tensor is None and target.tensor is None, "a pack of this kind has no tensors")
    require(target.type is ElementType.INT32 and len(target.shape) == 1, "the output must be a row of int32")
    if pack.kind is PackKind.THRESHOLD:
        require(
            source.type is not ElementType.INT32 and len(source.shape) == 1, "the input must be a row of int8 or int16"
        )
        require(target.elements == 2, "the output must be a decision and a score")  # noqa: PLR2004 - these two
        check_threshold(pack.section(SectionId.THRESHOLD), source, len(parameters))
        return
    window = decode_features(pack.section(SectionId.FEATURES))
    forest = decode_forest(pack.section(SectionId.FOREST), len(window.features))
    require(source.type is ElementType.INT16, "the input must be int16")
    require(source.shape == (window.samples, window.channels), "the input must be [samples, channels]")
    require(target.elements == 1 + forest.outputs, "the output must be the decision and the sums")
    require(forest.mode is not ForestMode.ISOLATION or bool(parameters), "an isolation forest needs parameter 0")
    require(pack.arena_bytes >= 4 * (len(window.features) + forest.outputs), "the arena is too small for the features")
    if SectionId.LEARN in pack.sections:
        head = decode_forest_head(pack.section(SectionId.FOREST))
        decode_learn(pack.section(SectionId.LEARN), head, features=len(window.features), arena_bytes=pack.arena_bytes)


def _check_network(
    pack: Pack, inputs: list[Descriptor], outputs: list[Descriptor], parameters: list[Parameter]
) -> None:
    network = CheckedNetwork(
        decode_tensors(pack.section(SectionId.TENSORS)),
        pack.section(SectionId.WEIGHTS),
        pack.arena_bytes,
    )
    plan = decode_plan(pack.section(SectionId.PLAN))
    require(
        1 <= len(plan) <= MAX_RECORDS and len(network.tensors) <= MAX_RECORDS,
        "PLAN or TENSORS has too few or too many records",
    )
    require(
        pack.version >= WIDE_FORMAT_VERSION or not any(is_wide(op) for op in plan),
        "the wide form needs pack format 2",
    )
    for record in network.tensors:
        _check_tensor(network, record)
    head = pack.section(SectionId.HEAD)
    if head:
        last = outputs[-1]
        right = last.tensor is None and last.type is ElementType.INT32 and last.shape == (2,)
        require(right and len(outputs) > 1, "with HEAD the last output must be a decision and a score")
        _check_head(network, head, len(parameters))
    for item in (*inputs, *(outputs[:-1] if head else outputs)):
        require(item.type is ElementType.INT8 and item.tensor is not None, "an input or output must be an int8 tensor")
        require(
            item.tensor is not None and item.tensor < len(network.tensors), "an input or output names an unknown tensor"
        )
        record = network.tensors[item.tensor or 0]
        require(
            not record.constant and record.elements == item.elements, "an input or output does not match its tensor"
        )
    _check_states(pack, network)
    for operator in plan:
        check_operator(network, operator)


def _check_states(pack: Pack, network: CheckedNetwork) -> None:
    states = decode_states(pack.section(SectionId.STATE))
    require(bool(states) == (SectionId.STATE in pack.sections), "STATE has no records")
    for state in states:
        require(state.tensor < len(network.tensors), "STATE: unknown tensor")
        require(not network.tensors[state.tensor].constant, "STATE: a state is a constant")


def _check_tensor(network: CheckedNetwork, record: TensorRecord) -> None:
    require(min(record.dims) >= 1 and record.elements < 1 << 24, "a tensor has invalid dimensions")
    memory_bytes = len(network.weights) if record.constant else network.arena_bytes
    require(record.offset + record.elements <= memory_bytes, "a tensor is outside of its memory")
    require(record.constant or record.offset % 4 == 0, "a tensor is not aligned")


def _check_head(network: CheckedNetwork, section: bytes, parameters: int) -> None:
    head = decode_head(section)
    pair = (head.first, head.second) if head.mode is DecisionMode.RECONSTRUCTION else (head.first,)
    require(all(i < len(network.tensors) and not network.tensors[i].constant for i in pair), "HEAD: unknown tensor")
    require(head.parameter is None or head.parameter < parameters, "HEAD: unknown parameter")
    if head.mode is DecisionMode.RECONSTRUCTION:
        first, second = (network.tensors[i].elements for i in pair)
        require(first == second <= 32768, "HEAD: the tensors differ in size or are too large")  # noqa: PLR2004
        check_multiplier(head.multiplier, head.shift)


def operator_numbers(data: bytes) -> Sequence[int]:
    """Return the numbers of the operators that a pack needs, in ascending order."""
    pack = disassemble(data)
    if pack.kind is PackKind.NEURAL_NETWORK:
        numbers = {operator.NUMBER for operator in decode_plan(pack.section(SectionId.PLAN))}
        stage = {STAGE} if has_digests(pack.section(SectionId.GOLDEN)) else set()
        return sorted(numbers | stage | ({STATE} if SectionId.STATE in pack.sections else set()))
    learns = [LEARN] if SectionId.LEARN in pack.sections else []
    return [THRESHOLD if pack.kind is PackKind.THRESHOLD else TREE_ENSEMBLE, *learns]
