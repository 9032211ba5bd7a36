# SPDX-License-Identifier: Apache-2.0
"""The status branch on a real remote: one commit per change, and nothing is lost."""

from __future__ import annotations

import dataclasses
import itertools
import random
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reconciler.git.commit_writer import CommitAuthor, CommitMessage
from reconciler.git.errors import SettingsUnsafe
from reconciler.git.peer_status import PeerStatusReader
from reconciler.git.remote_settings import GitLimits, Remote
from reconciler.git.signatures import CommitVerifier, SignatureMode, SignaturePolicy
from reconciler.git.status_writer import AlreadyPublished, Publication, Pushed, PushPending, StatusWriter
from reconciler.model import Commit
from tests.git.forge import Forge, SshKey, make_forge
from tests.git.servers import HttpServer, Loopback, silent

GIT_COMMANDS = {"rev-parse", "fast-import", "commit-tree", "update-ref", "cat-file", "push"}
LIMITS = GitLimits(ask_s=10, transfer_s=20, local_s=20)
NORTH = CommitAuthor("gateway north", "north@gateways.example.org")
AT = datetime(2026, 11, 1, 12, 0, tzinfo=UTC)


def message(text: str = "3 devices confirmed") -> CommitMessage:
    return CommitMessage(text, AT)


def on_remote(forge: Forge, gateway: str = "north") -> dict[str, bytes]:
    ref = f"refs/heads/status/{gateway}"
    names = forge.git("ls-tree", "-r", "-z", "--name-only", ref, cwd=forge.bare).split("\0")
    return {
        name: subprocess.run(["git", "show", f"{ref}:{name}"], cwd=forge.bare, check=True, capture_output=True).stdout
        for name in names
        if name
    }


def count(forge: Forge, gateway: str = "north") -> int:
    return int(forge.git("rev-list", "--count", f"refs/heads/status/{gateway}", cwd=forge.bare))


def waiting(done: Publication, reason: str) -> PushPending:
    assert isinstance(done, PushPending), done
    assert done.reason == reason, done.message
    return done


@pytest.fixture
def status(tmp_path: Path, remote: Remote) -> Iterator[StatusWriter]:
    with StatusWriter(tmp_path / "status", remote, "north", NORTH, limits=LIMITS) as opened:
        yield opened


def test_a_commit_is_made_only_for_a_change(forge: Forge, status: StatusWriter) -> None:
    files = {"README.md": b"# north\n", "devices/pump-1.yaml": b"ready: true\n"}
    first = status.publish(files, message())
    assert isinstance(first, Pushed)
    assert on_remote(forge) == files
    assert status.publish(dict(files), message("other words")) == AlreadyPublished(first.commit)
    assert count(forge) == 1
    changed = {**files, "devices/pump-1.yaml": b"ready: false\n"}
    assert isinstance(status.publish(changed, message()), Pushed)
    assert on_remote(forge) == changed
    assert isinstance(status.publish({"README.md": b"# north\n"}, message()), Pushed)
    assert on_remote(forge) == {"README.md": b"# north\n"}
    assert count(forge) == 3


