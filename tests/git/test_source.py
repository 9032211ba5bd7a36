# SPDX-License-Identifier: Apache-2.0
"""The results of `CommitSource.poll`, with a real repository."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from reconciler.errors import Invalid
from reconciler.git.mirror import Mirror
from reconciler.git.signatures import SignatureMode, SignaturePolicy
from reconciler.git.source import Advanced, CommitSource, Kept, PollResult, Unchanged
from reconciler.model import Commit
from tests.git.forge import Forge, SshKey

Keys = dict[str, SshKey]


def kept(outcome: PollResult, reason: str, commit: Commit | None) -> Kept:
    assert isinstance(outcome, Kept), outcome
    assert (outcome.reason, outcome.commit) == (reason, commit), outcome.message
    return outcome


def test_first_poll_takes_a_signed_head(forge: Forge, source: CommitSource, keys: Keys) -> None:
    forge.commit()
    head = forge.commit(key=keys["ada"])
    outcome = source.poll(None)
    assert isinstance(outcome, Advanced)
    assert (outcome.commit, outcome.base, outcome.new) == (head, None, (head,))
    assert [signer.name for signer in outcome.signers] == ["ada@example.org"]


def test_unchanged_then_advanced(forge: Forge, source: CommitSource, keys: Keys) -> None:
    first = forge.commit(key=keys["ada"])
    source.poll(None)
    assert source.poll(first) == Unchanged(first)
    second = forge.commit(key=keys["bob"])
    third = forge.commit(key=keys["ada"])
    outcome = source.poll(first)
    assert isinstance(outcome, Advanced)
    assert (outcome.commit, outcome.new) == (third, (second, third))


def test_an_unsigned_commit_is_refused_until_it_is_removed_from_the_history(
    forge: Forge, source: CommitSource, keys: Keys
) -> None:
    good = forge.commit(key=keys["ada"])
    bad = forge.commit()
    outcome = kept(source.poll(good), "UnsignedCommit", good)
    assert bad[:12] in outcome.message
    assert not outcome.transient
    # A signed commit on top does not make the one below it acceptable.
    forge.commit(key=keys["ada"])
    assert bad[:12] in kept(source.poll(good), "UnsignedCommit", good).message


def test_rewritten_history_is_refused_and_the_last_good_commit_stays_readable(
    forge: Forge, source: CommitSource, keys: Keys
) -> None:
    forge.commit({"a.yaml": "1\n"}, key=keys["ada"])
    good = forge.commit({"a.yaml": "2\n"}, key=keys["ada"])
    assert source.poll(None).commit == good
    assert source.poll(good) == Unchanged(good)
    forge.git("reset", "--quiet", "--hard", "HEAD~1")
    forge.commit({"a.yaml": "evil\n"}, key=keys["ada"], push=False)
    forge.push("--force")
    kept(source.poll(good), "HistoryRewritten", good)
    with source.tree(good) as tree:
        (entry,) = tree.entries()
        assert tree.read(entry) == b"2\n"


def test_going_back_to_an_older_commit_is_a_rewrite(forge: Forge, source: CommitSource, keys: Keys) -> None:
    old = forge.commit(key=keys["ada"])
    good = forge.commit(key=keys["ada"])
    source.poll(None)
    forge.git("reset", "--quiet", "--hard", old)
    forge.push("--force")
    kept(source.poll(good), "HistoryRewritten", good)


def test_a_rewrite_is_refused_even_if_the_state_is_lost(forge: Forge, source: CommitSource, keys: Keys) -> None:
    good = forge.commit(key=keys["ada"])
    source.poll(None)
    source.poll(good)
    forge.git("checkout", "--quiet", "--orphan", "other")
    forge.commit(key=keys["ada"], push=False)
    forge.git("push", "--quiet", "--force", "origin", "HEAD:main")
    kept(source.poll(None), "HistoryRewritten", good)


def test_an_operator_can_accept_a_rewritten_history(forge: Forge, source: CommitSource, keys: Keys) -> None:
    good = forge.commit(key=keys["ada"])
    source.poll(None)
    forge.git("checkout", "--quiet", "--orphan", "other")
    fresh = forge.commit(key=keys["ada"], push=False)
    forge.git("push", "--quiet", "--force", "origin", "HEAD:main")
    kept(source.poll(good), "HistoryRewritten", good)
    source.accept(fresh)
    assert source.poll(fresh) == Unchanged(fresh)


def test_an_invalid_commit_is_skipped_until_the_next_push(forge: Forge, source: CommitSource, keys: Keys) -> None:
    good = forge.commit(key=keys["ada"])
    source.poll(None)
    broken = forge.commit(key=keys["ada"])
    assert source.poll(good).commit == broken
    source.reject(broken, Invalid("a.yaml:1:1: no kind"))
    assert kept(source.poll(good), "Invalid", good).candidate == broken
    fixed = forge.commit(key=keys["ada"])
    outcome = source.poll(good)
    assert isinstance(outcome, Advanced)
    assert outcome.new == (broken, fixed)


def test_a_remote_that_is_unreachable_and_returns(forge: Forge, source: CommitSource, keys: Keys) -> None:
    good = forge.commit(key=keys["ada"])
    source.poll(None)
    forge.bare.rename(forge.bare.with_suffix(".away"))
    assert kept(source.poll(good), "RemoteUnavailable", good).transient
    forge.bare.with_suffix(".away").rename(forge.bare)
    assert source.poll(good) == Unchanged(good)


def test_missing_branch(forge: Forge, source: CommitSource, keys: Keys) -> None:
    forge.commit(key=keys["ada"], push=False)
    forge.git("push", "--quiet", "origin", "HEAD:other")
    kept(source.poll(None), "RefMissing", None)


def test_a_refusal_is_cached_until_the_policy_changes(
    forge: Forge, mirror: Mirror, keys: Keys, signers: Path, tmp_path: Path
) -> None:
    source = CommitSource(mirror, SignaturePolicy(SignatureMode.EVERY, allowed_signers=signers), tmp_path / "state")
    good = forge.commit(key=keys["ada"])
    source.poll(None)
    theirs = forge.commit(key=keys["mallory"])
    kept(source.poll(good), "UntrustedSigner", good)
    kept(source.poll(good), "UntrustedSigner", good)
    with signers.open("a") as more:
        more.write(f"mallory@example.org {keys['mallory'].public}\n")
    assert source.poll(good).commit == theirs


def test_with_an_anchor_every_later_commit_is_verified(
    forge: Forge, mirror: Mirror, keys: Keys, signers: Path, tmp_path: Path
) -> None:
    anchor = forge.commit()
    unsigned = forge.commit()
    forge.commit(key=keys["ada"])
    policy = SignaturePolicy(SignatureMode.EVERY, allowed_signers=signers, anchor=anchor)
    outcome = kept(CommitSource(mirror, policy, tmp_path / "state").poll(None), "UnsignedCommit", None)
    assert unsigned[:12] in outcome.message
    policy = SignaturePolicy(SignatureMode.EVERY, allowed_signers=signers, anchor=unsigned)
    assert isinstance(CommitSource(mirror, policy, tmp_path / "state").poll(None), Advanced)


@pytest.mark.parametrize("what", ["object", "refs", "config", "everything", "pack"])
def test_damaged_mirror_is_rebuilt(what: str, forge: Forge, source: CommitSource, mirror: Mirror, keys: Keys) -> None:
    forge.commit({"old.yaml": "x\n"}, key=keys["ada"])
    good = forge.commit({"a.yaml": "good\n"}, key=keys["ada"])
    source.poll(None)
    source.poll(good)
    damage(mirror.path, what, forge.git("rev-parse", "HEAD:a.yaml"))
    mirror.distrust()
    assert source.poll(good) == Unchanged(good)
    with source.tree(good) as tree:
        assert [tree.read(entry) for entry in tree.entries()] == [b"good\n", b"x\n"]
    newer = forge.commit(key=keys["ada"])
    assert source.poll(good).commit == newer


def damage(mirror: Path, what: str, blob: str) -> None:
    match what:
        case "object":
            zero_object(mirror, blob)
        case "refs":
            for ref in (mirror / "refs" / "tinyfleet").iterdir():
                ref.write_text("nonsense\n")
        case "config":
            (mirror / "config").write_text("[core\n")
        case "everything":
            shutil.rmtree(mirror)
            mirror.write_text("a file\n")
        case _:
            for file in (mirror / "objects").glob("pack/*.pack"):
                file.chmod(0o644)
                os.truncate(file, file.stat().st_size // 2)


def zero_object(mirror: Path, blob: str) -> None:
    """Overwrite one object inside its pack, as a bad sector would."""
    for index in (mirror / "objects" / "pack").glob("*.idx"):
        listed = subprocess.run(["git", "show-index"], input=index.read_bytes(), capture_output=True, check=True).stdout
        for line in listed.decode().splitlines():
            offset, name, _ = line.split()
            if name == blob:
                pack = index.with_suffix(".pack")
                pack.chmod(0o644)
                with pack.open("r+b") as opened:
                    opened.seek(int(offset) + 1)
                    opened.write(b"\0" * 6)
                return
    raise AssertionError(blob)


def test_damage_found_while_reading_is_rebuilt_at_the_next_poll(
    forge: Forge, source: CommitSource, mirror: Mirror, keys: Keys
) -> None:
    good = forge.commit({"a.yaml": "good\n"}, key=keys["ada"])
    source.poll(None)
    damage(mirror.path, "object", forge.git("rev-parse", "HEAD:a.yaml"))
    with source.tree(good) as tree, pytest.raises(Exception, match="damaged"):
        tree.read(tree.entries()[0])
    assert source.poll(good) == Unchanged(good)
    with source.tree(good) as tree:
        assert tree.read(tree.entries()[0]) == b"good\n"


def test_a_damaged_mirror_recovers_once_the_remote_is_back(
    forge: Forge, source: CommitSource, mirror: Mirror, keys: Keys
) -> None:
    good = forge.commit({"a.yaml": "good\n", "b.yaml": "b\n"}, key=keys["ada"])
    source.poll(None)
    damage(mirror.path, "object", forge.git("rev-parse", "HEAD:b.yaml"))
    mirror.distrust()
    forge.bare.rename(forge.bare.with_suffix(".away"))
    assert kept(source.poll(good), "MirrorDamaged", good).transient
    with source.tree(good) as tree:  # intact files stay readable
        assert tree.read(tree.entries()[0]) == b"good\n"
    forge.bare.with_suffix(".away").rename(forge.bare)
    assert source.poll(good) == Unchanged(good)
