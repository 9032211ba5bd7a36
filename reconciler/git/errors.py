# SPDX-License-Identifier: Apache-2.0
"""What can go wrong between a gateway and its Git repository. docs/git.md says what to do about each.

Stalled
├── Refused
│   ├── HistoryRewritten     the last applied commit is not an ancestor of the new one
│   ├── HistoryTooLong       more new commits than the limit allows
│   ├── UnsignedCommit       a commit without a signature
│   ├── UntrustedSigner      a good signature by nobody we know
│   ├── SignerExpired        a known GPG signer whose key or signature is out of date, or revoked
│   ├── BadSignature         the signature does not verify
│   ├── ObjectsRefused       the remote sent objects that are malformed or dangerous
│   ├── TransferTooLarge     the remote sent more than the limit allows
│   ├── ProtocolRefused      a protocol that could run a command, or that was not configured
│   ├── CertificateRefused   the HTTPS server's certificate is not one that we trust
│   ├── HostKeyUnknown       the SSH server is not the one that known_hosts names
│   └── StatusRefused        the remote does not let us write our status ref
├── Invalid
│   ├── RefMissing           the branch or tag is not there
│   └── SubPathMissing       the configured folder is not in this commit
└── Unusable
    ├── AuthenticationFailed the remote does not accept our credentials
    ├── DubiousOwnership    the local repository belongs to someone else
    ├── SignersUnreadable    the signers' file or a key cannot be used
    ├── SettingsUnsafe       a URL, ref or path that we do not hand to git
    ├── GitUnusable          git is not installed, or too old to be confined
    ├── DiskFull             no room for what was fetched
    ├── MirrorUnwritable     our own copy can't be written: permissions, a read-only file system
    └── WatchUnavailable     the system cannot watch the repository; polling goes on
Transient
├── RemoteUnavailable        no answer, or not in time
├── MirrorDamaged            our copy is broken; it is rebuilt at the next poll
├── MirrorBusy               another process of ours uses the mirror
└── StatusContended          others kept pushing to our status ref
"""

from __future__ import annotations

from typing import ClassVar

from reconciler.errors import Invalid, Refused, Transient, Unusable


class HistoryRewritten(Refused):
    """The last applied commit is not an ancestor of what the remote offers."""

    reason: ClassVar[str] = "HistoryRewritten"


class HistoryTooLong(Refused):
    """There are more new commits than one pass may verify."""

    reason: ClassVar[str] = "HistoryTooLong"


class UnsignedCommit(Refused):
    """A commit carries no signature, or one of a kind that we do not read."""

    reason: ClassVar[str] = "UnsignedCommit"


class UntrustedSigner(Refused):
    """The signature was made by a key that the gateway's configuration does not name."""

    reason: ClassVar[str] = "UntrustedSigner"


class SignerExpired(Refused):
    """The signer is known, but the key or the signature is expired or revoked."""

    reason: ClassVar[str] = "SignerExpired"


class BadSignature(Refused):
    """The signature does not verify: another commit's, a revoked SSH key's, or made for another use."""

    reason: ClassVar[str] = "BadSignature"


class ObjectsRefused(Refused):
    """What the remote sent did not pass git's object checks."""

    reason: ClassVar[str] = "ObjectsRefused"


class TransferTooLarge(Refused):
    """The remote sent more bytes than the limit."""

    reason: ClassVar[str] = "TransferTooLarge"


class ProtocolRefused(Refused):
    """A transport that could run a command, or another one than was configured."""

    reason: ClassVar[str] = "ProtocolRefused"


class CertificateRefused(Refused):
    """The HTTPS server's certificate is expired, for another name, or by an unknown authority."""

    reason: ClassVar[str] = "CertificateRefused"


class HostKeyUnknown(Refused):
    """The SSH server's key is not in known_hosts."""

    reason: ClassVar[str] = "HostKeyUnknown"


class StatusRefused(Refused):
    """The remote declined a push to our status ref, by a hook or a rule of its own."""

    reason: ClassVar[str] = "StatusRefused"


class RefMissing(Invalid):
    """The branch or tag to follow is not in the remote repository."""

    reason: ClassVar[str] = "RefMissing"


class SubPathMissing(Invalid):
    """The configured folder is not a folder of this commit."""

    reason: ClassVar[str] = "SubPathMissing"


class AuthenticationFailed(Unusable):
    """The remote asks for credentials that we lack, or does not accept ours."""

    reason: ClassVar[str] = "AuthenticationFailed"


class DubiousOwnership(Unusable):
    """Git declines to read a repository of another user."""

    reason: ClassVar[str] = "DubiousOwnership"


class SignersUnreadable(Unusable):
    """A file that says whom to trust, or a key to sign with, can't be used."""

    reason: ClassVar[str] = "SignersUnreadable"


class SettingsUnsafe(Unusable):
    """A URL, ref or path of the configuration that could mean something else to git."""

    reason: ClassVar[str] = "SettingsUnsafe"


class GitUnusable(Unusable):
    """There is no git on PATH, or one that does not know what confines it."""

    reason: ClassVar[str] = "GitUnusable"


class DiskFull(Unusable):
    """There is no room left for the mirror."""

    reason: ClassVar[str] = "DiskFull"


class MirrorUnwritable(Unusable):
    """The mirror's folder can't be written."""

    reason: ClassVar[str] = "MirrorUnwritable"


class WatchUnavailable(Unusable):
    """The local repository can't be watched; polling goes on without."""

    reason: ClassVar[str] = "WatchUnavailable"


class RemoteUnavailable(Transient):
    """The remote gave no answer, or not in time."""

    reason: ClassVar[str] = "RemoteUnavailable"


class MirrorDamaged(Transient):
    """The gateway's own copy is broken; the next poll rebuilds it."""

    reason: ClassVar[str] = "MirrorDamaged"


class MirrorBusy(Transient):
    """Another process of this gateway holds the mirror."""

    reason: ClassVar[str] = "MirrorBusy"


class StatusContended(Transient):
    """Others pushed to the status ref each time that we tried."""

    reason: ClassVar[str] = "StatusContended"
