# SPDX-License-Identifier: Apache-2.0
"""Proposals on real repositories: made once, left alone, replaced only if they must be, and never lost track of."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pytest

from reconciler.git.commit_writer import CommitAuthor, CommitMessage
from reconciler.git.mirror import Mirror
from reconciler.git.proposal_branches import ProposalBranches
from reconciler.git.proposal_outcomes import (
    AlreadyInForce,
    DeclinedProposal,
    MergedProposal,
    NotPushed,
    Proposal,
    Proposed,
    TakenOver,
)
from reconciler.git.remote_settings import GitLimits, Remote
from reconciler.model import Commit
from tests.git.forge import Forge, SshKey, make_forge, make_ssh_key

LIMITS = GitLimits(ask_s=10, transfer_s=20, local_s=20, verify_s=30, depth=4)
AT = datetime(2026, 11, 29, 12, tzinfo=UTC)
BRANCH = "propose/north/pumps"
TEXT = "# why: see the wiki\r\nmodel: {}  # the champion\r\n\r\nwaves: all\r\n\r\nsoak: 1h\r\n"
KILLED = -signal.SIGKILL


def propose_model(model: str, message: str = "Five false alarms") -> Proposal:
    def edit(data: bytes | None) -> bytes:
        assert data is not None
        lines = data.split(b"\r\n")
        assert lines[1].startswith(b"model: ")
        lines[1] = b"model: %s  # the champion" % model.encode()
        return b"\r\n".join(lines)

    return Proposal("pumps", f"forest@{model}", {"rollouts/pumps.yaml": edit}, CommitMessage(message, AT))


@dataclass
class Plant:
    """A forge, a person, and a gateway with its mirror, at a commit that it enforces."""

    forge: Forge
    mirror: Mirror
    key: SshKey
    ada: SshKey
    main: Commit = field(default=Commit(""))

    def branches(self, **options: object) -> ProposalBranches:
        author = CommitAuthor("tinyfleet gateway north", "tinyfleet@north", self.key.path)
        return ProposalBranches(self.mirror, "north", author, "fleet", **options)  # type: ignore[arg-type]

    def enforce(self) -> Commit:
        """Follow the forge's main branch, as a poll does."""
        self.main = self.mirror.fetch()
        self.mirror.new_commits(None, self.main)
        self.mirror.pin(self.main)
        return self.main

    def remote(self) -> dict[str, str]:
        listed = self.forge.git("for-each-ref", "--format=%(refname:short) %(objectname)", cwd=self.forge.bare)
        return dict(line.split() for line in listed.splitlines() if not line.startswith("main "))

    def commit(self, path: str, text: str) -> Commit:
        """Commit as a person, exactly these bytes."""
        file = self.forge.work / "fleet" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(text.encode())
        self.forge.git("add", "--all")
        self.forge.clock += 1
        self.forge.git(*self.ada.signs(), "commit", "--quiet", "-m", f"change {self.forge.clock}")
        self.forge.push()
        return self.forge.head()

    def shown(self, what: str) -> str:
        return self.forge.git("show", "--format=%B", what, cwd=self.forge.bare)


@pytest.fixture(scope="session")
def key(tmp_path_factory: pytest.TempPathFactory) -> SshKey:
    return make_ssh_key(tmp_path_factory.mktemp("gateway"), "north")


@pytest.fixture
def plant(tmp_path: Path, key: SshKey, keys: dict[str, SshKey]) -> Iterator[Plant]:
    forge = make_forge(tmp_path / "forge")
    with Mirror(tmp_path / "mirror", Remote(f"file://{forge.bare}"), LIMITS) as mirror:
        plant = Plant(forge, mirror, key, keys["ada"])
        plant.commit("devices/pump-1.yaml", "pump\n")
        (forge.work / "fleet" / "run.sh").touch(mode=0o755)
        (forge.work / "fleet" / "link").symlink_to("run.sh")
        plant.commit("rollouts/pumps.yaml", TEXT.format("1"))
        plant.enforce()
        yield plant


