# SPDX-License-Identifier: Apache-2.0
"""What other gateways say is read from their signed status refs; what is not theirs counts for nothing."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from reconciler.engine.observed.peer_statuses import LARGEST, PeerStatuses
from reconciler.git.commit_tree import CommitTree
from reconciler.git.commit_writer import CommitAuthor, CommitMessage
from reconciler.git.errors import MirrorDamaged
from reconciler.git.peer_status import PeerStatusReader
from reconciler.git.remote import GitLimits, Remote
from reconciler.git.signatures import SignatureMode, SignaturePolicy
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


def word(*done: str, stopped: str = "") -> RolloutReport:
    return RolloutReport("ab" * 8, done=frozenset(map(DeviceId, done)), stopped=stopped, at=NOW)


def status(rollout: RolloutId, said: RolloutReport) -> bytes:
    facts = RolloutFacts(rollout, "vibration@2", said, (), complete=False)
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
        self.peers = PeerStatusReader(folder / "peers", self.remote, self.policy, folder / "state", limits=LIMITS, named=True)
        self.words = PeerStatuses(self.peers, NORTH)

    def say(self, gateway: str, files: dict[str, bytes], *, key: str | None = None) -> None:
        signed_by = self.keys[key or gateway].path
        author = CommitAuthor(gateway, f"{gateway}@example.org", signed_by)
        with StatusWriter(self.folder / f"{gateway}-by-{key}", self.remote, gateway, author, limits=LIMITS) as ref:
            assert isinstance(ref.publish(files, CommitMessage("news", NOW)), Pushed)


@pytest.fixture
def gateways(tmp_path: Path) -> Iterator[Gateways]:
    made = Gateways(tmp_path)
    yield made
    made.peers.close()


def test_each_says_what_it_says_and_we_do_not_listen_to_ourselves(gateways: Gateways) -> None:
    gateways.say("north", {"rollouts/pumps.yaml": status(PUMPS, word("n1"))})
    gateways.say("south", {"rollouts/pumps.yaml": status(PUMPS, word("s1")), "README.md": b"# south\n"})
    assert gateways.words.look() == {SOUTH: PeerReport({PUMPS: word("s1")})}


def test_nothing_new_is_the_very_same_value(gateways: Gateways) -> None:
    files = {"rollouts/pumps.yaml": status(PUMPS, word("s1"))}
    gateways.say("south", files)
    first = gateways.words.look()
    assert gateways.words.look() is first
    gateways.say("south", {**files, "README.md": b"what does not concern others changed\n"})
    second = gateways.words.look()
    assert second is first
    gateways.say("south", {"rollouts/pumps.yaml": status(PUMPS, word("s1", "s2"))})
    assert gateways.words.look() == {SOUTH: PeerReport({PUMPS: word("s1", "s2")})}


@pytest.mark.parametrize("key", ["east", "north"], ids=["nobody's", "another gateway's"])
def test_what_is_signed_by_another_key_takes_the_place_and_counts_for_nothing(
    gateways: Gateways, caplog: pytest.LogCaptureFixture, key: str
) -> None:
    gateways.say("south", {"rollouts/pumps.yaml": status(PUMPS, word("s1"))})
    gateways.words.look()
    gateways.say("south", {"rollouts/pumps.yaml": status(PUMPS, word("s1", "s2", "s3"))}, key=key)
    with caplog.at_level(logging.WARNING):
        assert gateways.words.look() == {}
        assert gateways.words.look() == {}
    told = [record.getMessage() for record in caplog.records if "gateway south" in record.getMessage()]
    commit = gateways.peers.refused["south"][:12]
    words = "is not signed by a key of that gateway, and counts for nothing"
    assert told == [f"the status of gateway south ({commit}) {words}"]


def test_what_is_no_status_takes_nothing_else_with_it(gateways: Gateways, caplog: pytest.LogCaptureFixture) -> None:
    gateways.say(
        "south",
        {
            "rollouts/pumps.yaml": b"kind: RolloutStatus\nstatus: 7\n",
            "rollouts/fans.yaml": status(FANS, word("s1")),
            "rollouts/endless.yaml": b"#" * (LARGEST + 1),
        },
    )
    assert gateways.words.look() == {SOUTH: PeerReport({FANS: word("s1")})}
    assert "rollouts/pumps.yaml of gateway south: no status of a rollout" in caplog.text
    assert "endless" not in caplog.text  # it was not even read


def test_the_last_words_stand_while_git_is_away(gateways: Gateways, caplog: pytest.LogCaptureFixture) -> None:
    gateways.say("south", {"rollouts/pumps.yaml": status(PUMPS, word("s1"))})
    before = gateways.words.look()
    hidden = gateways.forge.bare.with_suffix(".away")
    gateways.forge.bare.rename(hidden)
    assert gateways.words.look() is before
    assert "what other gateways say can't be fetched" in caplog.text
    hidden.rename(gateways.forge.bare)
    assert gateways.words.look() is before


def test_a_gateway_that_took_its_ref_away_is_not_heard_any_more(gateways: Gateways) -> None:
    gateways.say("south", {"rollouts/pumps.yaml": status(PUMPS, word("s1"))})
    gateways.words.look()
    gateways.forge.git("push", "--quiet", "origin", ":refs/heads/status/south")
    assert gateways.words.look() == {}


class DamagedFor(PeerStatusReader):
    """Git as it is, but for one commit whose files can't be read."""

    unreadable = ""

    def tree(self, commit: Commit) -> CommitTree:
        if commit == self.unreadable:
            raise MirrorDamaged("the mirror is damaged", retry_after_s=0.0)
        return super().tree(commit)


def test_what_can_not_be_read_of_one_takes_no_other_word_away(gateways: Gateways) -> None:
    peers = DamagedFor(gateways.folder / "more", gateways.remote, gateways.policy, gateways.folder / "s", named=True)
    with peers:
        words = PeerStatuses(peers, GatewayId("west"))
        for gateway in ("north", "south"):
            gateways.say(gateway, {"rollouts/pumps.yaml": status(PUMPS, word(f"{gateway}-1"))})
        assert set(words.look()) == {NORTH, SOUTH}
        for gateway in ("north", "south"):
            gateways.say(gateway, {"rollouts/pumps.yaml": status(PUMPS, word(f"{gateway}-2"))})
        peers.unreadable = gateways.forge.git("ls-remote", "origin", "refs/heads/status/north").split()[0]
        expected = {NORTH: PeerReport({PUMPS: word("north-1")}), SOUTH: PeerReport({PUMPS: word("south-2")})}
        assert words.look() == expected
        peers.unreadable = ""
        assert words.look()[NORTH] == PeerReport({PUMPS: word("north-2")})


def test_words_of_ours_do_not_depend_on_the_order_of_sets() -> None:
    said = word(*(f"d{number}" for number in range(200)))
    shuffled = replace(said, done=frozenset(sorted(said.done, reverse=True)))
    assert status(PUMPS, said) == status(PUMPS, shuffled)
