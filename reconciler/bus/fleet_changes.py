# SPDX-License-Identifier: Apache-2.0
"""The operation `fleet.change`: answers a wish for change with the commit to propose (docs/specs/operations.md).

Nothing changes by it. Wanted state is in Git, where a person merges what is proposed.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass

from reconciler.bus.node import Invocation, OfferedOperation
from reconciler.devices import strict_cbor
from reconciler.devices.errors import Malformed
from reconciler.devices.strict_cbor import items, text
from reconciler.model import ValueDescriptor, ValueElement
from reconciler.operations.codes import AnswerCode, OperationFailed
from reconciler.operations.descriptors import DataDescriptor
from reconciler.operations.resolution import Capability

CHANGE = "fleet.change"
VALUES_MAX = 16
DEPTH_MAX = 8
NAME_BYTES_MAX = 63
TEXT_BYTES_MAX = 1024

BELOW = (("spec",), ("metadata", "labels"))  # what may change

Field = tuple[str, ...]  # from the document inwards: ("spec", "suspend")
Value = str | int | float | None  # None: without the field


@dataclass(frozen=True, slots=True)
class WishedChange:
    """What a client wants to be different in one document."""

    client: str
    kind: str
    name: str
    values: Mapping[Field, Value]

    @property
    def target(self) -> str:
        """What the change would bring about, in one line."""
        listed = ", ".join(f"{'.'.join(field)} = {value!r}" for field, value in self.values.items())
        return f"{self.kind} {self.name}: {listed}"


@dataclass(frozen=True, slots=True)
class ProposedCommit:
    """The commit that would bring the change about."""

    base: str  # the commit that is enforced
    path: str  # of the file, in the folder of the fleet
    patch: str  # as `git apply` takes it; empty: the fleet has this already
    branch: str | None = None  # that the gateway has pushed; None: a person has to commit the patch
    commit: str | None = None
    why: str = ""  # there is no branch

    def encode(self) -> bytes:
        """Return it as bytes."""
        fields = {name: getattr(self, name) for name in ("base", "path", "patch", "branch", "commit", "why")}
        return strict_cbor.dump(fields)


Propose = Callable[[WishedChange], Awaitable[ProposedCommit]]


def change_operation(node: str, clients: Collection[str], propose: Propose) -> dict[str, OfferedOperation]:
    """Return the operation; it is there for these clients alone."""

    async def perform(asked: Invocation) -> bytes:
        if asked.caller not in clients:
            raise OperationFailed(AnswerCode.FORBIDDEN, f"{asked.caller} is not in `node.changes.clients`")
        return (await propose(read_wish(asked.caller, asked.data))).encode()

    return {CHANGE: OfferedOperation(change_capability(node), perform)}


def change_capability(node: str) -> Capability:
    """Return how the operation is listed."""
    return Capability(CHANGE, node, _values("wish"), _values("commit"), idempotent=True)


def encode_wish(kind: str, name: str, values: Mapping[Field, Value]) -> bytes:
    """Return a wish as bytes."""
    listed = [[list(field), value] for field, value in values.items()]
    return strict_cbor.dump({"kind": kind, "name": name, "set": listed})


def read_wish(client: str, data: bytes) -> WishedChange:
    """Read a wish; one that is malformed is refused."""
    try:
        return _wish(client, strict_cbor.load(data))
    except Malformed as malformed:
        raise OperationFailed(AnswerCode.DESCRIPTOR_MISMATCH, f"inputs[0]: {malformed}") from malformed


def read_commit(data: bytes) -> ProposedCommit:
    """Read the answer, or raise `Malformed`."""
    try:
        return ProposedCommit(**strict_cbor.load(data))  # type: ignore[arg-type]  # whatever a gateway has sent
    except TypeError as error:
        raise Malformed(f"not a proposed commit: {error}") from error


def _wish(client: str, found: object) -> WishedChange:
    if not isinstance(found, dict) or found.keys() != {"kind", "name", "set"}:
        raise Malformed("a wish must have `kind`, `name` and `set`")
    listed = items(found["set"], "set")
    if not 1 <= len(listed) <= VALUES_MAX:
        raise Malformed(f"`set` has 1 to {VALUES_MAX} fields")
    return WishedChange(client, _name(found["kind"], "kind"), _name(found["name"], "name"), dict(map(_value, listed)))


def _value(entry: object) -> tuple[Field, Value]:
    field, value = items(entry, "a field", 2)
    names = tuple(text(each, "field", max_bytes=NAME_BYTES_MAX) for each in items(field, "field"))
    if not any(names[: len(above)] == above and len(above) < len(names) <= DEPTH_MAX for above in BELOW):
        raise Malformed("a field is below `spec` or `metadata.labels`")
    if isinstance(value, str):
        text(value, "value", max_bytes=TEXT_BYTES_MAX)
    elif value is not None and not isinstance(value, int | float):
        raise Malformed("a value is a text, a number, a boolean or null")
    return names, value


def _name(value: object, what: str) -> str:
    return text(value, what, max_bytes=NAME_BYTES_MAX)


def _values(name: str) -> DataDescriptor:
    return DataDescriptor((ValueDescriptor(name=name, dtype=ValueElement.BYTES, shape=(None,)),))