def test_a_proposal_is_one_signed_commit_that_changes_one_value(plant: Plant) -> None:
    made = plant.branches().propose(plant.main, propose_model("2"))
    assert isinstance(made, Proposed)
    assert (made.new, plant.remote()) == (True, {BRANCH: made.commit})
    assert plant.forge.git("rev-parse", f"{made.commit}^", cwd=plant.forge.bare) == plant.main
    changed = plant.forge.git("diff", "--raw", "--numstat", plant.main, made.commit, cwd=plant.forge.bare)
    assert changed.splitlines()[1:] == ["1\t1\tfleet/rollouts/pumps.yaml"]
    assert changed.startswith(":100644 100644 ")
    raw = plant.forge.git("cat-file", "commit", made.commit, cwd=plant.forge.bare)
    assert "gpgsig -----BEGIN SSH SIGNATURE-----" in raw
    assert raw.endswith("Five false alarms\nProposes: forest@2")
    shown = subprocess.run(
        ["git", "cat-file", "blob", f"{made.commit}:fleet/rollouts/pumps.yaml"],
        cwd=plant.forge.bare, check=True, capture_output=True,
    )  # fmt: skip
    assert shown.stdout == TEXT.format("2").encode()


def test_a_second_call_changes_nothing_even_with_other_words(plant: Plant) -> None:
    made = plant.branches().propose(plant.main, propose_model("2"))
    assert isinstance(made, Proposed)
    again = plant.branches().propose(plant.main, propose_model("2", "Six false alarms"))
    assert again == Proposed(made.commit, "forest@2")
    assert plant.branches().look(plant.main) == {"pumps": again}
    assert plant.remote() == {BRANCH: made.commit}


def test_main_may_move_without_resetting_the_review(plant: Plant) -> None:
    made = plant.branches().propose(plant.main, propose_model("2"))
    assert isinstance(made, Proposed)
    plant.commit("devices/pump-1.yaml", "another pump\n")
    plant.commit("rollouts/pumps.yaml", TEXT.format("1").replace("soak: 1h", "soak: 2h"))
    assert plant.branches().propose(plant.enforce(), propose_model("2")) == Proposed(made.commit, "forest@2")


@pytest.mark.parametrize(
    "text",
    [TEXT.format("1").replace("the champion", "our champion"), TEXT.format("1.5")],
    ids=["the same line", "another champion"],
)
def test_a_proposal_that_conflicts_is_made_again(plant: Plant, text: str) -> None:
    old = plant.branches().propose(plant.main, propose_model("2"))
    plant.commit("rollouts/pumps.yaml", text)
    new = plant.branches().propose(plant.enforce(), propose_model("2"))
    assert isinstance(new, Proposed)
    assert new.new
    assert new != old
    assert plant.remote() == {BRANCH: new.commit}
    assert plant.forge.git("rev-parse", f"{new.commit}^", cwd=plant.forge.bare) == plant.main


def test_another_target_replaces_the_proposal(plant: Plant) -> None:
    plant.branches().propose(plant.main, propose_model("2"))
    made = plant.branches().propose(plant.main, propose_model("3"))
    assert isinstance(made, Proposed)
    assert plant.remote() == {BRANCH: made.commit}
    assert plant.branches().look(plant.main) == {"pumps": Proposed(made.commit, "forest@3")}


def test_a_branch_is_left_alone_once_someone_else_committed_to_it(plant: Plant) -> None:
    plant.branches().propose(plant.main, propose_model("2"))
    plant.forge.git("fetch", "--quiet", "origin")
    plant.forge.git("checkout", "--quiet", "-b", BRANCH, f"origin/{BRANCH}")
    theirs = plant.commit("rollouts/pumps.yaml", TEXT.format("2").replace("1h", "2h"))
    for model in ("2", "3"):
        assert plant.branches().propose(plant.main, propose_model(model)) == TakenOver(theirs)
    assert plant.branches().look(plant.main) == {"pumps": TakenOver(theirs)}
    assert plant.branches().withdraw("pumps") == TakenOver(theirs)
    plant.forge.git("checkout", "--quiet", "main")
    plant.commit("rollouts/pumps.yaml", TEXT.format("2"))
    assert plant.branches().propose(plant.enforce(), propose_model("2")) == AlreadyInForce()
    assert plant.remote() == {BRANCH: theirs}


