# SPDX-License-Identifier: Apache-2.0
"""What other gateways report is read from their signed status refs; what another key signed is ignored."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from reconciler.engine.observed.peer_statuses import MAX_BYTES, PeerStatuses
from reconciler.git.commit_tree import CommitTree
from reconciler.git.commit_writer import CommitAuthor, CommitMessage
from reconciler.git.errors import MirrorDamaged
from reconciler.git.peer_status import PeerStatusReader
from reconciler.git.remote_settings import GitLimits, Remote
from reconciler.git.signatures import CommitVerifier, SignatureMode, SignaturePolicy
from reconciler.git.status_writer import Pushed, StatusWriter
from reconciler.model import Commit, DeviceId, GatewayId, PeerReport, RolloutId, RolloutReport
from reconciler.report.device_status import PassStamp
from reconciler.report.rollout_file import rollout_file
from reconciler.report.rollout_status import RolloutFacts, rollout_status
from tests.git.forge import Forge, SshKey, make_forge, make_ssh_key

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
NORTH, SOUTH = GatewayId("north"), GatewayId("south")
PUMPS, FANS = RolloutId("pumps"), RolloutId("fans")
LIMITS = GitLimits(ask_s=10, transfer_s=20, local_s=20)


def reported(*done: str, stopped: str = "") -> RolloutReport:
    return RolloutReport("ab" * 8, done=frozenset(map(DeviceId, done)), stopped=stopped, at=NOW)


def status(rollout: RolloutId, report: RolloutReport) -> bytes:
    facts = RolloutFacts(rollout, "vibration@2", report, (), complete=False)
    return rollout_file(rollout_status(facts, PassStamp(NOW, "c" * 40), None))


class Gateways:
    """A repository to which gateways push their status, and north, which reads it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.forge: Forge = make_forge(folder / "forge")
        self.remote = Remote(f"file://{self.forge.bare}")
        self.keys: dict[str, SshKey] = {name: make_ssh_key(folder, name) for name in ("north", "south", "east")}
        signers = folder / "gateways"
        signers.write_text("".join(f"{name} {self.keys[name].public}\n" for name in ("north", "south")))
        self.policy = SignaturePolicy(SignatureMode.HEAD, signers)
        self.peers = PeerStatusReader(
            folder / "peers", self.remote, CommitVerifier(self.policy, folder / "state"), limits=LIMITS, named=True
        )
        self.statuses = PeerStatuses(self.peers, NORTH)

    def publish(self, gateway: str, files: dict[str, bytes], *, key: str | None = None) -> None:
        signed_by = self.keys[key or gateway].path
        author = CommitAuthor(gateway, f"{gateway}@example.org", signed_by)
        with StatusWriter(self.folder / f"{gateway}-by-{key}", self.remote, gateway, author, limits=LIMITS) as ref:
            assert isinstance(ref.publish(files, CommitMessage("news", NOW)), Pushed)


@pytest.fixture
def gateways(tmp_path: Path) -> Iterator[Gateways]:
    made = Gateways(tmp_path)
    yield made
    made.peers.close()


def test_every_report_but_our_own_is_read(gateways: Gateways) -> None:
    gateways.publish("north", {"rollouts/pumps.yaml": status(PUMPS, reported("n1"))})
    gateways.publish("south", {"rollouts/pumps.yaml": status(PUMPS, reported("s1")), "README.md": b"# south\n"})
    assert gateways.statuses.fetch() == {SOUTH: PeerReport({PUMPS: reported("s1")})}


def test_without_a_change_the_same_object_is_returned(gateways: Gateways) -> None:
    files = {"rollouts/pumps.yaml": status(PUMPS, reported("s1"))}
    gateways.publish("south", files)
    first = gateways.statuses.fetch()
    assert gateways.statuses.fetch() is first
    gateways.publish("south", {**files, "README.md": b"a change that does not concern peers\n"})
    second = gateways.statuses.fetch()
    assert second is first
    gateways.publish("south", {"rollouts/pumps.yaml": status(PUMPS, reported("s1", "s2"))})
    assert gateways.statuses.fetch() == {SOUTH: PeerReport({PUMPS: reported("s1", "s2")})}


@pytest.mark.parametrize("key", ["east", "north"], ids=["an unknown key", "another gateway's key"])
def test_a_status_that_another_key_signed_is_ignored_and_logged_once(
    gateways: Gateways, caplog: pytest.LogCaptureFixture, key: str
) -> None:
    gateways.publish("south", {"rollouts/pumps.yaml": status(PUMPS, reported("s1"))})
    gateways.statuses.fetch()
    gateways.publish("south", {"rollouts/pumps.yaml": status(PUMPS, reported("s1", "s2", "s3"))}, key=key)
    with caplog.at_level(logging.WARNING):
        assert gateways.statuses.fetch() == {}
        assert gateways.statuses.fetch() == {}
    logged = [record.getMessage() for record in caplog.records if "gateway south" in record.getMessage()]
    commit = gateways.peers.refused["south"][:12]
    assert logged == [f"the status of gateway south ({commit}) is ignored: no key of that gateway signed it"]


def test_our_own_status_that_another_key_signed_is_not_logged(
    gateways: Gateways, caplog: pytest.LogCaptureFixture
) -> None:
    gateways.publish("north", {"rollouts/pumps.yaml": status(PUMPS, reported("n1"))}, key="east")
    assert gateways.statuses.fetch() == {}
    assert set(gateways.peers.refused) == {"north"}
    assert "is ignored" not in caplog.text


