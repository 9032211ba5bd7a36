# SPDX-License-Identifier: Apache-2.0
"""From a configuration to an engine with its ports."""

from __future__ import annotations

import getpass
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import ClassVar

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey

from reconciler.bus.uplink import UplinkSettings
from reconciler.compiler.artifact_store import ArtifactStore
from reconciler.compiler.sandbox import BuildLimits, can_isolate_network
from reconciler.compiler.service import BuildService
from reconciler.config import GatewayConfig, UplinkConfig
from reconciler.daemon.certificate_watch import CertificateWatch
from reconciler.daemon.link_rates import LinkRates
from reconciler.daemon.trial_cluster import connected
from reconciler.engine.artifacts.build_service_adapter import ServiceBuilder
from reconciler.engine.clock import SystemClock
from reconciler.engine.dependencies import Ports
from reconciler.engine.desired.commit_scope import CommitScope
from reconciler.engine.desired.desired_state import DesiredStateSource
from reconciler.engine.engine import Engine
from reconciler.engine.links import Links
from reconciler.engine.observed.peer_statuses import PeerStatuses
from reconciler.engine.observed.report_verifier import ReportVerifier
from reconciler.engine.proposals.proposer import ContestProposer
from reconciler.engine.state.schema import STATE_FILE
from reconciler.engine.state.writer import StateWriter
from reconciler.engine.status.publisher import Publisher
from reconciler.errors import Unusable
from reconciler.git.automation import AutomatedCommits
from reconciler.git.commit_writer import CommitAuthor
from reconciler.git.mirror import Mirror
from reconciler.git.peer_status import PeerStatusReader
from reconciler.git.proposal_branches import ProposalBranches
from reconciler.git.remote_settings import GitLimits, Remote, SshOptions, branch_ref
from reconciler.git.signatures import CommitVerifier, SignatureMode, SignaturePolicy
from reconciler.git.source import CommitSource
from reconciler.git.status_writer import StatusWriter
from reconciler.knowledge.schema import KNOWLEDGE_FILE
from reconciler.knowledge.writer import KnowledgeWriter
from reconciler.load import CheckCache
from reconciler.model import Commit, GatewayId
from signing import gateway_keystore
from signing.key_files import KeyStoreError
from signing.model_bundle import ModelBundleError, read_model_keys


class KeysUnusable(Unusable):
    """The gateway's key or delegation is missing, damaged or readable by others."""

    reason: ClassVar[str] = "KeysUnusable"


@dataclass(frozen=True, slots=True)
class Assembly:
    """An engine, and what runs next to it."""

    engine: Engine
    links: Links
    state_dir: Path
    rates: LinkRates = field(default_factory=LinkRates)


@contextmanager
def assembled(config: GatewayConfig) -> Iterator[Assembly]:
    """Open all that the configuration names, and close it at the end in the opposite order."""
    with ExitStack() as stack:
        config.state_dir.mkdir(parents=True, exist_ok=True)
        state = StateWriter(config.state_dir / STATE_FILE)
        stack.callback(state.close)
        cache = stack.enter_context(CheckCache(config.state_dir / "load.db"))
        remote = remote_of(config)
        limits = GitLimits(ask_s=config.repository.timeout_s, status_commits=config.status.history)
        mirror = stack.enter_context(Mirror(config.state_dir / "mirror.git", remote, limits))
        source = CommitSource(
            mirror,
            policy_of(config),
            config.state_dir / "signers",
            config.repository.path,
            automated=_automated(config, mirror, cache),
        )
        status_ref = stack.enter_context(
            StatusWriter(config.state_dir / "status.git", remote, config.name, _author(config), limits=limits)
        )
        git_thread = stack.enter_context(ThreadPoolExecutor(max_workers=1, thread_name_prefix="git"))
        status_thread = stack.enter_context(ThreadPoolExecutor(max_workers=1, thread_name_prefix="status"))
        verifier = ReportVerifier()
        links = Links(config, verifier)
        desired = DesiredStateSource(source, cache, state)
        store = ArtifactStore(config.build.store or str(config.state_dir / "artifacts"))
        service = BuildService(store, limits=_build_limits(config))
        stack.callback(service.close)
        gateway = gateway_keys(config)
        ports = Ports(
            source=desired,
            git_thread=git_thread,
            status_thread=status_thread,
            builder=ServiceBuilder(service, desired, git_thread, model_keys_of(config)),
            links=links,
            verifier=verifier,
            state=state,
            publisher=Publisher(status_ref, state, interval_s=config.status.interval_s),
            gateway=gateway,
            clock=SystemClock(),
            open_knowledge=lambda: KnowledgeWriter(config.state_dir / KNOWLEDGE_FILE),
            state_dir=config.state_dir,
            limits=_build_limits(config),
            cluster=partial(connected, config.cluster) if config.cluster is not None else None,
            proposer=_proposer(config, mirror, desired),
            peers=_peers(config, remote, limits, stack),
            builds_isolated=can_isolate_network(),
            expiries=CertificateWatch(
                config.mqtt, config.uplink, gateway.delegation, links.broker_certificate_ends
            ).expiries,
            uplinks={each.gateway: _uplink(each) for each in config.uplink},
            page=config.status.page,
        )
        yield Assembly(Engine(GatewayId(config.name), ports), links, config.state_dir)


