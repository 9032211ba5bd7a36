# SPDX-License-Identifier: Apache-2.0
"""The failures of a Git source and of publishing a status. docs/git.md says what to do about each.

Stalled
├── Refused
│   ├── HistoryRewritten     the last applied commit is not an ancestor of the new one
│   ├── HistoryTooLong       more new commits than the limit allows
│   ├── UnsignedCommit       a commit without a signature
│   ├── UntrustedSigner      a good signature by an unknown key
│   ├── SignerExpired        a known GPG signer whose key or signature is expired or revoked
│   ├── BadSignature         the signature does not verify
│   ├── OutOfScope           a gateway's own commit changes more than a contest lets it
│   ├── NotApproved          a gateway's own commit without a person's commit on top
│   ├── ObjectsRefused       the remote sent malformed or dangerous objects
│   ├── TransferTooLarge     the remote sent more bytes than the limit
│   ├── ProtocolRefused      a protocol that could run a command, or is not configured
│   ├── CertificateRefused   the certificate of the HTTPS server is not trusted
│   ├── HostKeyUnknown       the key of the SSH server is not in known_hosts
│   ├── StatusRefused        the remote does not accept the status branch
│   └── ProposalRefused      the remote does not accept a proposal
├── Invalid
│   ├── RefMissing           the branch or tag does not exist
│   ├── SubPathMissing       the commit does not contain the configured folder
│   └── NotProposable        a proposal would change something that is not an ordinary file
└── Unusable
    ├── AuthenticationFailed the remote does not accept the credentials
    ├── DubiousOwnership     the local repository belongs to someone else
    ├── SignersUnreadable    the file of signers or a key cannot be used
    ├── SettingsUnsafe       a URL, ref or path that is not safe to pass to git
    ├── GitUnusable          git is missing, or too old to be confined
    ├── MirrorUnwritable     the mirror cannot be written: permissions, or a read-only file system
    └── WatchUnavailable     the system cannot watch the repository; polling continues
Transient
├── DiskFull                 no space for the fetched objects
├── RemoteUnavailable        no answer, or not in time
├── MirrorDamaged            the mirror is damaged; the next poll rebuilds it
├── MirrorBusy               another process of this gateway uses the mirror
├── StatusContended          others keep pushing to the status branch
└── ProposalContended        the branch moved while a proposal was pushed
"""

from __future__ import annotations

from typing import ClassVar

from reconciler.errors import Invalid, Refused, Transient, Unusable


class HistoryRewritten(Refused):
    """The last applied commit is not an ancestor of the commit that the remote offers."""

    reason: ClassVar[str] = "HistoryRewritten"


class HistoryTooLong(Refused):
    """There are more new commits than one poll may verify."""

    reason: ClassVar[str] = "HistoryTooLong"


class UnsignedCommit(Refused):
    """A commit has no signature, or one of an unsupported kind."""

    reason: ClassVar[str] = "UnsignedCommit"


class UntrustedSigner(Refused):
    """A commit is signed with a key that the gateway's configuration does not allow."""

    reason: ClassVar[str] = "UntrustedSigner"


class SignerExpired(Refused):
    """The signer is known, but the key or the signature is expired or revoked."""

    reason: ClassVar[str] = "SignerExpired"


class BadSignature(Refused):
    """The signature does not verify: it belongs to another commit, a revoked SSH key or another namespace."""

    reason: ClassVar[str] = "BadSignature"


class OutOfScope(Refused):
    """A commit that a gateway signed changes something that no contest lets it change."""

    reason: ClassVar[str] = "OutOfScope"


class NotApproved(Refused):
    """A commit that a gateway signed has no commit of a person on top of it."""

    reason: ClassVar[str] = "NotApproved"


class ObjectsRefused(Refused):
    """The objects that the remote sent did not pass git's checks."""

    reason: ClassVar[str] = "ObjectsRefused"


class TransferTooLarge(Refused):
    """The remote sent more bytes than the limit."""

    reason: ClassVar[str] = "TransferTooLarge"


class ProtocolRefused(Refused):
    """The protocol could run a command, or is not the configured one."""

    reason: ClassVar[str] = "ProtocolRefused"


class CertificateRefused(Refused):
    """The certificate of the HTTPS server is expired, for another name, or from an unknown authority."""

    reason: ClassVar[str] = "CertificateRefused"


class HostKeyUnknown(Refused):
    """The key of the SSH server is not in known_hosts."""

    reason: ClassVar[str] = "HostKeyUnknown"


class StatusRefused(Refused):
    """The remote rejected a push to the status branch, by a hook or a rule."""

    reason: ClassVar[str] = "StatusRefused"


class ProposalRefused(Refused):
    """The remote rejected a proposal, by a hook, a rule or for lack of push options."""

    reason: ClassVar[str] = "ProposalRefused"


class RefMissing(Invalid):
    """The remote repository has no such branch or tag."""

    reason: ClassVar[str] = "RefMissing"


class SubPathMissing(Invalid):
    """The commit does not contain the configured folder."""

    reason: ClassVar[str] = "SubPathMissing"


class NotProposable(Invalid):
    """A proposal cannot be made as a change of ordinary files."""

    reason: ClassVar[str] = "NotProposable"


class AuthenticationFailed(Unusable):
    """The remote requires credentials, or does not accept those that are configured."""

    reason: ClassVar[str] = "AuthenticationFailed"


class DubiousOwnership(Unusable):
    """Git refuses to read a repository that belongs to another user."""

    reason: ClassVar[str] = "DubiousOwnership"


class SignersUnreadable(Unusable):
    """A file of allowed signers, or a key to sign with, cannot be used."""

    reason: ClassVar[str] = "SignersUnreadable"


class SettingsUnsafe(Unusable):
    """A configured URL, ref or path could be misread by git."""

    reason: ClassVar[str] = "SettingsUnsafe"


class GitUnusable(Unusable):
    """Git is not on PATH, or too old to honour the confinement."""

    reason: ClassVar[str] = "GitUnusable"


class DiskFull(Transient):
    """There is no space left for the mirror."""

    reason: ClassVar[str] = "DiskFull"


class MirrorUnwritable(Unusable):
    """The folder of the mirror cannot be written."""

    reason: ClassVar[str] = "MirrorUnwritable"


class WatchUnavailable(Unusable):
    """The local repository cannot be watched; polling continues."""

    reason: ClassVar[str] = "WatchUnavailable"


class RemoteUnavailable(Transient):
    """The remote did not answer, or not in time."""

    reason: ClassVar[str] = "RemoteUnavailable"


class MirrorDamaged(Transient):
    """The mirror is damaged; the next poll rebuilds it."""

    reason: ClassVar[str] = "MirrorDamaged"


class MirrorBusy(Transient):
    """Another process of this gateway is using the mirror."""

    reason: ClassVar[str] = "MirrorBusy"


class StatusContended(Transient):
    """Others pushed to the status branch during each attempt."""

    reason: ClassVar[str] = "StatusContended"


class ProposalContended(Transient):
    """The branch moved between the look at it and the push; the next pass looks again."""

    reason: ClassVar[str] = "ProposalContended"
