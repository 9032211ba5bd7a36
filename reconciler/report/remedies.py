# SPDX-License-Identifier: Apache-2.0
"""The remedy for each reason, with the text of docs/conditions.md and docs/git.md (tests/report/test_remedies.py)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Remedy:
    """What an operator should do about a reason."""

    act: bool  # False: it is intended, or resolves itself
    text: str


_SMALLER = "make the model smaller, or choose devices with more memory; the message has the number of bytes"
_RENEW = (
    "run tinyfleet pki renew on the machine of the certificate authority, and install what it writes; a delegation is "
    "renewed with tinyfleet keys delegate"
)
_BUSY = "wait; as many devices as allowed are at risk or unavailable"
_HELD = "wait; the message says for what"

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
    "Proposing": "wait; the gateway is about to push the branch",
    "TooLittleSeen": "wait for more windows; the message has the numbers",
    "CoolingDown": "wait, or change the rollout by hand",
    "Suspended": "set suspend: false when ready",
    "LineBudgetSpent": "wait, or raise lineShare; deliveries go first in any case",
    "LearningNotReported": "wait for its next report",
    "NotBuilt": "nothing; it is built when a rollout needs it",
    "NotReleased": "wait; see the rollout",
    "NotConfigured": "wait; see the rollout",
    "NotMonitored": "wait for the first reports of devices that run it",
    "ProposalContended": "nothing: the next pass looks again",
    "MirrorDamaged": "nothing: the next poll rebuilds it, and its readable commits stay in force",
    "Training": "wait; tinyfleet training show has the number of trials that are done",
    "Cutting": "wait; the stages are being built",
    "Preparing": "wait; the message has the devices that take their stages",
    "OnSpare": "look at the first device of the stage; the spare answers with the same bytes until it is back",
    "Merged": "look at the devices of the lost stages; they get their parts again when they have reported for long",
    "StoodIn": "look at the device that the message names; the gateway answers with the same bytes until it is back",
    "WaitingForData": "wait for more windows, or label some; the message has the numbers",
}
_DEVICES: Mapping[str, str] = {
    "UnknownDevice": "add a Device document, or find out which device uses this name on the link",
    "NotAuthentic": (
        "compare the public key in Git with the key of the device; if they match, find out who sends in its name"
    ),
    "DecisionsDiffer": (
        "compare its firmware with the release, and the pack that it runs with Git; if both match, do not trust its "
        "samples"
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
    "ForestDiscarded": (
        "raise mostAnomalous or the threshold, or look at the machine; then change learn-generation in the rollout, "
        "and the device learns again"
    ),
}
_ROLLOUTS: Mapping[str, str] = {
    "FailureBudgetSpent": (
        "look at the devices that failed, then commit a better model, a larger budget, or a changed label to try again"
    ),
    "RolledBack": "look at the devices that failed, then commit a better model",
}
_BUILDS: Mapping[str, str] = {
    "ModelUnreadable": "export the model again, in a form that build lists",
    "ModelUnsigned": "have the file signed by someone whom the gateway accepts, and name the signature in the source",
    "OperatorUnsupported": "replace the operator that the message names; see operators",
    "RuntimeUnsupported": "choose an isolation forest, or a device type with the agent in C; see MicroPython",
    "DoesNotFit": _SMALLER,
    "BuildGateFailed": "look at the figure in the message; commit a better model, or another limit",
    "BuildFailed": "see the message; if it names an internal error, report it together with the model",
    "PackMalformed": "see the message; if it names an internal error, report it together with the model",
    "BuildToolsMissing": (
        "install the extra that the message names, or build on another machine and share the store (packages)"
    ),
    "RegistryUnavailable": "see the message: check the address and the credentials",
    "AddressInvalid": "correct it (registries)",
    "SourceUnavailable": (
        "nothing, if the address is expected back: it is tried again. Otherwise check the URL, the credentials and "
        "the network"
    ),
    "StoreUnavailable": (
        "nothing, if the address is expected back: it is tried again. Otherwise check the URL, the credentials and "
        "the network"
    ),
    "ResourcesExhausted": (
        "find out what uses up the descriptors, processes, memory or disk space of the gateway; it is tried again"
    ),
}
_GATEWAYS: Mapping[str, str] = {
    "Invalid": "run tinyfleet validate; the message has the first problem and its location",
    "LinkDown": "check the broker or the cable that the message names",
    "NetworkNotIsolated": "allow user namespaces on the gateway, or build on another machine and share the store",
    "CertificateExpiring": _RENEW,
    "CertificateExpired": _RENEW,
    "CertificateUnreadable": "restore the file that the message names, or correct its path in gateway.toml",
    "OtherRoot": "nothing during a rotation; otherwise give the gateway the rotations, or provision the devices again",
    "RequestsRefused": "write the configuration of the broker again with tinyfleet pki broker-config",
    "FirmwareWithoutOperations": (
        "write firmware with the part TF_OPERATIONS to the devices, or remove both from the type"
    ),
    "UplinkDown": "check the line, [[uplink]] in gateway.toml, and the other gateway with its broker",
    "StorageUnusable": "check owner, permissions and free space of the state folder",
    "StorageFull": "raise bytes of node.storage, or keep less in the buckets",
    "ModuleUnreadable": "nothing: it is read again",
    "UnknownDevices": "add Device documents, or find out what reports on the link; tinyfleet status has the names",
}
_SOURCE: Mapping[str, str] = {
    "RemoteUnavailable": (
        "nothing if the network will return; it is tried again with growing delays. Otherwise check the URL, DNS "
        "and firewall"
    ),
    "AuthenticationFailed": "renew the deploy key, or the token of the credential helper",
    "HostKeyUnknown": (
        "compare it with the key that the server's owner publishes, then add it. If it changed, find out why first"
    ),
    "CertificateRefused": "renew it, or set ca. Also check the gateway's clock",
    "ProtocolRefused": "correct the URL; if the server redirects, find out why",
    "SettingsUnsafe": "correct the setting that the message names",
    "DubiousOwnership": "give it to the daemon's user, or use ssh://",
    "RefMissing": "push it, or correct its name",
    "SubPathMissing": "correct path, or revert the commit that moved the folder",
    "HistoryRewritten": (
        "if it was deliberate, run tinyfleet accept-history on the gateway. Otherwise treat it as an attack: the "
        "message names both commits"
    ),
    "HistoryTooLong": "accept a newer commit with tinyfleet accept-history",
    "UnsignedCommit": (
        "replace the commit with a signed one. On a shared branch, revert it with a signed commit and accept that one"
    ),
    "UntrustedSigner": "add the signer on the gateway, or remove the commit",
    "SignerExpired": "renew the key and export it to the gateway. If it was revoked, remove the commit",
    "BadSignature": "find out who did it",
    "SignersUnreadable": "restore the file, or install the program",
    "ObjectsRefused": "find the commit with git fsck --strict, and who made it",
    "TransferTooLarge": "remove the large file; if there is none, do not trust the remote",
    "GitUnusable": "install git 2.34 or later",
    "DiskFull": "free some space",
    "MirrorUnwritable": "give it back to the daemon's user",
    "MirrorBusy": "stop one of them",
    "WatchUnavailable": (
        "nothing: polling continues. To get the watch back, raise fs.inotify.max_user_watches or correct the path"
    ),
    "StatusContended": "check whether two gateways have the same name",
    "StatusRefused": "allow the gateway's key to create and force-push that branch",
    "OutOfScope": (
        "treat it as an attack: take the key out of [automation] allowed_signers on every gateway and find out who "
        "used it. Then remove the commit from the branch, or revert it with a signed commit and accept that one"
    ),
    "NotApproved": (
        "merge proposals with a merge commit that a person or the forge signs; on the branch itself, push a signed "
        "commit on top. If it should count without a person, see below"
    ),
    "NotProposable": "make it an ordinary file",
    "ProposalRefused": (
        "allow the gateway's key to create, force-push and delete propose/<gateway>/*; if the message names push "
        "options, correct [automation] push_options"
    ),
}

_CONTESTS: Mapping[str, str] = {
    "KnowledgeUnusable": "make room on the disk, or give the file back to the user of the daemon",
    "KnowledgeLost": "keep the damaged file if its labels matter, and check the disk",
    "PoolTooSmall": "repair the models that the message names, add models to the pool, or lower the quorum",
    "ModelFails": "look at the error of the model; it abstains until Git changes it",
    "TooManyFalsePositives": (
        "review the branch that proposes another model; without one, the condition Proposed says what is missing"
    ),
    "TooManyMissed": (
        "review the branch that proposes another model; without one, the condition Proposed says what is missing"
    ),
    "Declined": "nothing, or take the candidate out of the contest",
    "NotPushed": "check that the gateway may push the branch; it is tried again",
    "LocalForestNotPushed": "check that the gateway may push the branch; it is tried again",
    "ProposeNever": "change the rollout by hand, or set propose: branch",
    "NoSuccessor": "add candidates or thresholds to the contest, or train a model",
    "Flapping": "look at the windows, label some, and change the rollout by hand",
    "RolloutStopped": "look at the devices that failed, then commit another model",
    "DeviceLacksSamples": "update the firmware of the devices, or narrow the rollout",
    "LogOverrun": "fetch more often, raise lineShare or bytesPerHour, or keep fewer normal windows",
}

_TRAININGS: Mapping[str, str] = {
    "ObjectiveMissed": "lower objective.detection, add features or trees, or label windows",
    "TrainingFailed": "see the message; correct the settings of the training",
    "ToolsMissing": "install the extra that the message names",
    "ModelsDeclined": "nothing; the next run may propose others",
}
_PIPELINES: Mapping[str, str] = {
    "NoPlacement": "add a stage, or devices with larger slots or arenas; tinyfleet pipeline cut tries it",
    "FallenBack": "look at the devices of the stage that the message names: results are those of the fallback",
    "Stopped": "look at the devices of the stage that the message names, or allow a recovery",
    "TooSlow": (
        "compare predicted and measured times of the stages: tinyfleet pipeline show; add stages or faster devices, or "
        "relax target"
    ),
}
_FUNCTIONS: Mapping[str, str] = {
    "WasmInvalid": "compile the module again; the message has the error",
    "ImportRefused": "add what it imports to needs, or remove the import",
    "RuntimeMissing": "install the extra functions on the gateway",
    "NoNode": "set drain: false on one of its gateways, or widen its placement",
    "NotPlaced": "see Placed",
    "OutOfFuel": "raise limits.fuel, or correct the function: it may loop with this data",
    "Failing": "call it with other data, or raise the limit that the message names",
    "NotCompiled": "see Compiled",
}
REMEDIES: Mapping[str, Remedy] = {
    **{reason: Remedy(act=False, text=text) for reason, text in _WAIT.items()},
    **{
        reason: Remedy(act=True, text=text)
        for table in (_DEVICES, _ROLLOUTS, _BUILDS, _CONTESTS, _TRAININGS, _PIPELINES, _FUNCTIONS, _GATEWAYS, _SOURCE)
        for reason, text in table.items()
    },
}
