# SPDX-License-Identifier: Apache-2.0
"""Checks functions against the gateways that would run them, and what gateways offer as nodes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from reconciler.load.document_index import DocumentIndex, Origin, RepositoryProblem, cap_alike
from reconciler.load.references import DocumentReference
from reconciler.model import Function, Gateway, GatewayId, GatewayNode, ItemDescriptor, LocalStorage, device_operation
from reconciler.operations.descriptors import DataDescriptor, value_of
from reconciler.operations.placement import eligible
from reconciler.validation.problems import JsonPath, Rule, quoted_list

BUILT_IN = ("data.", "fleet.", "node.")
VERBS = ("put", "get", "list", "delete", "stat")  # of `data.<verb>.<bucket>`
OperationInputs = tuple[DataDescriptor, ...]  # what the nodes that have it take
ENDINGS = (".wat", ".wasm")


def check_functions(documents: DocumentIndex) -> Iterator[RepositoryProblem]:
    """Report functions that no gateway could run, and gateways that could not be the node that they describe."""
    yield from cap_alike(_nodes(documents))
    yield from cap_alike(_functions(documents))


def _nodes(documents: DocumentIndex) -> Iterator[RepositoryProblem]:
    for name, gateway in documents.gateways.items():
        node = gateway.node
        if node is None:
            continue
        origin = documents.origin("Gateway", name)
        if gateway.links is not None and gateway.links.mqtt is None:
            message = "clients call operations through the broker of the gateway, and `links` names none"
            yield RepositoryProblem(origin, ("spec", "node"), Rule.CONFLICTING_VALUES, message, "add `mqtt: {}`")
        yield from _forward(documents, origin, name, node)
        if node.storage is not None:
            yield from _buckets(origin, node.storage)


def _forward(
    documents: DocumentIndex, origin: Origin, name: GatewayId, node: GatewayNode
) -> Iterator[RepositoryProblem]:
    for place, other in enumerate(node.forward):
        at = ("spec", "node", "forward", place)
        if other not in documents.gateways:
            yield from DocumentReference(documents, origin, at).unresolved("Gateway", other, documents.gateways)
        elif other == name or documents.gateways[other].node is None:
            message = "a gateway can't ask itself" if other == name else f"the gateway `{other}` has no `node`"
            yield RepositoryProblem(origin, at, Rule.CONFLICTING_VALUES, message, "name another gateway, with `node`")


def _buckets(origin: Origin, storage: LocalStorage) -> Iterator[RepositoryProblem]:
    at: JsonPath = ("spec", "node", "storage", "buckets")
    names = [bucket.name for bucket in storage.buckets]
    for place, bucket in enumerate(storage.buckets):
        if bucket.name in names[:place]:
            message = f"duplicate bucket `{bucket.name}`"
            yield RepositoryProblem(origin, (*at, place, "name"), Rule.DUPLICATE_NAME, message, "rename one of them")
        yield from too_free(origin, (*at, place, "descriptor"), [bucket.descriptor])


def _functions(documents: DocumentIndex) -> Iterator[RepositoryProblem]:
    first: dict[str, str] = {}
    for name, function in documents.functions.items():
        origin = documents.origin("Function", name)
        yield from _operation(origin, function, first.setdefault(function.operation, name))
        if not function.source.path.endswith(ENDINGS):
            at = ("spec", "source", "path")
            message = f"`{function.source.path}` is neither text (.wat) nor a module (.wasm)"
            yield RepositoryProblem(origin, at, Rule.CONFLICTING_VALUES, message, "name a .wat or .wasm file")
        for field, values in (("inputs", function.inputs), ("outputs", function.outputs)):
            yield from too_free(origin, ("spec", field), values)
        yield from _placement(documents, origin, function)
    everywhere = frozenset({*(each.operation for each in documents.functions.values()), *_of_devices(documents)})
    for name, function in documents.functions.items():
        yield from _calls(documents, documents.origin("Function", name), function, everywhere)


def _operation(origin: Origin, function: Function, owner: str) -> Iterator[RepositoryProblem]:
    at = ("spec", "operation")
    if function.operation.startswith(BUILT_IN):
        message = f"`{function.operation}` is reserved for what gateways have built in"
        yield RepositoryProblem(origin, at, Rule.CONFLICTING_VALUES, message, "choose another first part of the name")
    if owner != function.name:
        message = f"the function `{owner}` is the operation `{function.operation}` already"
        yield RepositoryProblem(origin, at, Rule.DUPLICATE_NAME, message, "rename one of them")


def too_free(origin: Origin, at: JsonPath, values: Sequence[ItemDescriptor]) -> Iterator[RepositoryProblem]:
    """Report values whose sizes do not follow from the length of the data."""
    free = sum(size is None for value in values for size in value.shape)
    if free > 1:
        message = f"{free} dimensions have any size, so the length of the data does not say how large they are"
        yield RepositoryProblem(origin, at, Rule.CONFLICTING_VALUES, message, "give all of them but one a size")


def _placement(documents: DocumentIndex, origin: Origin, function: Function) -> Iterator[RepositoryProblem]:
    names = eligible(function, documents.gateways)
    if not names and not documents.has_broken("Gateway"):
        message = "no gateway that runs functions has these labels"
        hint = "correct the labels, or add `node: {functions: {}}` to a gateway"
        yield RepositoryProblem(origin, ("spec", "placement"), Rule.UNRESOLVED_REFERENCE, message, hint)
    for place, need in enumerate(function.needs.storage):
        lacking = [name for name in names if need.bucket not in _bucket_names(documents.gateways[name])]
        if lacking:
            known = {bucket for name in names for bucket in _bucket_names(documents.gateways[name])}
            message = f"{quoted_list(lacking)} may run the function, and has no bucket `{need.bucket}`"
            at = ("spec", "needs", "storage", place, "bucket")
            hint = documents.suggest(need.bucket, known) or "add the bucket, or narrow `placement`"
            yield RepositoryProblem(origin, at, Rule.UNRESOLVED_REFERENCE, message, hint)


def _calls(
    documents: DocumentIndex, origin: Origin, function: Function, everywhere: frozenset[str]
) -> Iterator[RepositoryProblem]:
    """Report operations that a gateway which runs the function can't have."""
    names = eligible(function, documents.gateways)
    for place, operation in enumerate(function.needs.operations):
        built_in = {each for name in names for each in _built_in(documents, name)}
        if operation in everywhere | built_in or not names or documents.has_broken("Function"):
            continue
        at = ("spec", "needs", "operations", place)
        message = f"no function is the operation `{operation}`, and no gateway or device has it built in"
        hint = documents.suggest(operation, everywhere | built_in)
        yield RepositoryProblem(origin, at, Rule.UNRESOLVED_REFERENCE, message, hint)


