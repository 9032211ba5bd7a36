# SPDX-License-Identifier: Apache-2.0
"""The operations that a gateway has built in: `node.inspect`, and those of its buckets."""

from __future__ import annotations

import struct
import time
from collections.abc import Callable, Mapping

from reconciler.bus.advertised import advertised, inspect_document
from reconciler.bus.local_storage import ItemStore, StorageFull, StorageUnusable
from reconciler.bus.node import Invocation, OfferedOperation, OperationNode, Perform
from reconciler.model import Bucket, ValueDescriptor, ValueElement
from reconciler.operations.codes import AnswerCode, OperationFailed
from reconciler.operations.descriptors import DataDescriptor, value_of
from reconciler.operations.resolution import Capability

INSPECT = "node.inspect"
NOTHING = DataDescriptor()
NUMBER = struct.Struct("<Q")


def inspect_operation(node: OperationNode) -> dict[str, OfferedOperation]:
    """Return the operation that describes the node."""

    async def inspect(_: Invocation) -> bytes:
        here = [advertised(each) for each in node.capabilities]
        names = {each.operation for each in here}
        elsewhere = [each for each in node.elsewhere if each.operation not in names]
        return inspect_document(node.name, [*here, *elsewhere], node.load)

    return {INSPECT: OfferedOperation(inspect_capability(node.name), inspect)}


def inspect_capability(node: str) -> Capability:
    """Return how the operation that describes a node is listed."""
    return Capability(INSPECT, node, NOTHING, _values("document", ValueElement.BYTES, None), idempotent=True)


def bucket_capabilities(node: str, bucket: Bucket) -> dict[str, Capability]:
    """Return how the operations of one bucket are listed, by verb."""
    item = DataDescriptor((value_of(bucket.descriptor, "item"),))
    number = _values("number", ValueElement.UINT64, 1)
    after, listed = _values("after", ValueElement.UINT64, 1), _values("items", ValueElement.INT64, None, 3)
    verbs: dict[str, tuple[DataDescriptor, DataDescriptor, bool]] = {
        "put": (item, number, True),
        "get": (number, item, True),
        "list": (after, listed, True),
        "delete": (number, _values("deleted", ValueElement.UINT8, 1), False),
        "stat": (NOTHING, _values("stat", ValueElement.UINT64, 4), True),
    }
    return {
        verb: Capability(f"data.{verb}.{bucket.name}", node, inputs, outputs, idempotent=idempotent, has_data=True)
        for verb, (inputs, outputs, idempotent) in verbs.items()
    }


def bucket_operations(node: str, bucket: Bucket, store: ItemStore) -> Mapping[str, OfferedOperation]:
    """Return the operations of one bucket."""
    operations = _BucketOperations(bucket.name, store)
    work: dict[str, Perform] = {
        "put": operations.put,
        "get": operations.get,
        "list": operations.list,
        "delete": operations.delete,
        "stat": operations.stat,
    }
    listed = bucket_capabilities(node, bucket)
    return {each.operation: OfferedOperation(each, work[verb]) for verb, each in listed.items()}


def stored(put: Callable[[], int]) -> int:
    """Store an item; what goes wrong is an expected outcome."""
    try:
        return put()
    except (StorageFull, StorageUnusable) as failure:
        raise OperationFailed(AnswerCode.STORAGE_FULL, str(failure)) from failure


class _BucketOperations:
    """What can be done with a bucket."""

    def __init__(self, bucket: str, store: ItemStore) -> None:
        self._bucket, self._store = bucket, store

    async def put(self, asked: Invocation) -> bytes:
        now = time.time()
        number = stored(lambda: self._store.put(self._bucket, asked.data, asked.caller, asked.call, now))
        return NUMBER.pack(number)

    async def get(self, asked: Invocation) -> bytes:
        (number,) = NUMBER.unpack(asked.data)
        data = self._store.get(self._bucket, _within(number))
        if data is None:
            raise OperationFailed(AnswerCode.NOT_FOUND, f"the bucket {self._bucket} has no item {number}")
        return data

    async def list(self, asked: Invocation) -> bytes:
        (after,) = NUMBER.unpack(asked.data)
        found = self._store.items(self._bucket, _within(after))
        return b"".join(struct.pack("<3q", each.number, round(each.at * 1000), each.size) for each in found)

    async def delete(self, asked: Invocation) -> bytes:
        (number,) = NUMBER.unpack(asked.data)
        return bytes([self._store.delete(self._bucket, _within(number))])

    async def stat(self, _: Invocation) -> bytes:
        found = self._store.figures(self._bucket)
        return struct.pack("<4Q", found.items, found.bytes, found.oldest, found.newest)


def _within(number: int) -> int:
    """Return a number that SQLite can hold; no item has a larger one."""
    return min(number, (1 << 63) - 1)


def _values(name: str, dtype: ValueElement, *shape: int | None) -> DataDescriptor:
    return DataDescriptor((ValueDescriptor(name=name, dtype=dtype, shape=shape),))