def _uplink(config: UplinkConfig) -> UplinkSettings:
    return UplinkSettings(config.gateway, config.host, config.port, config.ca, config.certificate, config.key)


def remote_of(config: GatewayConfig) -> Remote:
    """Return where the fleet repository is, and the credentials for it."""
    repository = config.repository
    return Remote(
        url=repository.url,
        ref=branch_ref(repository.branch),
        ssh=SshOptions(key=repository.ssh_key, known_hosts=repository.known_hosts),
        credential_helper=repository.credential_helper,
        ca_file=repository.ca,
    )


def model_keys_of(config: GatewayConfig) -> tuple[EllipticCurvePublicKey, ...]:
    """Return the keys of those who sign the files of models; none if such files need no signature."""
    path = config.signers.models
    if path is None:
        return ()
    try:
        return read_model_keys(path.read_bytes())
    except (OSError, ModelBundleError) as error:
        raise KeysUnusable(f"[signers] models: {path} can't be used: {error}") from error


def policy_of(config: GatewayConfig) -> SignaturePolicy:
    """Return who may sign commits."""
    signers = config.signers
    return SignaturePolicy(
        SignatureMode(signers.policy),
        signers.allowed_signers,
        signers.revoked_signers,
        signers.gpg_keys,
        config.automation.allowed_signers if config.automation is not None else None,
        Commit(signers.anchor) if signers.anchor is not None else None,
    )


def _automated(config: GatewayConfig, mirror: Mirror, cache: CheckCache) -> AutomatedCommits | None:
    """Return the check of commits by gateways. It runs in the Git thread, as does all other use of the cache."""
    if config.automation is None:
        return None
    return AutomatedCommits(mirror, CommitScope(cache), config.repository.path, direct=config.automation.direct)


def _proposer(config: GatewayConfig, mirror: Mirror, source: DesiredStateSource) -> ContestProposer | None:
    automation = config.automation
    if automation is None or automation.key is None:
        return None
    author = replace(_author(config), signing_key=automation.key)
    branches = ProposalBranches(
        mirror,
        config.name,
        author,
        config.repository.path,
        push_options=automation.push_options,
        review_ref=automation.ref,
    )
    return ContestProposer(GatewayId(config.name), source, branches, direct=automation.direct)


def _peers(config: GatewayConfig, remote: Remote, limits: GitLimits, stack: ExitStack) -> PeerStatuses | None:
    if config.peers is None:
        return None
    policy = SignaturePolicy(SignatureMode.HEAD, config.peers.allowed_signers, config.peers.revoked_signers)
    verifier = CommitVerifier(policy, config.state_dir / "peer-signers")
    folder = config.state_dir / "peers.git"
    peers = PeerStatusReader(folder, remote, verifier, limits=limits, named=True)
    return PeerStatuses(stack.enter_context(peers), GatewayId(config.name))


def _author(config: GatewayConfig) -> CommitAuthor:
    return CommitAuthor(f"tinyfleet gateway {config.name}", f"{getpass.getuser()}@{config.name}", config.keys.status)


def gateway_keys(config: GatewayConfig) -> gateway_keystore.GatewayKey:
    """Load the key that signs envelopes, or say what is wrong with it."""

    def no_passphrase() -> bytes:
        raise KeysUnusable(f"{config.keys.gateway}: the gateway's key has a passphrase; a daemon can't ask for one")

    try:
        return gateway_keystore.load(config.keys.gateway, no_passphrase)
    except (KeyStoreError, OSError) as error:
        raise KeysUnusable(f"{error}; make it with `tinyfleet keys gateway init`, have it delegated") from error


def _build_limits(config: GatewayConfig) -> BuildLimits:
    return BuildLimits(wall_s=config.build.timeout_s, memory_bytes=config.build.memory_mib << 20)