def _built_in(documents: DocumentIndex, name: GatewayId) -> Iterator[str]:
    yield "node.inspect"
    for bucket in _bucket_names(documents.gateways[name]):
        yield from (f"data.{verb}.{bucket}" for verb in VERBS)


def _bucket_names(gateway: Gateway) -> tuple[str, ...]:
    storage = gateway.node.storage if gateway.node is not None else None
    return tuple(bucket.name for bucket in storage.buckets) if storage is not None else ()


def _of_devices(documents: DocumentIndex) -> Iterator[str]:
    types = documents.types
    for device in documents.devices.values():
        if device.type in types:
            yield from (device_operation(builtin, device.name) for builtin in types[device.type].builtins)


def known_operations(documents: DocumentIndex) -> frozenset[str]:
    """Return all operations that something in the fleet is."""
    built_in = {each for name in documents.gateways for each in _built_in(documents, name)}
    functions = {each.operation for each in documents.functions.values()}
    return frozenset(built_in | functions | set(_of_devices(documents)))


def inputs_of(documents: DocumentIndex) -> Iterator[tuple[str, OperationInputs]]:
    """Yield functions, and what stores items, with what they take; a bucket may differ from gateway to gateway."""
    for function in documents.functions.values():
        yield function.operation, (DataDescriptor(function.inputs, function.task),)
    items: dict[str, list[DataDescriptor]] = {}
    for gateway in documents.gateways.values():
        storage = gateway.node.storage if gateway.node is not None else None
        for bucket in storage.buckets if storage is not None else ():
            item = DataDescriptor((value_of(bucket.descriptor, "item"),))
            items.setdefault(f"data.put.{bucket.name}", []).append(item)
    yield from ((operation, tuple(found)) for operation, found in items.items())
