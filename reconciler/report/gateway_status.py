# SPDX-License-Identifier: Apache-2.0
"""The status of the gateway itself: its source, the validity of the repository, its links."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from reconciler.model import DeviceId
from reconciler.report.conditions import Condition, Conditions, Status, carry_over, ready
from reconciler.report.device_status import PassStamp
from reconciler.report.expiry import Expiry, expiry_condition

PRIORITY = ("SourceReady", "Valid", "LinksUp")  # the others keep nothing from working
OF_NODES = ("NodeServing", "UplinkUp", "StorageWithin")  # only a gateway that offers operations has them
NOT_ISOLATED = "this system allows no network namespaces, so a model under construction could reach the network"
_MAX_NAMES = 5


@dataclass(frozen=True, slots=True)
class SourceState:
    """The result of the last fetch of the fleet repository."""

    good: bool
    reason: str
    message: str
    transient: bool = False  # may recover without help


@dataclass(frozen=True, slots=True)
class NodeState:
    """How a gateway is doing as a node that offers operations."""

    good: bool
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class GatewayFacts:
    """What a pass found out about the gateway."""

    name: str
    source: SourceState
    problems: tuple[str, ...] = ()  # in the fleet repository
    links: Mapping[str, str | None] = field(default_factory=dict)  # what is wrong with each link, or None
    builds_isolated: bool = True  # builds run without access to the network
    unknown_devices: frozenset[str] = frozenset()  # they report on a link and are not in Git; never served
    expiries: tuple[Expiry, ...] = ()  # of certificates and what else expires
    node: NodeState | None = None  # None: it offers no operations
    uplinks: Mapping[str, str | None] = field(default_factory=dict)  # what is wrong with those that this one asks
    node_pending: bool = False  # that is not known yet, and its condition stays
    cohort_label: str | None = None  # that the fleet declares
    with_another_root: frozenset[DeviceId] = frozenset()  # than that of the delegation
    storage_refusals: Mapping[str, str] | None = None  # by bucket: why its last item was refused; None: no buckets


@dataclass(frozen=True, slots=True)
class GatewayStatus:
    """The gateway as its status file shows it."""

    name: str
    commit: str  # the commit that the gateway enforces
    conditions: Conditions
    cohort_label: str | None = None  # the label whose values are the cohorts of devices

    @property
    def ready(self) -> Condition:
        """The summary condition."""
        return self.conditions[0]


def gateway_status(facts: GatewayFacts, stamp: PassStamp, previous: GatewayStatus | None) -> GatewayStatus:
    """Build the gateway's conditions."""

    def condition(kind: str, wrong: str | None, reason: str, message: str) -> Condition:
        status = Status.TRUE if wrong is None else Status.FALSE
        return Condition(kind, status, reason, wrong or message, stamp.now, stamp.commit)

    source = facts.source
    invalid = _joined(facts.problems)
    down = _joined([f"{link}: {wrong}" for link, wrong in sorted(facts.links.items()) if wrong is not None])
    parts: Conditions = (
        condition("SourceReady", None if source.good else source.message, source.reason, source.message),
        condition("Valid", invalid, "Invalid" if invalid else "Valid", "The fleet repository has no problems."),
        condition("LinksUp", down, "LinkDown" if down else "LinksUp", "All links work."),
        condition(
            "BuildsIsolated",
            None if facts.builds_isolated else NOT_ISOLATED,
            "BuildsIsolated" if facts.builds_isolated else "NetworkNotIsolated",
            "Builds have no access to the network.",
        ),
        condition(
            "NoUnknownDevices",
            _name_some(facts.unknown_devices),
            "UnknownDevices" if facts.unknown_devices else "NoUnknownDevices",
            "All devices on the links are in Git.",
        ),
        expiry_condition(facts.expiries, stamp),
    )
    if facts.with_another_root:
        first, *more = sorted(facts.with_another_root)
        which = f"{first} and {len(more)} more" if more else first
        wrong = f"{which}: another root than that of the delegation, so the orders of this gateway are refused"
        parts = (*parts, condition("RootsCurrent", wrong, "OtherRoot", ""))
    before = previous.conditions if previous is not None else ()
    if facts.node_pending:
        parts = (*parts, *(each for each in before if each.type in OF_NODES))
    else:
        parts = (*parts, *(condition(*each) for each in _of_node(facts)))
    kept = carry_over(parts, before)
    summary = carry_over((ready(kept, PRIORITY, when_true="The gateway enforces the newest commit."),), before)
    return GatewayStatus(facts.name, stamp.commit, (*summary, *kept), facts.cohort_label)


def _of_node(facts: GatewayFacts) -> Iterator[tuple[str, str | None, str, str]]:
    """Yield the conditions of a gateway that offers operations: type, what is wrong, reason, message."""
    node = facts.node
    if node is None:
        return
    yield "NodeServing", None if node.good else node.message, node.reason, node.message
    down = "; ".join(f"{name}: {why}" for name, why in sorted(facts.uplinks.items()) if why is not None)
    if down:
        yield "UplinkUp", down, "UplinkDown", ""
    elif facts.uplinks:
        yield "UplinkUp", None, "UplinkUp", "The gateways answer that are asked."
    if facts.storage_refusals is not None:
        refused = _joined([f"bucket {name}: {why}" for name, why in sorted(facts.storage_refusals.items())])
        reason = "StorageFull" if refused else "StorageWithin"
        yield "StorageWithin", refused, reason, "Items fit into the local storage."


def _joined(problems: Sequence[str]) -> str | None:
    if not problems:
        return None
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    return problems[0] + more


def _name_some(devices: frozenset[str]) -> str | None:
    """List a few. An attacker may choose their number, so the message has no exact number and rarely changes."""
    if not devices:
        return None
    shown = ", ".join(sorted(devices)[:_MAX_NAMES])
    return f"{shown}{' and others' if len(devices) > _MAX_NAMES else ''}: not in Git, and not served"
