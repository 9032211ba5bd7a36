# SPDX-License-Identifier: Apache-2.0
"""What to do about each reason: the text of docs/conditions.md and docs/git.md (tests/report/test_remedies.py)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Remedy:
    """What a person should do about a reason."""

    act: bool  # False: it is intended, or resolves itself
    text: str


_SMALLER = "make the model smaller, or choose devices with more memory; the message has the number of bytes"
_BUSY = "wait; as many devices as allowed are at risk or unavailable"
_HELD = "wait; the message says for what"
_SETTINGS = (
    "correct the URL, ref, path or name in the gateway's configuration; "
    "or the server redirects to where nobody should go"
)
_ROOM = "make room, or give the service its folder back"

_WAIT: Mapping[str, str] = {
    "Updating": "wait; the message says what is in progress",
    "HeldWave": _HELD,
    "HeldWindow": _HELD,
    "HeldDependsOn": _HELD,
    "HeldInProgress": _HELD,
    "HeldAtRisk": _BUSY,
    "HeldMinAvailable": _BUSY,
    "HeldOtherGateway": "see the status of the gateway that serves the device",
    "HeldSuspended": "set suspend: false when ready",
    "Progressing": "wait; the message says for what, and for which gateway",
    "Held": "resume the rollout, or wait for the rollout that it depends on",
    "MirrorDamaged": (
        "nothing: the mirror is rebuilt from the remote, and what can still be read of it is used until that succeeds"
    ),
}
_DEVICES: Mapping[str, str] = {
    "UnknownDevice": "add a Device document, or find out which device uses this name on the link",
    "NotAuthentic": (
        "compare the public key in Git with the key of the device; if they match, find out who sends in its name"
    ),
    "SequenceWentBack": "find out who reset the device or replaced its flash",
    "IdentityCloned": "provision both devices again, and put the new public keys into Git",
    "NeverSeen": "power the device, and check its link and its public key in Git",
    "NotReporting": "check the power, the link and the public key of the device",
    "OperatorsMissing": "choose another model, or a firmware with these operators",
    "SlotTooSmall": _SMALLER,
    "ArenaTooSmall": _SMALLER,
    "PackFormatUnknown": "update the firmware of the device",
    "NeedsProvisioning": "provision the device again, with this model",
    "WrongType": "correct the type in the Device document, or flash the firmware of that type",
    "HeldFlapping": "check the power and the link of the device",
    "HeldRolledBack": "look at the devices that failed, then commit a better model",
    "HeldFailureBudget": "look at the devices that failed, then commit a better model or a larger budget",
    "GateFailed": "look at the gate in the message, then commit a better model",
    "Quarantined": "commit a better model; this one is not retried on the device until Git changes",
}
_ROLLOUTS: Mapping[str, str] = {
    "FailureBudgetSpent": (
        "look at the devices that failed, then commit a better model, a larger budget, or a changed label to try again"
    ),
    "RolledBack": "look at the devices that failed, then commit a better model",
}
_GATEWAYS: Mapping[str, str] = {
    "Invalid": "run tinyfleet validate; the message has the first problem and its location",
    "LinkDown": "check the broker or the cable that the message names",
    "UnknownDevices": "add Device documents, or find out what reports on the link; tinyfleet status has the names",
}
_SOURCE: Mapping[str, str] = {
    "RemoteUnavailable": (
        "nothing, if the network is expected back; else check URL, DNS, firewall. Tried again with growing pauses"
    ),
    "AuthenticationFailed": "renew the deploy key or the credential helper's token",
    "HostKeyUnknown": (
        "compare the server's key with what its owner publishes, then put it into known_hosts. "
        "If it changed: find out why first"
    ),
    "CertificateRefused": (
        "the certificate is expired, for another name, or by an authority that is not in the CA file; "
        "check the gateway's clock as well"
    ),
    "ProtocolRefused": _SETTINGS,
    "SettingsUnsafe": _SETTINGS,
    "DubiousOwnership": "the local repository belongs to another user: give it to the daemon's, or reach it by ssh://",
    "RefMissing": "push the branch or tag, or correct its name",
    "SubPathMissing": "correct the folder, or revert the commit that moved it",
    "HistoryRewritten": (
        "if you did it on purpose, tinyfleet accept the new commit on the gateway; else treat it as an attack: "
        "the message has both commits"
    ),
    "HistoryTooLong": (
        "more new commits, or slower signatures, than the limits allow: raise them, or accept a newer commit"
    ),
    "UnsignedCommit": (
        "the commit that the message names has to be replaced by a signed one: on a branch that everybody pulls from, "
        "revert and accept"
    ),
    "UntrustedSigner": "add the signer on the gateway, or take the commit back",
    "SignerExpired": (
        "the signer renews the key, you renew it on the gateway; or it was revoked, and the commit has to go"
    ),
    "BadSignature": ("the commit was altered after it was signed, or signed with a revoked key: find out by whom"),
    "SignersUnreadable": (
        "the file of signers, the GPG keys, or the gateway's own signing key is missing or broken, "
        "or ssh-keygen or gpg is not installed"
    ),
    "ObjectsRefused": (
        "the remote sent malformed objects, or names such as .git or ..: find the commit with git fsck --strict, "
        "and who made it"
    ),
    "TransferTooLarge": "a file over the limit was committed, or the remote is not what it seems",
    "GitUnusable": "install git 2.34 or newer; an older one would not heed what confines it",
    "DiskFull": _ROOM,
    "MirrorUnwritable": _ROOM,
    "MirrorBusy": "another tinyfleet process uses the same mirror: stop one",
    "WatchUnavailable": "polling goes on; raise fs.inotify.max_user_watches, or correct the path",
    "StatusContended": "two gateways have the same name",
    "StatusRefused": (
        "the forge's rules decline pushes to status/*: allow the gateway's key to create and force-push that branch"
    ),
}

REMEDIES: Mapping[str, Remedy] = {
    **{reason: Remedy(act=False, text=text) for reason, text in _WAIT.items()},
    **{
        reason: Remedy(act=True, text=text)
        for table in (_DEVICES, _ROLLOUTS, _GATEWAYS, _SOURCE)
        for reason, text in table.items()
    },
}
