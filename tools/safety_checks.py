# SPDX-License-Identifier: Apache-2.0
"""What tinyfleet promises about safety, and the code outside of `signing` that each promise rests on.

`make mutate-checks` changes each decision in that code, and expects one of the named tests to fail.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Promise:
    """One promise, the functions that keep it, and the tests that show it, the most effective first."""

    what: str
    module: str
    tests: tuple[str, ...]
    functions: tuple[str, ...] = ()  # or their classes; none: all of the module
    names: bool = False  # whether it compares names, which must be equal as a whole

    def covers(self, function: str) -> bool:
        """Return whether the promise rests on a function."""
        return not self.functions or function in self.functions or function.partition(".")[0] in self.functions


MAN_IN_THE_MIDDLE = "tests/devices/test_man_in_the_middle.py"
PROMISES = (
    # ------------------------------------------------------------ git
    Promise(
        "only commits of allowed signers are applied",
        "reconciler/git/signatures.py",
        ("tests/git/test_signatures.py",),
        ("SignaturePolicy", "CommitVerifier.verify", "_signer_of", "_meaning"),
    ),
    Promise(
        "a signed commit has one id, wherever its signature has one form",
        "reconciler/git/commit_headers.py",
        ("tests/git/test_commit_headers.py",),
    ),
    Promise(
        "a signed commit has one id, wherever its signature has one form",
        "reconciler/git/ssh_signature.py",
        ("tests/git/test_ssh_signature.py",),
    ),
    Promise(
        "every new commit is verified, and a rewritten history is refused",
        "reconciler/git/new_commits.py",
        ("tests/git/test_new_commits.py",),
        ("new_commits", "_is_ancestor", "_is_cut"),
    ),
    Promise(
        "a refused commit is never applied, and the last good one stays",
        "reconciler/git/source.py",
        ("tests/git/test_source.py",),
    ),
    Promise(
        "a status counts only with the signature of its own gateway",
        "reconciler/git/peer_status.py",
        ("tests/git/test_peer_status.py",),
        ("PeerStatusReader._fetch", "PeerStatusReader._trusted"),
        names=True,
    ),
    Promise(
        "only known protocols and plain refs reach git",
        "reconciler/git/remote_settings.py",
        ("tests/git/test_confinement.py", "tests/git/test_transports.py"),
        ("check_ref", "protocol_of", "_checked_scheme"),
    ),
    # ------------------------------------------------------------ devices
    Promise(
        "only signed reports with the order's own sequence decide about an update",
        "reconciler/devices/transfer.py",
        ("tests/devices/test_transfer_decisions.py", "tests/devices/test_transfer.py", MAN_IN_THE_MIDDLE),
        (
            "Transfer._take_result",
            "Transfer._process_report",
            "Transfer._continue_accepted",
            "Transfer._read_report",
            "Transfer._verdict",
        ),
    ),
    Promise(
        "an answer counts only for its own question",
        "reconciler/devices/conversation.py",
        ("tests/devices/test_conversation.py", MAN_IN_THE_MIDDLE),
        ("Inquiry.heard",),
    ),
    Promise(
        "messages and reports have one encoding, and all numbers are in range",
        "reconciler/devices/strict_cbor.py",
        ("tests/devices/test_strict_cbor.py", "tests/devices/test_messages.py", "tests/devices/test_reports.py"),
    ),
    Promise(
        "messages have one encoding, and all numbers are in range",
        "reconciler/devices/messages.py",
        ("tests/devices/test_messages.py",),
    ),
    # ------------------------------------------------------------ load
    Promise(
        "one gateway serves a device, and one rollout decides about it",
        "reconciler/load/ownership.py",
        ("tests/load/test_references.py",),
        ("_gateways", "_claim", "_unserved", "_keys", "_rollouts", "_overlaps"),
    ),
    Promise(
        "a file that is too large or no plain file is not read",
        "reconciler/load/file_filter.py",
        ("tests/load/test_file_filter.py", "tests/load/test_files.py"),
    ),
    Promise(
        "a model is built from exactly the file that Git names",
        "reconciler/load/source_files.py",
        ("tests/load/test_files.py", "tests/load/test_references.py", "tests/load/test_check_cache.py"),
        ("_check", "_facts"),
    ),
    # ------------------------------------------------------------ plan
    Promise(
        "a device gets only what it can run, never twice what failed on it, and nothing while it is cloned",
        "reconciler/plan/device/evaluate.py",
        (
            "tests/plan/device/test_evaluate.py",
            "tests/plan/device/test_verdicts.py",
            "tests/plan/device/test_rollback_action.py",
            "tests/plan/device/test_flapping.py",
            "tests/plan/rollout/test_holds.py",
            "tests/plan/rollout/test_actions.py",
        ),
    ),
    Promise(
        "a device gets only what it can hold and run",
        "reconciler/plan/device/requirements.py",
        ("tests/plan/device/test_evaluate.py",),
    ),
    Promise(
        "a device is done only when it has passed every gate",
        "reconciler/plan/device/gates.py",
        ("tests/plan/device/test_gates.py",),
    ),
    Promise(
        "a wave opens only when the earlier ones are over",
        "reconciler/plan/rollout/progress.py",
        ("tests/plan/rollout/test_progress.py", "tests/plan/rollout/test_waves.py", "tests/plan/rollout/test_holds.py"),
        ("allowed_failures", "measure_progress", "_is_over"),
    ),
    Promise(
        "no more devices are at risk than the failure budget and the groups allow",
        "reconciler/plan/rollout/disruption.py",
        (
            "tests/plan/rollout/test_disruption.py",
            "tests/plan/rollout/test_holds.py",
            "tests/plan/test_planner_changes.py",
            "tests/plan/rollout/test_dishonest_peers.py",
        ),
        ("disruption_holds", "max_at_risk", "_at_risk_holds", "_min_available_holds", "_needed"),
    ),
    Promise(
        "a device that soaks, or is lost, is not counted as done",
        "reconciler/plan/rollout/tally.py",
        ("tests/plan/rollout/test_tally.py",),
        ("wave_role", "_settled_role", "_has_soaked", "Tally.add", "Tally._add_soaking"),
    ),
    Promise(
        "another gateway is believed only about its own devices",
        "reconciler/plan/device/peers.py",
        ("tests/plan/device/test_peers.py", "tests/plan/rollout/test_dishonest_peers.py"),
        ("PeerDevices.verdict", "PeerDevices._lost", "is_peer_device", "peer_devices", "stopped_by_peer"),
        names=True,
    ),
    # ------------------------------------------------------------ engine
    Promise(
        "an unsolicited report is believed only if it is newer, and only fresh ones tell a clone",
        "reconciler/engine/observed/interpret.py",
        ("tests/engine/test_interpret.py", "tests/engine/test_inventory.py"),
        ("is_newer", "updated_record", "_settled", "_phase"),
    ),
    Promise(
        "an unsolicited report is believed only if it is newer, and only fresh ones tell a clone",
        "reconciler/engine/observed/inventory.py",
        ("tests/engine/test_inventory.py",),
        ("Inventory.record_report", "Inventory.release_outdated", "Inventory.quarantine"),
    ),
    Promise(
        "clones are found, and no order that a device once obeyed is sent again",
        "reconciler/engine/observed/identity_history.py",
        ("tests/engine/test_identity_history.py",),
    ),
    Promise(
        "a report counts only with the signature of its device",
        "reconciler/engine/observed/report_verifier.py",
        ("tests/engine/test_report_verifier.py",),
    ),
    Promise(
        "a peer's status is taken only from its own branch, in its own name",
        "reconciler/engine/observed/peer_statuses.py",
        ("tests/engine/test_peer_statuses.py",),
        names=True,
    ),
    Promise(
        "orders follow a fresh report, and only a signed failure quarantines a pack",
        "reconciler/engine/delivery/device_update.py",
        ("tests/engine/test_device_update.py", "tests/engine/test_dispatcher.py"),
        (
            "DeviceUpdater._target",
            "DeviceUpdater._record_baseline",
            "DeviceUpdater._install",
            "DeviceUpdater._record",
            "DeviceUpdater._quarantine",
        ),
    ),
    Promise(
        "an order has a sequence of its own, and an interrupted one is resumed only byte for byte",
        "reconciler/engine/delivery/transfer_preparation.py",
        ("tests/engine/test_transfer_preparation.py",),
    ),
    Promise(
        "a delivery that is no longer wanted is cancelled",
        "reconciler/engine/delivery/still_wanted.py",
        ("tests/engine/test_still_wanted.py",),
    ),
    Promise(
        "a device that failed is left alone for a growing pause",
        "reconciler/engine/delivery/deliveries.py",
        ("tests/engine/test_deliveries.py", "tests/engine/test_link_events.py"),
        (
            "Deliveries.may_start",
            "Deliveries.retry_now",
            "Deliveries.retry_all_now",
            "Deliveries.next_try_in_s",
            "Deliveries._run",
            "Deliveries._forget_failures",
        ),
    ),
    Promise(
        "what failed is left alone for a growing pause",
        "reconciler/engine/backoff.py",
        ("tests/engine/test_backoff.py",),
    ),
)
