# SPDX-License-Identifier: Apache-2.0
"""Checks what device types say of operations: the built-ins of their firmware, and what it may ask for."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

from reconciler.load.document_index import DocumentIndex, Origin, RepositoryProblem, cap_alike
from reconciler.load.functions import BUILT_IN, OperationInputs, inputs_of, known_operations, too_free
from reconciler.model import (
    Builtin,
    DeviceType,
    RequestedOperation,
    Runtime,
    ValueDescriptor,
    device_operation,
)
from reconciler.operations.descriptors import ELEMENT_BYTES, DataDescriptor, mismatch
from reconciler.validation.problems import JsonPath, Rule

OCTETS_MAX = 600  # of a call or a request, and of its answer (docs/specs/operations.md section 8)


def check_device_operations(documents: DocumentIndex) -> Iterator[RepositoryProblem]:
    """Report built-ins that could not be offered, and requests that would always be refused."""
    yield from cap_alike(_built_ins(documents))
    yield from cap_alike(_requests(documents))


def _built_ins(documents: DocumentIndex) -> Iterator[RepositoryProblem]:
    functions = {function.operation: name for name, function in documents.functions.items()}
    for name, described in documents.types.items():
        origin = documents.origin("DeviceType", name)
        yield from _runtime(origin, described)
        yield from _duplicates(origin, "builtins", described.builtins)
        for place, builtin in enumerate(described.builtins):
            at: JsonPath = ("spec", "builtins", place)
            if builtin.operation.startswith(BUILT_IN):
                message = f"`{builtin.operation}` is reserved for what gateways have built in"
                hint = "choose another first part of the name"
                yield RepositoryProblem(origin, (*at, "operation"), Rule.CONFLICTING_VALUES, message, hint)
            for field, values in (("inputs", builtin.inputs), ("outputs", builtin.outputs)):
                yield from _values(origin, (*at, field), values)
    for device in documents.devices.values():
        of = documents.types.get(device.type)
        for place, builtin in enumerate(of.builtins if of is not None else ()):
            operation = device_operation(builtin, device.name)
            if operation in functions:
                message = f"the function `{functions[operation]}` is the operation `{operation}` already"
                origin, at = documents.origin("DeviceType", device.type), ("spec", "builtins", place, "operation")
                yield RepositoryProblem(origin, at, Rule.DUPLICATE_NAME, message, "rename one of them")


def _requests(documents: DocumentIndex) -> Iterator[RepositoryProblem]:
    if documents.has_broken("Function") or documents.has_broken("Gateway"):
        return
    known = known_operations(documents)
    taken = dict(inputs_of(documents))
    for name, of in documents.types.items():
        origin = documents.origin("DeviceType", name)
        yield from _duplicates(origin, "requests", of.requests)
        for place, request in enumerate(of.requests):
            at: JsonPath = ("spec", "requests", place)
            yield from _values(origin, (*at, "inputs"), request.inputs)
            if request.operation not in known:
                message = f"nothing in the fleet is the operation `{request.operation}`"
                hint = documents.suggest(request.operation, known)
                yield RepositoryProblem(origin, (*at, "operation"), Rule.UNRESOLVED_REFERENCE, message, hint)
            yield from _matches(origin, at, request, taken)


def _matches(
    origin: Origin, at: JsonPath, request: RequestedOperation, taken: Mapping[str, OperationInputs]
) -> Iterator[RepositoryProblem]:
    """Report what a gateway would refuse before it dispatches anything, each time."""
    wanted = taken.get(request.operation)
    if wanted is None:
        return
    offered = DataDescriptor(request.inputs)
    found = [mismatch(offered, each, _least_bytes(request.inputs)) for each in wanted]
    first = found[0]
    if first is not None and None not in found:
        message = f"`{request.operation}` does not take this: {first}"
        yield RepositoryProblem(origin, (*at, "inputs"), Rule.CONFLICTING_VALUES, message, "describe what it takes")


def _runtime(origin: Origin, of: DeviceType) -> Iterator[RepositoryProblem]:
    for field, given in (("builtins", of.builtins), ("requests", of.requests)):
        if given and of.runtime is Runtime.MICROPYTHON:
            message = "the agent in MicroPython has no operations"
            yield RepositoryProblem(origin, ("spec", field), Rule.CONFLICTING_VALUES, message, f"remove `{field}`")


def _duplicates(
    origin: Origin, field: str, given: Sequence[Builtin | RequestedOperation]
) -> Iterator[RepositoryProblem]:
    numbers = [each.number for each in given]
    operations = [each.operation for each in given]
    for place, each in enumerate(given):
        at: JsonPath = ("spec", field, place)
        if each.number in numbers[:place]:
            message = f"duplicate number {each.number}"
            yield RepositoryProblem(origin, (*at, "number"), Rule.DUPLICATE_NAME, message, "give it another number")
        if field == "builtins" and each.operation in operations[:place]:
            message = f"duplicate operation `{each.operation}`"
            yield RepositoryProblem(origin, (*at, "operation"), Rule.DUPLICATE_NAME, message, "rename one of them")


def _values(origin: Origin, at: JsonPath, values: Sequence[ValueDescriptor]) -> Iterator[RepositoryProblem]:
    yield from too_free(origin, at, values)
    least = _least_bytes(values)
    if least > OCTETS_MAX:
        message = f"these values have {least} bytes, and a message to or from a device has room for {OCTETS_MAX}"
        yield RepositoryProblem(origin, at, Rule.CONFLICTING_VALUES, message, "give the device less at a time")


def _least_bytes(values: Sequence[ValueDescriptor]) -> int:
    """Return how many bytes values have at least; a dimension of any size may be 0."""
    return sum(ELEMENT_BYTES[value.dtype] * math.prod(size or 0 for size in value.shape) for value in values)