def test_a_status_commit_takes_seven_git_processes(forge: Forge, status: StatusWriter) -> None:
    files = {f"devices/pump-{number}.yaml": b"ready: true\n" for number in range(200)}
    status.publish(files, message())
    started: list[str] = []

    def watch(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "subprocess.Popen" and watching:
            started.append(next(word for word in arguments[1][1:] if word in GIT_COMMANDS))

    watching = True
    sys.addaudithook(watch)
    status.publish({**files, "devices/pump-1.yaml": b"ready: false\n"}, message())
    watching = False  # a hook can't be removed
    assert started == ["rev-parse", "fast-import", "commit-tree", "update-ref", "rev-parse", "push", "update-ref"]
    assert count(forge) == 2


def test_the_commit_has_author_and_time(forge: Forge, status: StatusWriter) -> None:
    done = status.publish({"a": b"1"}, message("3 devices confirmed, 1 stuck"))
    assert isinstance(done, Pushed)
    shown = forge.git("show", "-s", "--format=%an|%ae|%aI|%cn|%cI|%B", done.commit, cwd=forge.bare)
    assert shown.startswith(
        "gateway north|north@gateways.example.org|2026-11-01T12:00:00+00:00|gateway north|2026-11-01T12:00:00+00:00|"
        "3 devices confirmed, 1 stuck\n"
    )


def test_a_restart_makes_no_commit(forge: Forge, status: StatusWriter, remote: Remote, tmp_path: Path) -> None:
    done = status.publish({"a": b"1"}, message())
    assert isinstance(done, Pushed)
    status.close()
    for folder in ("status", "a-new-disk"):
        with StatusWriter(tmp_path / folder, remote, "north", NORTH, limits=LIMITS) as again:
            assert again.publish({"a": b"1"}, message()) == AlreadyPublished(done.commit)
    assert count(forge) == 1


def test_signed_commits_pass_the_policy_of_others(
    forge: Forge, remote: Remote, keys: dict[str, SshKey], every: SignaturePolicy, tmp_path: Path
) -> None:
    for gateway, key in (("north", keys["ada"]), ("south", keys["bob"]), ("rogue", keys["mallory"])):
        author = CommitAuthor(gateway, f"{gateway}@example.org", key.path)
        with StatusWriter(tmp_path / gateway, remote, gateway, author, limits=LIMITS) as status:
            assert isinstance(status.publish({"of": gateway.encode()}, message()), Pushed)
    with PeerStatusReader(
        tmp_path / "peers", remote, CommitVerifier(every, tmp_path / "state"), limits=LIMITS
    ) as peers:
        found = peers.fetch()
        assert set(found) == {"north", "south"}
        with peers.tree(found["south"]) as tree:
            assert [(entry.path, tree.read(entry)) for entry in tree.entries()] == [("of", b"south")]
    with PeerStatusReader(
        tmp_path / "all", remote, CommitVerifier(SignaturePolicy(SignatureMode.OFF), tmp_path / "state"), limits=LIMITS
    ) as peers:
        assert set(peers.fetch()) == {"north", "south", "rogue"}
        forge.git("update-ref", "-d", "refs/heads/status/rogue", cwd=forge.bare)
        assert set(peers.fetch()) == {"north", "south"}


def test_peers_of_a_repository_without_any(forge: Forge, remote: Remote, tmp_path: Path) -> None:
    forge.commit()
    with PeerStatusReader(
        tmp_path / "peers",
        remote,
        CommitVerifier(SignaturePolicy(SignatureMode.OFF), tmp_path / "state"),
        limits=LIMITS,
    ) as peers:
        assert peers.fetch() == {}


def test_a_missing_key_is_reported_and_nothing_unsigned_is_pushed(forge: Forge, remote: Remote, tmp_path: Path) -> None:
    author = dataclasses.replace(NORTH, signing_key=tmp_path / "nowhere")
    with StatusWriter(tmp_path / "status", remote, "north", author, limits=LIMITS) as status:
        waiting(status.publish({"a": b"1"}, message()), "SignersUnreadable")
    assert forge.git("for-each-ref", cwd=forge.bare) == ""


def test_commits_are_kept_while_the_remote_is_unreachable_and_pushed_later(forge: Forge, status: StatusWriter) -> None:
    status.publish({"a": b"1"}, message())
    away = forge.bare.with_suffix(".away")
    forge.bare.rename(away)
    kept = waiting(status.publish({"a": b"2"}, message()), "RemoteUnavailable")
    assert kept.transient
    assert waiting(status.publish({"a": b"2"}, message()), "RemoteUnavailable").commit == kept.commit
    waiting(status.publish({"a": b"3"}, message()), "RemoteUnavailable")
    away.rename(forge.bare)
    assert isinstance(status.publish({"a": b"3"}, message()), Pushed)
    assert on_remote(forge) == {"a": b"3"}
    assert count(forge) == 3  # the history contains the changes made meanwhile


def test_the_first_status_may_be_written_while_the_remote_is_unreachable(
    forge: Forge, status: StatusWriter, remote: Remote, tmp_path: Path
) -> None:
    with StatusWriter(tmp_path / "before", remote, "north", NORTH, limits=LIMITS) as before:
        before.publish({"a": b"1"}, message())
    away = forge.bare.with_suffix(".away")
    forge.bare.rename(away)
    waiting(status.publish({"a": b"2"}, message()), "RemoteUnavailable")
    away.rename(forge.bare)
    assert isinstance(status.publish({"a": b"2"}, message()), Pushed)
    assert on_remote(forge) == {"a": b"2"}
    assert count(forge) == 2


def test_of_concurrent_pushes_the_last_writer_wins(forge: Forge, remote: Remote, tmp_path: Path) -> None:
    """Two daemons with the same name, unaware of each other."""
    with (
        StatusWriter(tmp_path / "a", remote, "north", NORTH, limits=LIMITS) as one,
        StatusWriter(tmp_path / "b", remote, "north", NORTH, limits=LIMITS) as two,
    ):
        for round_ in range(3):
            for status, text in ((one, "one"), (two, "two")):
                files = {"a": f"{text} {round_}".encode()}
                assert isinstance(status.publish(files, message()), Pushed)
                assert on_remote(forge) == files
    assert count(forge) == 6


def test_the_same_files_pushed_by_another_need_no_commit(forge: Forge, remote: Remote, tmp_path: Path) -> None:
    with (
        StatusWriter(tmp_path / "a", remote, "north", NORTH, limits=LIMITS) as one,
        StatusWriter(tmp_path / "b", remote, "north", NORTH, limits=LIMITS) as two,
    ):
        one.publish({"a": b"1"}, message())
        two.publish({"a": b"1"}, message())
        done = two.publish({"a": b"2"}, message())
        assert isinstance(done, Pushed)
        assert one.publish({"a": b"2"}, message("in other words")) == AlreadyPublished(done.commit)
    assert count(forge) == 2


def test_a_symlink_pushed_in_place_of_a_file_is_replaced(forge: Forge, remote: Remote, tmp_path: Path) -> None:
    (forge.work / "a").symlink_to("1")
    (forge.work / "odd\nname").write_text("x")
    forge.commit({"b": "2"}, push=False)
    forge.git("push", "--quiet", "origin", "HEAD:refs/heads/status/north")
    with StatusWriter(tmp_path / "status", remote, "north", NORTH, limits=LIMITS) as status:
        assert isinstance(status.publish({"a": b"1", "b": b"2"}, message()), Pushed)
    assert on_remote(forge) == {"a": b"1", "b": b"2"}
    assert "120000" not in forge.git("ls-tree", "-r", "status/north", cwd=forge.bare)


def test_over_http_with_a_credential_helper(forge: Forge, tmp_path: Path) -> None:
    store = tmp_path / "credentials"
    with HttpServer(forge.bare.parent, guard="pass").running() as server:
        store.write_text(server.url.replace("http://", "http://gateway:pass@") + "\n")
        remote = Remote(f"{server.url}/origin.git", credential_helper=f"store --file={store}")
        with StatusWriter(tmp_path / "status", remote, "north", NORTH, limits=LIMITS) as status:
            for text in (b"1", b"2"):
                assert isinstance(status.publish({"a": text}, message()), Pushed)
                assert on_remote(forge) == {"a": text}
        without = Remote(f"{server.url}/origin.git")
        with StatusWriter(tmp_path / "other", without, "north", NORTH, limits=LIMITS) as status:
            waiting(status.publish({"a": b"3"}, message()), "AuthenticationFailed")


def test_a_silent_server_costs_the_time_limit_and_keeps_the_status(tmp_path: Path) -> None:
    servers: list[Loopback] = []
    servers.append(Loopback(silent(servers)))
    with servers[0].running() as server:
        remote = Remote(f"http://127.0.0.1:{server.port}/origin.git")
        limits = GitLimits(ask_s=0.5, transfer_s=0.5)
        with StatusWriter(tmp_path / "status", remote, "north", NORTH, limits=limits) as status:
            kept = waiting(status.publish({"a": b"1"}, message()), "RemoteUnavailable")
            assert kept.commit is not None
            assert waiting(status.publish({"a": b"1"}, message()), "RemoteUnavailable").commit == kept.commit


def test_a_branch_deleted_on_the_remote_is_restored(forge: Forge, remote: Remote, tmp_path: Path) -> None:
    for text in (b"1", b"2", b"3"):
        # A new disk each time: the mirror contains only the fetched part of the history.
        with StatusWriter(tmp_path / text.decode(), remote, "north", NORTH, limits=LIMITS) as status:
            status.publish({"a": text}, message())
    with StatusWriter(tmp_path / "3", remote, "north", NORTH, limits=LIMITS) as status:
        forge.git("update-ref", "-d", "refs/heads/status/north", cwd=forge.bare)
        assert isinstance(status.publish({"a": b"4"}, message()), Pushed)
    assert on_remote(forge) == {"a": b"4"}


def test_a_long_history_restarts(forge: Forge, remote: Remote, tmp_path: Path) -> None:
    limits = dataclasses.replace(LIMITS, status_commits=3)
    counts = []
    with StatusWriter(tmp_path / "status", remote, "north", NORTH, limits=limits) as status:
        for number in range(7):
            assert isinstance(status.publish({"a": b"%d" % number, "b": b"same"}, message()), Pushed)
            counts.append(count(forge))
            assert on_remote(forge) == {"a": b"%d" % number, "b": b"same"}
    assert counts == [1, 2, 3, 1, 2, 3, 1]


def test_a_remote_that_refuses_rewritten_branches_keeps_its_history(
    forge: Forge, remote: Remote, tmp_path: Path
) -> None:
    forge.git("config", "receive.denyNonFastForwards", "true", cwd=forge.bare)
    limits = dataclasses.replace(LIMITS, status_commits=2)
    with StatusWriter(tmp_path / "status", remote, "north", NORTH, limits=limits) as status:
        for number in range(5):
            assert isinstance(status.publish({"a": b"%d" % number}, message()), Pushed)
    assert on_remote(forge) == {"a": b"4"}
    assert count(forge) == 5


def test_many_loose_objects_become_one_pack(forge: Forge, status: StatusWriter, tmp_path: Path) -> None:
    """A commit of fewer than 100 objects writes each to a file of its own."""
    objects = tmp_path / "status" / "objects"
    status.publish({"a": b"first"}, message())
    for number in range(2_001):
        (tmp_path / f"{number}").write_text(f"of an earlier commit: {number}")
    names = "".join(f"{tmp_path / str(number)}\n" for number in range(2_001))
    unsynced = ("-c", "core.fsync=none", "-c", "core.looseCompression=0")
    forge.git(*unsynced, "hash-object", "-w", "--stdin-paths", cwd=tmp_path / "status", data=names.encode())
    assert sum(1 for _ in objects.glob("??/*")) > 2_001
    status.publish({"a": b"second"}, message())
    assert sum(1 for _ in objects.glob("??/*")) == 0
    assert sum(1 for _ in objects.glob("pack/*.pack")) == 2  # what is used, and what is not
    assert on_remote(forge) == {"a": b"second"}
    status.publish({"a": b"third"}, message())
    assert sum(1 for _ in objects.glob("??/*")) == 4  # not repacked: a file, a tree and two commits


def test_a_remote_that_rejects_the_push_has_its_own_reason(forge: Forge, status: StatusWriter) -> None:
    """With a server-side rule, as forges have; a hook would not run, because the remote is on this machine."""
    forge.git("config", "receive.maxInputSize", "10", cwd=forge.bare)
    failed = status.publish({"a": random.Random(1).randbytes(4000)}, message())
    assert isinstance(failed, PushPending)
    forge.git("config", "--unset", "receive.maxInputSize", cwd=forge.bare)
    forge.git("config", "receive.shallowUpdate", "false", cwd=forge.bare)
    forge.git("config", "transfer.hideRefs", "refs/heads/status", cwd=forge.bare)
    waiting(status.publish({"a": b"1"}, message()), "StatusRefused")


@pytest.mark.parametrize("life", ["same", "restarted"])
def test_a_damaged_status_mirror_is_replaced(
    life: str,
    forge: Forge,
    status: StatusWriter,
    remote: Remote,
    tmp_path: Path,
) -> None:
    status.publish({"a": b"1"}, message())
    for thing in (tmp_path / "status" / "objects").glob("??/*"):
        thing.unlink()
    with StatusWriter(tmp_path / "status", remote, "north", NORTH, limits=LIMITS) as again:
        after = again if life == "restarted" else status
        assert isinstance(after.publish({"a": b"2"}, message()), Pushed)
    assert on_remote(forge) == {"a": b"2"}
    assert count(forge) == 2


def test_a_file_in_place_of_the_status_mirror_is_replaced(forge: Forge, status: StatusWriter, tmp_path: Path) -> None:
    (tmp_path / "status").write_text("not a folder")
    assert isinstance(status.publish({"a": b"1"}, message()), Pushed)
    assert on_remote(forge) == {"a": b"1"}


def test_constant_contention_has_its_own_reason(forge: Forge, status: StatusWriter) -> None:
    status.publish({"a": b"1"}, message())
    lock = forge.bare / "refs" / "heads" / "status" / "north.lock"
    lock.touch()
    kept = waiting(status.publish({"a": b"2"}, message()), "StatusContended")
    assert kept.transient
    lock.unlink()
    assert isinstance(status.publish({"a": b"2"}, message()), Pushed)
    assert on_remote(forge) == {"a": b"2"}
    assert count(forge) == 2


def test_damaged_peers_are_fetched_again(forge: Forge, status: StatusWriter, remote: Remote, tmp_path: Path) -> None:
    status.publish({"a": b"1"}, message())
    policy = SignaturePolicy(SignatureMode.OFF)
    with PeerStatusReader(
        tmp_path / "peers", remote, CommitVerifier(policy, tmp_path / "state"), limits=LIMITS
    ) as peers:
        found = peers.fetch()
    (tmp_path / "peers" / "config").write_text("[core\n")
    with PeerStatusReader(
        tmp_path / "peers", remote, CommitVerifier(policy, tmp_path / "state"), limits=LIMITS
    ) as peers:
        assert peers.fetch() == found == {"north": Commit(forge.git("rev-parse", "status/north", cwd=forge.bare))}


def test_a_push_runs_no_hook_of_a_local_remote(forge: Forge, status: StatusWriter, tmp_path: Path) -> None:
    mark = tmp_path / "sprung"
    for name in ("pre-receive", "update", "post-receive", "post-update", "reference-transaction"):
        hook = forge.bare / "hooks" / name
        hook.unlink(missing_ok=True)
        hook.write_text(f"#!/bin/sh\ntouch {mark}\n")
        hook.chmod(0o755)
    forge.commit()
    assert mark.exists()
    mark.unlink()
    assert isinstance(status.publish({"a": b"1"}, message()), Pushed)
    assert not mark.exists()


def test_a_push_never_writes_into_a_work_tree(forge: Forge, tmp_path: Path) -> None:
    """`updateInstead` would check files out as us, through filters that the repository names."""
    forge.commit(push=False)
    forge.git("checkout", "--quiet", "-b", "status/north")
    forge.git("config", "receive.denyCurrentBranch", "updateInstead")
    with StatusWriter(tmp_path / "status", Remote(str(forge.work)), "north", NORTH, limits=LIMITS) as status:
        waiting(status.publish({"a": b"1"}, message()), "StatusRefused")
    assert not (forge.work / "a").exists()


@pytest.mark.parametrize("path", ["../x", "/x", "a//b", "", ".git/config", "a/../b", "a\nb"])
def test_unsafe_paths_are_refused(path: str, status: StatusWriter) -> None:
    with pytest.raises(SettingsUnsafe):
        status.publish({path: b"x"}, message())


@pytest.mark.parametrize("gateway", ["../main", "a b", "", "-x", "a..b", "x.lock"])
def test_gateway_names_that_are_not_valid_in_a_ref_are_refused(gateway: str, remote: Remote, tmp_path: Path) -> None:
    with pytest.raises(SettingsUnsafe):
        StatusWriter(tmp_path / "status", remote, gateway, NORTH)


@pytest.mark.parametrize("name", ["", "a\nb", "a <b"])
def test_author_names_that_would_break_the_commit_are_refused(name: str) -> None:
    with pytest.raises(SettingsUnsafe):
        CommitAuthor(name, "a@example.org")


NAMES = st.lists(st.sampled_from(["a", "b", "ä", 'q"q', "x y", "\\", "D"]), min_size=1, max_size=3).map("/".join)
FILES = st.dictionaries(NAMES, st.binary(max_size=40) | st.just(b"done\ncommit refs/heads/main\n"), max_size=6)


def no_path_is_a_folder_of_another(files: dict[str, bytes]) -> bool:
    return not any(other.startswith(f"{path}/") for path in files for other in files)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(FILES.filter(no_path_is_a_folder_of_another), min_size=1, max_size=4))
def test_the_branch_contains_exactly_the_given_files(
    steps: list[dict[str, bytes]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("status")
    forge = make_forge(folder)
    remote = Remote(str(forge.bare))
    commits: set[Commit] = set()
    with StatusWriter(folder / "status", remote, "north", NORTH, limits=LIMITS) as status:
        for files in steps:
            done = status.publish(files, message())
            assert not isinstance(done, PushPending)
            assert isinstance(done, Pushed) == (done.commit not in commits)
            commits.add(done.commit)
            assert on_remote(forge) == files
    assert len(commits) == 1 + sum(1 for before, after in itertools.pairwise(steps) if before != after)