@pytest.mark.parametrize("how", ["merge", "squash", "rewritten"])
def test_a_merged_proposal_is_deleted(plant: Plant, how: str) -> None:
    made = plant.branches().propose(plant.main, propose_model("2"))
    assert isinstance(made, Proposed)
    plant.commit("rollouts/pumps.yaml", TEXT.format("1").replace("1h", "2h"))
    plant.forge.git("fetch", "--quiet", "origin")
    if how == "merge":
        plant.forge.merge(f"origin/{BRANCH}", plant.ada)
    elif how == "squash":
        plant.forge.git("merge", "--quiet", "--squash", f"origin/{BRANCH}")
        plant.forge.git(*plant.ada.signs(), "commit", "--quiet", "-m", "Squashed")
        plant.forge.push()
    else:
        plant.commit("rollouts/pumps.yaml", TEXT.format("2").replace("1h", "2h"))
    plant.enforce()
    merged = MergedProposal(made.commit, "forest@2")
    assert plant.branches().look(plant.main) == {"pumps": merged}
    assert plant.remote() == {}
    assert plant.branches().look(plant.main) == {}


def test_a_merge_is_seen_although_the_forge_deleted_the_branch_and_main_moved_on(plant: Plant) -> None:
    made = plant.branches().propose(plant.main, propose_model("2"))
    assert isinstance(made, Proposed)
    plant.forge.git("push", "--quiet", "origin", f":{BRANCH}")
    plant.commit("rollouts/pumps.yaml", TEXT.format("2"))
    plant.commit("rollouts/pumps.yaml", TEXT.format("3"))
    assert plant.branches().look(plant.enforce()) == {"pumps": MergedProposal(made.commit, "forest@2")}


def test_a_branch_that_vanished_unmerged_was_declined(plant: Plant) -> None:
    made = plant.branches().propose(plant.main, propose_model("2"))
    assert isinstance(made, Proposed)
    plant.forge.git("push", "--quiet", "origin", f":{BRANCH}")
    plant.commit("rollouts/pumps.yaml", TEXT.format("1").replace("1h", "2h"))
    plant.enforce()
    declined = DeclinedProposal(made.commit, "forest@2")
    for _ in range(2):
        assert plant.branches().look(plant.main) == {"pumps": declined}
        assert plant.branches().propose(plant.main, propose_model("2")) == declined
    assert plant.remote() == {}
    other = plant.branches().propose(plant.main, propose_model("3"))
    assert isinstance(other, Proposed)
    assert other.new


def test_a_declined_proposal_is_made_again_if_a_person_asks(plant: Plant) -> None:
    plant.branches().propose(plant.main, propose_model("2"))
    plant.forge.git("push", "--quiet", "origin", f":{BRANCH}")
    made = plant.branches().propose(plant.main, propose_model("2"), again=True)
    assert isinstance(made, Proposed)
    assert plant.remote() == {BRANCH: made.commit}


def test_a_proposal_that_is_no_longer_wanted_is_withdrawn(plant: Plant) -> None:
    plant.branches().propose(plant.main, propose_model("2"))
    for _ in range(2):
        assert plant.branches().withdraw("pumps") is None
        assert plant.remote() == {}
        assert plant.branches().look(plant.main) == {}


def test_a_lost_mirror_forgets_no_open_proposal(plant: Plant) -> None:
    made = plant.branches().propose(plant.main, propose_model("2"))
    assert isinstance(made, Proposed)
    plant.mirror.discard()
    plant.enforce()
    assert plant.branches().propose(plant.main, propose_model("2")) == Proposed(made.commit, "forest@2")


def test_other_gateways_and_their_branches_are_not_touched(plant: Plant) -> None:
    plant.forge.git("push", "--quiet", "origin", "HEAD:propose/south/pumps", "HEAD:propose/north-2/pumps")
    made = plant.branches().propose(plant.main, propose_model("2"))
    assert isinstance(made, Proposed)
    assert plant.branches().look(plant.main) == {"pumps": Proposed(made.commit, "forest@2")}
    assert plant.remote().keys() == {BRANCH, "propose/south/pumps", "propose/north-2/pumps"}


def test_the_branch_is_not_overwritten_if_it_moves_between_the_look_and_the_push(plant: Plant) -> None:
    """The remote gets another commit just before the push arrives: the lease fails, and nothing is lost."""
    branches = plant.branches()
    changed = branches._changed(plant.main, propose_model("2"))
    commit = branches._commit(plant.main, propose_model("2"), changed, "")
    plant.forge.git("push", "--quiet", "origin", f"HEAD:{BRANCH}")
    with pytest.raises(Exception, match="moved while a proposal was pushed"):
        branches._push(f"{commit}:refs/heads/{BRANCH}", f"refs/heads/{BRANCH}", None)
    assert plant.remote() == {BRANCH: plant.main}


