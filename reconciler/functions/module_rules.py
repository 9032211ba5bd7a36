# SPDX-License-Identifier: Apache-2.0
"""What a module must export and may import (docs/specs/operations.md, section 6). Runs in the caged process."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from enum import StrEnum
from types import MappingProxyType

import wasmtime

MODULE = "tinyfleet"


class Rejection(StrEnum):
    """Why a module is refused: a reason of the condition `Compiled`."""

    WASM_INVALID = "WasmInvalid"
    IMPORT_REFUSED = "ImportRefused"


class ModuleRejected(Exception):
    """A module is not one that this gateway runs."""

    def __init__(self, rejection: Rejection, why: str) -> None:
        super().__init__(why)
        self.rejection = rejection


Signature = tuple[tuple[str, ...], tuple[str, ...]]
_I, _L = "i32", "i64"
IMPORTS: Mapping[str, Signature] = MappingProxyType(
    {
        "append": ((_I, _I, _I), (_L,)),
        "read": ((_I, _I, _I, _I), (_I,)),
        "call": ((_I, _I, _I, _I, _I), (_I,)),
    }
)
INPUT: Signature = ((_I,), (_I,))
ENTRY: Signature = ((_I, _I), (_L,))


def func_type(signature: Signature) -> wasmtime.FuncType:
    """Return a signature as a type of the runtime."""
    kinds = {_I: wasmtime.ValType.i32, _L: wasmtime.ValType.i64}
    parameters, results = signature
    return wasmtime.FuncType([kinds[each]() for each in parameters], [kinds[each]() for each in results])


def check(module: wasmtime.Module, entry: str, allowed: Collection[str]) -> None:
    """Refuse a module that imports anything else, or lacks an export."""
    for each in module.imports:
        name = f"{each.module}.{each.name}"
        if each.module != MODULE or each.name is None or each.name not in IMPORTS:
            raise ModuleRejected(Rejection.IMPORT_REFUSED, f"it imports {name}, which does not exist here")
        if each.name not in allowed:
            raise ModuleRejected(Rejection.IMPORT_REFUSED, f"it imports {name}, which its `needs` do not allow")
        _check_type(f"the import {name}", each.type, IMPORTS[each.name], Rejection.IMPORT_REFUSED)
    exports = {each.name: each.type for each in module.exports}
    if not isinstance(exports.get("memory"), wasmtime.MemoryType):
        raise ModuleRejected(Rejection.WASM_INVALID, "it exports no `memory`")
    for name, signature in (("input", INPUT), (entry, ENTRY)):
        if name not in exports:
            raise ModuleRejected(Rejection.WASM_INVALID, f"it exports no function `{name}`")
        _check_type(f"`{name}`", exports[name], signature, Rejection.WASM_INVALID)


def _check_type(what: str, found: object, signature: Signature, rejection: Rejection) -> None:
    expected = f"({', '.join(signature[0])}) -> {signature[1][0]}"
    if not isinstance(found, wasmtime.FuncType):
        raise ModuleRejected(rejection, f"{what} must be a function {expected}")
    if (_names(found.params), _names(found.results)) != signature:
        raise ModuleRejected(rejection, f"{what} must have the type {expected}")


def _names(kinds: Sequence[wasmtime.ValType]) -> tuple[str, ...]:
    return tuple(str(kind) for kind in kinds)
