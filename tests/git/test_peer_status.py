# SPDX-License-Identifier: Apache-2.0
"""A gateway can report only for itself: its status counts only under its own name."""

from __future__ import annotations

from pathlib import Path

from reconciler.git.commit_writer import CommitAuthor
from reconciler.git.peer_status import PeerStatusReader
from reconciler.git.remote_settings import Remote
from reconciler.git.signatures import CommitVerifier, SignatureMode, SignaturePolicy
from reconciler.git.status_writer import Pushed, StatusWriter
from tests.git.forge import SshKey
from tests.git.test_status_writer import LIMITS, NORTH, message


def test_a_gateway_cannot_report_for_another(remote: Remote, keys: dict[str, SshKey], tmp_path: Path) -> None:
    signers = tmp_path / "gateways"
    lines = [
        f"{who} {keys[key].path.with_suffix('.pub').read_text()}" for who, key in (("north", "ada"), ("x@south", "bob"))
    ]
    signers.write_text("\n".join(lines))
    # "south" is signed by the key of north: both keys are trusted, but only under their own name.
    for gateway, key in (("north", "ada"), ("south", "ada"), ("east", "mallory")):
        author = CommitAuthor(gateway, f"{gateway}@example.org", keys[key].path)
        with StatusWriter(tmp_path / gateway, remote, gateway, author, limits=LIMITS) as status:
            assert isinstance(status.publish({"of": gateway.encode()}, message()), Pushed)
    policy = SignaturePolicy(SignatureMode.HEAD, signers)
    with PeerStatusReader(
        tmp_path / "peers", remote, CommitVerifier(policy, tmp_path / "state"), limits=LIMITS, named=True
    ) as peers:
        assert set(peers.fetch()) == {"north"}
        assert set(peers.refused) == {"south", "east"}
    author = CommitAuthor("south", "south@example.org", keys["bob"].path)
    with StatusWriter(tmp_path / "again", remote, "south", author, limits=LIMITS) as status:
        assert isinstance(status.publish({"of": b"south, itself"}, message()), Pushed)
    with PeerStatusReader(
        tmp_path / "peers", remote, CommitVerifier(policy, tmp_path / "state"), limits=LIMITS, named=True
    ) as peers:
        assert set(peers.fetch()) == {"north", "south"}


def test_a_principal_that_only_ends_like_the_gateway_is_another_one(
    remote: Remote, keys: dict[str, SshKey], tmp_path: Path
) -> None:
    signers = tmp_path / "gateways"
    lines = (f"{who} {keys[key].path.with_suffix('.pub').read_text()}" for who, key in (("big-north", "ada"),))
    signers.write_text("".join(lines))
    author = CommitAuthor("north", "north@example.org", keys["ada"].path)
    with StatusWriter(tmp_path / "north", remote, "north", author, limits=LIMITS) as status:
        assert isinstance(status.publish({"of": b"north"}, message()), Pushed)
    verifier = CommitVerifier(SignaturePolicy(SignatureMode.HEAD, signers), tmp_path / "state")
    with PeerStatusReader(tmp_path / "peers", remote, verifier, limits=LIMITS, named=True) as peers:
        assert peers.fetch() == {}
    with PeerStatusReader(tmp_path / "any", remote, verifier, limits=LIMITS, named=False) as peers:
        assert set(peers.fetch()) == {"north"}


def test_statuses_that_were_replaced_leave_few_files(remote: Remote, tmp_path: Path) -> None:
    verifier = CommitVerifier(SignaturePolicy(SignatureMode.OFF), tmp_path / "state")
    with (
        StatusWriter(tmp_path / "north", remote, "north", NORTH, limits=LIMITS) as status,
        PeerStatusReader(tmp_path / "peers", remote, verifier, limits=LIMITS) as peers,
    ):
        for number in range(42):
            assert isinstance(status.publish({"a": b"%d" % number}, message()), Pushed)
            assert set(peers.fetch()) == {"north"}
    files = [file for file in (tmp_path / "peers" / "objects").rglob("*") if file.is_file()]
    assert len(files) < 42  # each fetch is a pack of two files
