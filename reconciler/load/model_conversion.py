# SPDX-License-Identifier: Apache-2.0
"""Converts a valid document to a typed value of `reconciler.model`.

The conversion is derived from the dataclasses, so that each field is defined once: `slot_bytes` is read
from `slotBytes`, and `soak_s` from the duration `soak`. Documents must have passed their schema.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields, is_dataclass
from enum import StrEnum
from functools import cache
from types import NoneType, UnionType
from typing import Any, NewType, Union, get_args, get_origin, get_type_hints

from reconciler import model

Convert = Callable[[Any], Any]
Value = (
    model.Fleet
    | model.Gateway
    | model.DeviceType
    | model.Device
    | model.Model
    | model.Rollout
    | model.Contest
    | model.Training
    | model.Pipeline
    | model.Function
)

TYPES: Mapping[str, type] = {
    "Fleet": model.Fleet,
    "Gateway": model.Gateway,
    "DeviceType": model.DeviceType,
    "Device": model.Device,
    "Model": model.Model,
    "Rollout": model.Rollout,
    "Contest": model.Contest,
    "Training": model.Training,
    "Pipeline": model.Pipeline,
    "Function": model.Function,
}
SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
MAX_SHARED_LABELS = 100_000  # entries of the table below; larger fleets still load

_labels: dict[tuple[tuple[str, str], ...], dict[str, str]] = {}


def typed_value(kind: str, document: Mapping[str, Any]) -> Value:
    """Return the typed value of a document that its schema accepts."""
    metadata, spec = document["metadata"], document["spec"]
    if kind == "Model":
        spec = {**spec, "ref": {"name": metadata["name"], "version": spec["version"]}}
    value: Value = converter(TYPES[kind])({**spec, **metadata})
    return value


def yaml_name(field: str) -> str:
    """Return the YAML name of a field."""
    first, *rest = field.removesuffix("_s").split("_")
    return first + "".join(part.capitalize() for part in rest)


def seconds(text: str) -> int:
    """Parse a duration such as `90s`, `15m`, `12h` or `7d`."""
    return int(text[:-1]) * SECONDS[text[-1]]


@cache
def converter(annotation: Any) -> Convert:  # noqa: ANN401 (types, unions and new types have no common type)
    """Return the function that converts plain YAML to a value of this type."""
    if isinstance(annotation, NewType):
        return converter(annotation.__supertype__)
    if annotation == model.DeviceLink:
        return _link
    if isinstance(annotation, type):
        return _dataclass(annotation) if is_dataclass(annotation) else _simple(annotation)
    return _generic(get_origin(annotation), get_args(annotation))


def _simple(kind: type) -> Convert:
    if kind is str:
        return _text
    if kind is int:
        return int  # to JSON Schema, 8.0 is an integer
    if kind in {float, bool} or issubclass(kind, StrEnum):
        return kind
    raise TypeError(f"no conversion from YAML to {kind}")


def _generic(origin: object, arguments: tuple[object, ...]) -> Convert:
    if origin in {Union, UnionType}:
        kinds = [kind for kind in arguments if kind is not NoneType]
        return converter(kinds[0]) if len(kinds) == 1 else _number
    if origin in {tuple, frozenset}:
        item, collect = _item(arguments[0]), (tuple if origin is tuple else frozenset)
        return lambda raw: collect(item(each) for each in raw)
    if arguments == (str, str):
        return _shared_labels
    return dict  # parameters: a mapping from name to number


def _item(annotation: Any) -> Convert:  # noqa: ANN401 - as for `converter`
    """Return the conversion of an item, which `null` may stand for if its type allows it."""
    convert = converter(annotation)
    return (lambda raw: None if raw is None else convert(raw)) if NoneType in get_args(annotation) else convert


def _dataclass(kind: type) -> Convert:
    hints = get_type_hints(kind)
    steps: list[tuple[str, str, Convert]] = [
        (field.name, yaml_name(field.name), seconds if field.name.endswith("_s") else converter(hints[field.name]))
        for field in fields(kind)
    ]
    if not steps:
        instance = kind()
        return lambda _raw: instance
    required = {field.name for field in fields(kind) if field.default is MISSING and field.default_factory is MISSING}

    def convert(raw: Mapping[str, Any]) -> object:
        values = {name: step(raw[key]) for name, key, step in steps if key in raw or name in required}
        return kind(**values)

    return convert


def _link(raw: Mapping[str, Any]) -> model.DeviceLink:
    if "mqtt" in raw:
        link: model.DeviceLink = converter(model.MqttAddress)(raw["mqtt"])
    else:
        link = converter(model.SerialAddress)(raw["serial"])
    return link


def _number(raw: float) -> float:
    return raw


def _text(raw: str) -> str:
    return sys.intern(raw)


def _shared_labels(raw: Mapping[str, str]) -> dict[str, str]:
    """Return one mapping object for equal labels: most devices share theirs with many others.

    `ownership.SelectorIndex` groups devices by the identity of this mapping.
    """
    key = tuple(raw.items())
    found = _labels.get(key)
    if found is None:
        if len(_labels) >= MAX_SHARED_LABELS:
            _labels.clear()
        found = _labels[key] = {sys.intern(name): sys.intern(value) for name, value in key}
    return found