def test_a_direct_commit_goes_to_main_only_where_it_was_decided(plant: Plant) -> None:
    made = plant.branches().commit_directly(plant.main, propose_model("2"))
    assert isinstance(made, Proposed)
    assert plant.forge.git("rev-parse", "main", cwd=plant.forge.bare) == made.commit
    stale = plant.branches().commit_directly(plant.main, propose_model("3"))
    assert isinstance(stale, NotPushed)
    assert (stale.reason, stale.transient) == ("ProposalContended", True)
    assert plant.branches().commit_directly(plant.enforce(), propose_model("2")) == AlreadyInForce()
    assert plant.forge.git("rev-parse", "main", cwd=plant.forge.bare) == made.commit


def test_push_options_arrive_and_only_with_a_proposal(plant: Plant) -> None:
    options = ("merge_request.create", "merge_request.title=A better model")
    refused = plant.branches(push_options=options).propose(plant.main, propose_model("2"))
    assert isinstance(refused, NotPushed)
    assert (refused.reason, "`push_options`" in refused.message) == ("ProposalRefused", True)
    plant.forge.git("config", "receive.advertisePushOptions", "true", cwd=plant.forge.bare)
    assert isinstance(plant.branches(push_options=options).propose(plant.main, propose_model("2")), Proposed)
    plant.forge.git("config", "receive.advertisePushOptions", "false", cwd=plant.forge.bare)
    assert plant.branches(push_options=options).withdraw("pumps") is None


def test_a_review_is_pushed_once_to_the_ref_of_the_forge(plant: Plant) -> None:
    gerrit = plant.branches(review_ref="refs/for/main")
    made = gerrit.propose(plant.main, propose_model("2"))
    assert isinstance(made, Proposed)
    assert gerrit.propose(plant.main, propose_model("2")) == Proposed(made.commit, "forest@2")
    listed = plant.forge.git("for-each-ref", "--format=%(refname)", cwd=plant.forge.bare).splitlines()
    assert sorted(listed) == ["refs/for/main", "refs/heads/main"]
    change = next(line for line in plant.shown(made.commit).splitlines() if line.startswith("Change-Id: I"))
    plant.forge.git("update-ref", "-d", "refs/for/main", cwd=plant.forge.bare)  # as Gerrit does
    plant.commit("rollouts/pumps.yaml", TEXT.format("1.5"))
    remade = gerrit.propose(plant.enforce(), propose_model("2"))
    assert isinstance(remade, Proposed)
    assert remade.new
    assert change in plant.shown(remade.commit)
    plant.commit("rollouts/pumps.yaml", TEXT.format("2"))
    assert gerrit.look(plant.enforce()) == {"pumps": MergedProposal(remade.commit, "forest@2")}


def test_an_unusable_key_is_reported(plant: Plant, tmp_path: Path) -> None:
    plant.key = SshKey("none", tmp_path / "none")
    outcome = plant.branches().propose(plant.main, propose_model("2"))
    assert isinstance(outcome, NotPushed)
    assert outcome.reason == "SignersUnreadable"
    assert plant.remote() == {}


def test_an_unreachable_remote_is_transient(plant: Plant) -> None:
    plant.forge.bare.rename(plant.forge.bare.with_name("away"))
    for outcome in (
        plant.branches().propose(plant.main, propose_model("2")),
        plant.branches().withdraw("pumps"),
        plant.branches().look(plant.main),
    ):
        assert isinstance(outcome, NotPushed)
        assert (outcome.reason, outcome.transient) == ("RemoteUnavailable", True)


def test_a_file_that_is_not_ordinary_is_refused(plant: Plant) -> None:
    for path in ("run.sh", "link"):
        proposal = Proposal("pumps", "x", {path: lambda _: b"changed\n"}, CommitMessage("x", AT))
        outcome = plant.branches().propose(plant.main, proposal)
        assert isinstance(outcome, NotPushed)
        assert (outcome.reason, "not an ordinary file" in outcome.message) == ("NotProposable", True)


# ---------------------------------------------------------------- kills

KILLER = """#!/bin/sh
# Kills the process that runs git, at a chosen call: before git runs, or just after it has ended.
count=$(($(cat "$COUNTER") + 1))
echo "$count" > "$COUNTER"
[ "$count" = "$KILL_BEFORE" ] && kill -9 "$VICTIM"
"$REAL_GIT" "$@"
status=$?
[ "$count" = "$KILL_AFTER" ] && kill -9 "$VICTIM"
exit $status
"""


