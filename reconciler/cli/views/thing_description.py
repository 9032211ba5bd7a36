# SPDX-License-Identifier: Apache-2.0
"""What a node offers, as a W3C WoT Thing Description 1.1: each operation is an action.

It is for catalogues and people. The forms name topic and media type, and not how a message is made: that needs
`reconciler.client` or docs/specs/operations.md.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from reconciler.model import ValueDescriptor, ValueElement
from reconciler.operations.descriptors import DataDescriptor
from reconciler.operations.resolution import Capability

CONTEXT = "https://www.w3.org/2022/wot/td/v1.1"
TERMS = "urn:tinyfleet:wot:"  # of the terms that the standard does not have
SECURITY = "client_certificate"
MEDIA_TYPE = "application/cbor"
READS = ("node.inspect", "data.get.", "data.list.", "data.stat.")  # operations that change nothing


def thing_description(
    fleet: str, node: str, capabilities: Iterable[Capability], broker: tuple[str, int]
) -> dict[str, Any]:
    """Return the description of a node for clients that reach it through this broker."""
    host, port = broker
    form = {
        "href": f"mqtts://{host}:{port}/tinyfleet/{fleet}/request/{{client}}",
        "op": "invokeaction",
        "contentType": MEDIA_TYPE,
        "response": {"contentType": MEDIA_TYPE},
        "tinyfleet:answers": f"tinyfleet/{fleet}/answer/{{client}}",
    }
    return {
        "@context": [CONTEXT, {"tinyfleet": TERMS}],
        "id": f"urn:tinyfleet:{fleet}:node:{node}",
        "title": node,
        "description": f"A gateway of the fleet {fleet}. Messages: tinyfleet, Operations, version 1.",
        "securityDefinitions": {
            SECURITY: {"scheme": "auto", "description": "TLS with a certificate of the role `client` of this fleet."}
        },
        "security": [SECURITY],
        "uriVariables": {"client": {"type": "string", "description": "The name in the certificate of the client."}},
        "actions": {each.operation: _action(each, form) for each in capabilities},
    }


def _action(capability: Capability, form: dict[str, Any]) -> dict[str, Any]:
    action: dict[str, Any] = {
        "title": capability.operation,
        "description": f"Provided by {capability.provider}.",
        "safe": capability.operation.startswith(READS),
        "idempotent": capability.idempotent,
        "synchronous": True,
        "forms": [form],
    }
    for name, descriptor in (("input", capability.inputs), ("output", capability.outputs)):
        if descriptor.values:
            action[name] = _data(descriptor)
    return action


def _data(descriptor: DataDescriptor) -> dict[str, Any]:
    """Return the schema of data: an object with a property for each value, in the order in which they are packed."""
    task = {"tinyfleet:task": descriptor.task} if descriptor.task is not None else {}
    names = [each.name for each in descriptor.values]
    return {
        "type": "object",
        "properties": {each.name: _value(each) for each in descriptor.values},
        "required": names,
    } | task


def _value(value: ValueDescriptor) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "number"} if value.dtype.value.startswith("float") else _integers(value.dtype)
    for size in reversed(value.shape):
        bounds = {"minItems": size, "maxItems": size} if size is not None else {}
        schema = {"type": "array", "items": schema, **bounds}
    described = {"unit": value.unit, "tinyfleet:usage": value.usage.value if value.usage is not None else None}
    schema |= {key: text for key, text in described.items() if text is not None} | {
        "tinyfleet:dtype": value.dtype.value
    }
    if value.quantization is not None:
        how = value.quantization
        schema["tinyfleet:quantization"] = {"scale": how.scale, "zeroPoint": how.zero_point}
    return schema


def _integers(dtype: ValueElement) -> dict[str, Any]:
    if dtype is ValueElement.BYTES:
        return {"type": "integer", "minimum": 0, "maximum": 255}
    name = dtype.value
    bits = int(name.removeprefix("u").removeprefix("int"))
    low, high = (0, 1 << bits) if name.startswith("u") else (-(1 << bits - 1), 1 << bits - 1)
    return {"type": "integer", "minimum": low, "maximum": high - 1}
