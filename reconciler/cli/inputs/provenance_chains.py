# SPDX-License-Identifier: Apache-2.0
"""The chains of a device or a model, from a clone of the fleet repository with its status branches."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from reconciler.cli.inputs.known_names import require_known, unknown_name
from reconciler.cli.inputs.repositories import LIMIT_S, FleetRepository
from reconciler.errors import FleetError, Refused
from reconciler.git.signatures import CommitVerifier, SignatureMode, SignaturePolicy
from reconciler.git.status_reader import StatusBranch, files_at, status_branches
from reconciler.load import CheckCache
from reconciler.model import Commit, Desired, DeviceId
from reconciler.provenance.chain import Chain, SignedStatement, follow
from reconciler.provenance.statement import DELEGATION_PATH, FOLDER, PREFIX_DIGITS
from reconciler.report.status_scan import StatusScan, UnreadableStatus, scan_status
from reconciler.review.formatting import short
from reconciler.review.reported_state import DEVICES
from reconciler.tree import REGULAR
from signing import keys
from signing.delegation import read_delegation
from signing.identifiers import vendor_id
from signing.key_files import KeyStoreError
from signing.verification_error import VerificationError

ROOT_KEY = "root.pub.pem"  # in the fleet repository, if its owners put the root's public key there
SUFFIX = ".json"


@dataclass(slots=True)
class ClonedHistory:
    """The commits of a clone (`reconciler.provenance.chain.History`)."""

    repository: FleetRepository
    cache: CheckCache

    def has(self, commit: Commit) -> bool:
        """Return whether the clone has a commit."""
        kind = self.repository.git.step("cat-file", "-e", f"{commit}^{{commit}}", limit_s=LIMIT_S)
        return kind.status == 0

    def fleet(self, commit: Commit) -> Desired | None:
        """Load the fleet of a commit; None: it is not valid."""
        try:
            return self.repository.load(commit, self.cache).desired
        except FleetError:
            return None

    def read(self, commit: Commit, path: str) -> bytes | None:
        """Return the bytes of a regular file in a commit."""
        with self.repository.tree(commit) as tree:
            entry = next((each for each in tree.entries() if each.path == path and each.mode in REGULAR), None)
            return tree.read(entry) if entry is not None else None

    def message_of_addition(self, commit: Commit, path: str) -> str:
        """Return the message of the newest commit that added a file."""
        below = self.repository.below
        whole = f"{below}/{path}" if below else path
        command = ("log", "--max-count=1", "--diff-filter=A", "--format=%B", commit, "--", whole)
        return self.repository.git.local(*command, limit_s=LIMIT_S).decode("utf-8", "replace")


@dataclass(frozen=True, slots=True)
class TrustedKeys:
    """What an auditor trusts: files that did not come with what they verify."""

    root: Path | None = None
    gateway: Path | None = None  # the gateway's public key itself, instead of a delegation by the root
    allowed_signers: Path | None = None  # of the status branches


class ChainReader:
    """Follows chains in one clone."""

    def __init__(self, repository: FleetRepository, trusted: TrustedKeys) -> None:
        self._git = repository.git
        self._trusted = trusted
        self._history = ClonedHistory(repository, CheckCache())
        self._head = repository.resolve("HEAD")
        self._branches = status_branches(repository.git, limit_s=LIMIT_S)
        self._statements: dict[str, Mapping[str, bytes]] = {}

    def of_device(self, name: str) -> Chain:
        """Follow the chain of what a device runs."""
        desired = self._history.fleet(self._head)
        if desired is not None:
            require_known("device", name, desired.devices)
        chain = Chain(name)
        found = self._report(name)
        if found is None:
            chain.breaks(
                "report",
                "no status branch in this clone says what the device runs",
                "fetch the status branches (`git fetch origin 'refs/heads/status/*:refs/remotes/origin/status/*'`)",
            )
            return chain
        branch, status = found
        if status.running is None:
            chain.breaks("report", "the device has not reported a model", "wait until it has reported")
            return chain
        self._check_report(chain, branch, status)
        if chain.broken:
            return chain
        kind = desired.devices[DeviceId(name)].type if desired is not None else None
        statement = self._statement_of(branch, status, kind)
        if statement is None:
            chain.breaks(
                "statement",
                f"no gateway has a statement on pack {status.running}",
                "the artifact was built before gateways signed statements, or elsewhere: have its gateway build it, "
                "or compare the device with `tinyfleet build --output json`",
            )
            return chain
        where, path = statement
        self._follow(chain, where, path, status.running)
        return chain

    def of_model(self, model: str) -> list[Chain]:
        """Follow the chain of each artifact of a model."""
        name, _, version = model.rpartition("@")
        folder = f"{FOLDER}{name}/{version}/"
        chains = []
        for gateway, branch in sorted(self._branches.items()):
            for path in sorted(self._files(branch)):
                if path.startswith(folder) and path.endswith(SUFFIX):
                    chain = Chain(f"{model} for {_type_of(path)}, gateway {gateway}")
                    self._follow(chain, branch, path, _prefix_of(path))
                    chains.append(chain)
        if not chains:
            known = {
                "@".join(path.removeprefix(FOLDER).split("/")[:2])
                for branch in self._branches.values()
                for path in self._files(branch)
                if path.endswith(SUFFIX)
            }
            raise unknown_name("model with a statement", model, known, among="models")
        return chains

    # ------------------------------------------------------------ the links that the clone has

    def _report(self, name: str) -> tuple[StatusBranch, StatusScan] | None:
        path = f"{DEVICES}{name}.yaml"
        for branch in sorted(self._branches.values(), key=lambda each: each.at, reverse=True):
            data = files_at(self._git, branch.commit, limit_s=LIMIT_S, below=path).get(path)
            if data is not None:
                try:
                    return branch, scan_status(data)
                except UnreadableStatus:
                    continue
        return None

    def _check_report(self, chain: Chain, branch: StatusBranch, status: StatusScan) -> None:
        says = f"it runs {status.running} ({status.model or 'a model unknown to its gateway'})"
        where = f"status/{branch.gateway} at {short(branch.commit)}"
        if self._trusted.allowed_signers is None:
            chain.stated("report", f"{says}, says {where}; its signature needs --allowed-signers")
            return
        policy = SignaturePolicy(SignatureMode.HEAD, self._trusted.allowed_signers)
        try:
            with tempfile.TemporaryDirectory(prefix="tinyfleet-provenance-") as folder:
                verifier = CommitVerifier(policy, Path(folder))
                (signer,) = verifier.verify(self._git, (branch.commit,), limit_s=LIMIT_S)
        except Refused as refusal:
            chain.breaks("report", f"{where}: {refusal}", "find out who changed the status branch")
            return
        if signer.name.rpartition("@")[2] != branch.gateway:
            text = f"{where} is signed by {signer.name}, which is not that gateway"
            chain.breaks("report", text, "find out who changed the status branch")
            return
        chain.verified("report", f"{says}, says {where}, signed by {signer.name}")

    def _statement_of(self, own: StatusBranch, status: StatusScan, kind: str | None) -> tuple[StatusBranch, str] | None:
        """Return the statement on what a device runs: from its gateway, its model and its type where there is one."""
        prefix = (status.running or "")[:PREFIX_DIGITS]
        name, _, version = (status.model or "").rpartition("@")
        found = [
            (branch, path)
            for branch in self._branches.values()
            for path in self._files(branch)
            if path.endswith(f"-{prefix}{SUFFIX}")
        ]

        def rank(item: tuple[StatusBranch, str]) -> tuple[bool, bool, bool, str]:
            branch, path = item
            its_model = path.startswith(f"{FOLDER}{name}/{version}/")
            return branch.gateway != own.gateway, not its_model, _type_of(path) != kind, path

        return min(found, key=rank, default=None)

    def _files(self, branch: StatusBranch) -> Mapping[str, bytes]:
        if branch.gateway not in self._statements:
            files = files_at(self._git, branch.commit, limit_s=LIMIT_S, below=FOLDER)
            self._statements[branch.gateway] = files
        return self._statements[branch.gateway]

    def _follow(self, chain: Chain, branch: StatusBranch, path: str, digits: str) -> None:
        files = self._files(branch)
        chain.verified("statement", f"status/{branch.gateway} has {path}")
        key = self._gateway_key(chain, branch, files)
        if key is None:
            return
        name, version = path.removeprefix(FOLDER).split("/")[:2]
        signed = SignedStatement(files[path], key, digits, f"{name}@{version}", _type_of(path))
        follow(chain, signed, self._history, self._head)

    def _gateway_key(self, chain: Chain, branch: StatusBranch, files: Mapping[str, bytes]) -> bytes | None:
        """Return the key that must have signed the statements of a branch, from what the auditor trusts."""
        try:
            if self._trusted.gateway is not None:
                return keys.read_public_key(self._trusted.gateway)
            root = self._root_key()
        except KeyStoreError as error:
            chain.breaks("signature", str(error), "name a public key in PEM, or in 64 hexadecimal digits")
            return None
        if root is None:
            text = f"there is no key to verify it with: neither --root nor {ROOT_KEY} in the repository"
            chain.breaks("signature", text, "name the root's public key with --root")
            return None
        try:
            delegation = read_delegation(files.get(DELEGATION_PATH, b""), root)
        except VerificationError as error:
            text = f"status/{branch.gateway} has no delegation by this root: {error}"
            chain.breaks("signature", text, "verify with the root of this fleet, or name the key with --gateway-key")
            return None
        desired = self._history.fleet(self._head)
        if desired is not None and delegation.vendor != vendor_id(desired.fleet.name):
            text = f"the delegation of status/{branch.gateway} is for another fleet than {desired.fleet.name}"
            chain.breaks("signature", text, "find out who changed the status branch")
            return None
        return delegation.gateway_key

    def _root_key(self) -> bytes | None:
        if self._trusted.root is not None:
            return keys.read_public_key(self._trusted.root)
        data = self._history.read(self._head, ROOT_KEY)
        return keys.parse_public_key(data, ROOT_KEY) if data is not None else None


@contextmanager
def chain_reader(repository: FleetRepository, trusted: TrustedKeys) -> Iterator[ChainReader]:
    """Open a clone, and release its Git processes at the end."""
    try:
        yield ChainReader(repository, trusted)
    finally:
        repository.git.clear_cache()


def is_broken(chains: Iterable[Chain]) -> bool:
    """Return whether any chain breaks."""
    return any(chain.broken for chain in chains)


def _type_of(path: str) -> str:
    return path.rpartition("/")[2].removesuffix(SUFFIX)[: -PREFIX_DIGITS - 1]


def _prefix_of(path: str) -> str:
    return path.removesuffix(SUFFIX)[-PREFIX_DIGITS:]