def killed_at(plant: Plant, folder: Path, call: str, *, before: int = 0, after: int = 0) -> int:
    """Make one call in a process of its own, which is killed at its nth use of git. Return its exit status."""
    folder.mkdir(exist_ok=True)
    script = (
        "import os, sys\n"
        "os.environ['VICTIM'] = str(os.getpid())\n"
        "from pathlib import Path\n"
        "import reconciler.git.confined_git as confined\n"
        "confined._PASSED_ON = (*confined._PASSED_ON, 'VICTIM', 'COUNTER', 'REAL_GIT', 'KILL_BEFORE', 'KILL_AFTER')\n"
        "from tests.git.test_proposal_branches import LIMITS, Plant, propose_model\n"
        "from tests.git.forge import Forge, SshKey\n"
        "from reconciler.git.mirror import Mirror\n"
        "from reconciler.git.remote_settings import Remote\n"
        f"forge = Forge(Path({str(plant.forge.bare)!r}), Path({str(plant.forge.work)!r}))\n"
        f"key = SshKey('north', Path({str(plant.key.path)!r}))\n"
        f"with Mirror(Path({str(plant.mirror.path)!r}), Remote('file://{plant.forge.bare}'), LIMITS) as mirror:\n"
        f"    plant = Plant(forge, mirror, key, key, {plant.main!r})\n"
        f"    print({call})\n"
    )
    real = shutil.which("git")
    assert real is not None
    (folder / "git").write_text(KILLER)
    (folder / "git").chmod(0o755)
    (folder / "count").write_text("0\n")
    env = {
        **os.environ,
        "PATH": f"{folder}:{os.environ['PATH']}",
        "PYTHONPATH": str(Path(__file__).parents[2]),
        "COUNTER": str(folder / "count"),
        "REAL_GIT": real,
        "KILL_BEFORE": str(before),
        "KILL_AFTER": str(after),
    }
    done = subprocess.run([sys.executable, "-c", script], env=env, capture_output=True, text=True, check=False)
    assert done.returncode in {0, KILLED}, done.stderr
    while running_with(str(folder / "count")):  # a push that was on its way when its parent was killed
        time.sleep(0.01)
    return done.returncode


def running_with(setting: str) -> bool:
    """Return whether a process is running whose environment contains this text."""
    for path in Path("/proc").glob("[0-9]*/environ"):
        with suppress(OSError):  # it has ended, or belongs to another user
            if setting.encode() in path.read_bytes():
                return True
    return False


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_proposal_that_is_killed_anywhere_is_made_once(plant: Plant, tmp_path: Path, when: str) -> None:
    """Kill at each use of git in turn; the next call leaves one branch with one commit, and knows it."""
    call = "plant.branches().propose(plant.main, propose_model('2'))"
    for step in range(1, 60):
        status = killed_at(plant, tmp_path / "shim", call, **{when: step})
        seen = plant.remote()
        made = plant.branches().propose(plant.main, propose_model("2"))
        assert isinstance(made, Proposed), made
        assert plant.remote() == {BRANCH: made.commit}
        assert made.new == (not seen)  # what the killed call had pushed stays
        assert plant.branches().look(plant.main) == {"pumps": Proposed(made.commit, "forest@2")}
        plant.branches().withdraw("pumps")
        if status == 0:
            assert step > 8
            return
    pytest.fail("the call never came to its end")


@pytest.mark.parametrize("when", ["before", "after"])
def test_cleaning_up_that_is_killed_anywhere_is_finished_by_the_next_call(
    plant: Plant, tmp_path: Path, when: str
) -> None:
    main = plant.main
    for step in range(1, 60):
        plant.main = main
        made = plant.branches().propose(main, propose_model("2"))
        assert isinstance(made, Proposed)
        if step == 1:
            plant.commit("rollouts/pumps.yaml", TEXT.format("2"))
        plant.enforce()
        status = killed_at(plant, tmp_path / "shim", "plant.branches().look(plant.main)", **{when: step})
        after = plant.branches().look(plant.main)
        assert after in ({}, {"pumps": MergedProposal(made.commit, "forest@2")})
        assert plant.remote() == {}
        assert plant.branches().look(plant.main) == {}
        if status == 0:
            assert step > 5
            return
    pytest.fail("the call never came to its end")
