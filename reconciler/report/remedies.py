# SPDX-License-Identifier: Apache-2.0
"""What to do about each reason, in the words of docs/conditions.md and docs/git.md (tests/report/test_advice.py)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Remedy:
    """What a reason asks of people."""

    act: bool  # False: it is so by design, or heals by itself
    words: str


_SMALLER = "make the model smaller by what the message says, or choose devices with more"
_BUSY = "wait: as many devices as may are away or on trial already"
_HELD = "wait; the message says for what"
_SETTINGS = (
    "correct the URL, ref, path or name in the gateway's configuration; "
    "or the server redirects to where nobody should go"
)
_ROOM = "make room, or give the service its folder back"

_WAIT: Mapping[str, str] = {
    "Updating": "wait; the message says what is under way",
    "HeldWave": _HELD,
    "HeldWindow": _HELD,
    "HeldDependsOn": _HELD,
    "HeldInProgress": _HELD,
    "HeldAtRisk": _BUSY,
    "HeldMinAvailable": _BUSY,
    "HeldOtherGateway": "another gateway serves it: look at that one's status",
    "HeldSuspended": "set suspend: false when ready",
    "Progressing": "wait; the message says for what, and for which gateway",
    "Held": "it is suspended, or waits for another rollout",
    "MirrorDamaged": (
        "nothing: the mirror is rebuilt from the remote, and what can still be read of it is used until that succeeds"
    ),
}
_DEVICES: Mapping[str, str] = {
    "UnknownDevice": "add a Device document, or find out who speaks on your link in this name",
    "NotAuthentic": (
        "several messages in a row in its name did not verify: compare the public key in Git with the device's, "
        "or find out who speaks in its name. It is not served meanwhile"
    ),
    "SequenceWentBack": (
        "it was reset to factory, or its flash was replaced by an older one. It is brought back by itself, "
        "with a sequence above all that it ever obeyed; find out who did it"
    ),
    "IdentityCloned": (
        "two devices answer in its name, told by two counters that alternate. Nothing is sent to either. "
        "Provision both anew, and put the new public key into Git: that ends it"
    ),
    "NeverSeen": "power it, check its link and its public key in the fleet repository",
    "NotReporting": "power it, check its link and its public key; the message says since when",
    "OperatorsMissing": "choose another model, or a firmware with these operators",
    "SlotTooSmall": _SMALLER,
    "ArenaTooSmall": _SMALLER,
    "PackFormatUnknown": "update the device's firmware",
    "NeedsProvisioning": (
        "the device can't be updated over the air and has no such pre-baked model: provision it by hand"
    ),
    "WrongType": "correct the type of the Device document, or give the device the firmware of that type",
    "HeldFlapping": "it fell silent and came back too often: look at its power and its link",
    "HeldRolledBack": (
        "the rollout has stopped and its devices are back on what they ran before: commit a better model"
    ),
    "HeldFailureBudget": (
        "the rollout has stopped: look at the devices that failed, then commit a better model, or a larger budget"
    ),
    "GateFailed": (
        "it runs the model, which failed a health gate of its rollout here: look at what the message says, "
        "then commit a better model"
    ),
    "Quarantined": "this model failed on this device; it is not tried again until Git changes",
}
_ROLLOUTS: Mapping[str, str] = {
    "FailureBudgetSpent": (
        "look at the devices that failed, then commit a better model, a larger budget, or another label to try again"
    ),
    "RolledBack": (
        "look at the devices that failed, then commit a better model; its devices run again what they ran before"
    ),
}
_GATEWAYS: Mapping[str, str] = {
    "Invalid": "run tinyfleet validate; the message has the first mistake and its place",
    "LinkDown": "check the broker, or the cable, that the message names",
    "UnknownDevices": (
        "add Device documents, or find out who speaks on the link; tinyfleet status has the names. "
        "They are never served"
    ),
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
    **{reason: Remedy(act=False, words=words) for reason, words in _WAIT.items()},
    **{
        reason: Remedy(act=True, words=words)
        for table in (_DEVICES, _ROLLOUTS, _GATEWAYS, _SOURCE)
        for reason, words in table.items()
    },
}