def test_only_the_folder_of_rollouts_is_read(gateways: Gateways) -> None:
    files = {"rollouts/pumps.yaml": status(PUMPS, reported("s1")), "old/fans.yaml": status(FANS, reported("s2"))}
    gateways.publish("south", files)
    assert gateways.statuses.fetch() == {SOUTH: PeerReport({PUMPS: reported("s1")})}


def test_a_file_that_is_not_a_status_is_skipped(gateways: Gateways, caplog: pytest.LogCaptureFixture) -> None:
    gateways.publish(
        "south",
        {
            "rollouts/pumps.yaml": b"kind: RolloutStatus\nstatus: 7\n",
            "rollouts/fans.yaml": status(FANS, reported("s1")),
            "rollouts/longest.yaml": b"#" * MAX_BYTES,
            "rollouts/endless.yaml": b"#" * (MAX_BYTES + 1),
        },
    )
    assert gateways.statuses.fetch() == {SOUTH: PeerReport({FANS: reported("s1")})}
    assert "rollouts/pumps.yaml of gateway south: not a rollout status" in caplog.text
    assert "rollouts/longest.yaml of gateway south: " in caplog.text
    assert "endless" not in caplog.text  # too large to be read at all


def test_the_last_reports_stay_valid_while_the_remote_is_unreachable(
    gateways: Gateways, caplog: pytest.LogCaptureFixture
) -> None:
    gateways.publish("south", {"rollouts/pumps.yaml": status(PUMPS, reported("s1"))})
    before = gateways.statuses.fetch()
    hidden = gateways.forge.bare.with_suffix(".away")
    gateways.forge.bare.rename(hidden)
    assert gateways.statuses.fetch() is before
    assert "cannot fetch the status of other gateways" in caplog.text
    hidden.rename(gateways.forge.bare)
    assert gateways.statuses.fetch() is before


def test_a_deleted_status_ref_ends_a_gateways_report(gateways: Gateways) -> None:
    gateways.publish("south", {"rollouts/pumps.yaml": status(PUMPS, reported("s1"))})
    gateways.statuses.fetch()
    gateways.forge.git("push", "--quiet", "origin", ":refs/heads/status/south")
    assert gateways.statuses.fetch() == {}


class DamagedFor(PeerStatusReader):
    """A reader with one commit whose files can't be read."""

    unreadable = ""

    def tree(self, commit: Commit) -> CommitTree:
        if commit == self.unreadable:
            raise MirrorDamaged("the mirror is damaged", retry_after_s=0.0)
        return super().tree(commit)


@dataclass
class West:
    """A gateway that reads the status of the other gateways."""

    gateways: Gateways
    peers: DamagedFor
    statuses: PeerStatuses

    def publish(self, gateway: str, *done: str, note: bytes = b"") -> None:
        self.gateways.publish(gateway, {"rollouts/pumps.yaml": status(PUMPS, reported(*done)), "README.md": note})

    def damage(self, gateway: str) -> None:
        """Make the last status of a gateway unreadable."""
        listed = self.gateways.forge.git("ls-remote", "origin", f"refs/heads/status/{gateway}")
        self.peers.unreadable = listed.split()[0]


@pytest.fixture
def west(gateways: Gateways) -> Iterator[West]:
    verifier = CommitVerifier(gateways.policy, gateways.folder / "s")
    with DamagedFor(gateways.folder / "more", gateways.remote, verifier, named=True) as peers:
        yield West(gateways, peers, PeerStatuses(peers, GatewayId("west")))


def test_an_unreadable_status_does_not_affect_other_gateways(west: West, caplog: pytest.LogCaptureFixture) -> None:
    west.publish("north", "north-1")
    west.publish("south", "south-1")
    assert set(west.statuses.fetch()) == {NORTH, SOUTH}
    west.publish("north", "north-2")
    west.publish("south", "south-2")
    west.damage("north")
    expected = {NORTH: PeerReport({PUMPS: reported("north-1")}), SOUTH: PeerReport({PUMPS: reported("south-2")})}
    assert west.statuses.fetch() == expected
    assert "cannot read the status of gateway north: the mirror is damaged" in caplog.text
    west.peers.unreadable = ""
    assert west.statuses.fetch()[NORTH] == PeerReport({PUMPS: reported("north-2")})


def test_a_gateway_without_any_readable_status_has_no_report(west: West) -> None:
    west.publish("north", "north-1")
    west.publish("south", "south-1")
    west.damage("north")
    assert set(west.statuses.fetch()) == {SOUTH}


def test_a_status_is_read_only_once(west: West, caplog: pytest.LogCaptureFixture) -> None:
    west.publish("north", "north-1")
    before = west.statuses.fetch()
    west.damage("north")
    assert west.statuses.fetch() is before
    assert "cannot read" not in caplog.text


def test_the_report_of_a_gateway_stays_the_same_object_while_only_others_change(west: West) -> None:
    west.publish("north", "north-1")
    west.publish("south", "south-1")
    before = west.statuses.fetch()
    west.publish("north", "north-2")
    west.publish("south", "south-1", note=b"a change that does not concern peers\n")
    after = west.statuses.fetch()
    assert after[NORTH] == PeerReport({PUMPS: reported("north-2")})
    assert after[SOUTH] is before[SOUTH]


def test_a_rendered_report_does_not_depend_on_the_order_of_sets() -> None:
    report = reported(*(f"d{number}" for number in range(200)))
    shuffled = replace(report, done=frozenset(sorted(report.done, reverse=True)))
    assert status(PUMPS, report) == status(PUMPS, shuffled)
