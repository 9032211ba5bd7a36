# SPDX-License-Identifier: Apache-2.0
"""Everything through which an engine touches the world. The daemon assembles it; tests have their own parts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path

from reconciler.bus.uplink import UplinkSettings
from reconciler.compiler.sandbox import BuildLimits
from reconciler.engine.artifacts.build_service_adapter import Builder
from reconciler.engine.clock import Clock
from reconciler.engine.desired.desired_state import DesiredStateSource
from reconciler.engine.links import Links
from reconciler.engine.observed.peer_statuses import PeerStatuses
from reconciler.engine.observed.report_verifier import ReportVerifier
from reconciler.engine.proposals.proposer import ContestProposer
from reconciler.engine.state.writer import StateWriter
from reconciler.engine.status.publisher import Publisher
from reconciler.knowledge.writer import KnowledgeWriter
from reconciler.report.expiry import Expiry
from signing.gateway_keystore import GatewayKey


@dataclass(frozen=True, slots=True)
class Ports:
    """What an engine works with.

    Both executors have one thread. Git blocks, so everything that touches the mirror runs on `git_thread`; the status
    has a mirror and a thread of its own, so that a slow fetch delays no status.
    """

    source: DesiredStateSource  # on `git_thread` only
    git_thread: Executor
    status_thread: Executor
    builder: Builder
    links: Links
    verifier: ReportVerifier
    state: StateWriter
    publisher: Publisher
    gateway: GatewayKey
    clock: Clock
    open_knowledge: Callable[[], KnowledgeWriter]  # for the first contest
    state_dir: Path  # for what trainings keep
    limits: BuildLimits = field(default_factory=BuildLimits)  # of a process that trains
    cluster: Callable[[], AbstractContextManager[Executor]] | None = None  # runs trials; None: there is none
    proposer: ContestProposer | None = None  # on `git_thread` only; None: this gateway has no key for proposals
    peers: PeerStatuses | None = None  # on `git_thread` only; None: rollouts do not span gateways
    uplinks: Mapping[str, UplinkSettings] = field(default_factory=dict)  # by gateway
    builds_isolated: bool = True  # builds have no access to the network
    expiries: Callable[[], tuple[Expiry, ...]] = tuple  # of certificates, read again at each pass
    page: bool = False  # write an HTML page next to the status README
