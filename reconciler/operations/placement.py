# SPDX-License-Identifier: Apache-2.0
"""Which nodes hold a function: a rendezvous hash, the same everywhere without a coordinator.

When a node leaves, only the functions that it held move; when one joins, only those that it takes over.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping

from reconciler.model import Function, FunctionId, Gateway, GatewayId


def holders(function: str, nodes: Iterable[str], replicas: int) -> tuple[str, ...]:
    """Return the nodes that hold a function, the first choice first."""
    return tuple(sorted(set(nodes), key=lambda node: (_weight(function, node), node), reverse=True)[:replicas])


def placement_of(
    functions: Mapping[FunctionId, Function], gateways: Mapping[GatewayId, Gateway]
) -> dict[FunctionId, tuple[GatewayId, ...]]:
    """Return the gateways that run each function, none of which drains; suspended functions run nowhere."""
    return {name: _placed(each, gateways) for name, each in functions.items()}


def _placed(function: Function, gateways: Mapping[GatewayId, Gateway]) -> tuple[GatewayId, ...]:
    names = () if function.suspend else eligible(function, gateways)
    stay = [name for name in names if (node := gateways[name].node) is not None and not node.drain]
    return tuple(map(GatewayId, holders(function.name, stay, function.placement.replicas)))


def eligible(function: Function, gateways: Mapping[GatewayId, Gateway]) -> tuple[GatewayId, ...]:
    """Return the gateways that may run a function, also while they drain: they run functions, and have its labels."""
    wanted = function.placement.nodes.match_labels.items()
    return tuple(
        name
        for name, gateway in gateways.items()
        if gateway.node is not None and gateway.node.functions is not None and wanted <= gateway.labels.items()
    )


def _weight(function: str, node: str) -> bytes:
    return hashlib.sha256(f"{function}\0{node}".encode()).digest()
