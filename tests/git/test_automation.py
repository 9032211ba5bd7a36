# SPDX-License-Identifier: Apache-2.0
"""What a commit that a gateway signed may do in Git, whatever its values are."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from reconciler.git.automation import MAX_FILE_BYTES, MAX_FILES, AutomatedChange, AutomatedCommits, ScopeDecision
from reconciler.git.mirror import Mirror
from reconciler.git.signatures import SignatureMode, SignaturePolicy
from reconciler.git.source import Advanced, CommitSource, Kept, PollResult
from reconciler.model import Commit
from tests.git.forge import Forge, SshKey, make_ssh_key

ROLLOUT = "fleet/rollout.yaml"


class Scope:
    """Gives a fixed answer, and remembers what it was asked."""

    def __init__(self) -> None:
        self.answer = ScopeDecision(None)
        self.asked: list[tuple[str, dict[str, bool], str, str]] = []

    def __call__(self, change: AutomatedChange) -> ScopeDecision:
        files = {file.path: file.added for file in change.files}
        self.asked.append((change.gateway, files, change.before.commit, change.after.commit))
        return self.answer


@dataclass
class Office:
    """A fleet repository, a person, a gateway's key, and a gateway that verifies."""

    forge: Forge
    mirror: Mirror
    policy: SignaturePolicy
    scope: Scope
    state: Path
    ada: SshKey
    robot: SshKey
    base: Commit

    def poll(self, base: Commit | None, *, direct: bool = False, mode: SignatureMode | None = None) -> PollResult:
        rules = dataclasses.replace(self.policy, mode=mode or self.policy.mode)
        automated = AutomatedCommits(self.mirror, self.scope, "fleet", direct=direct)
        return CommitSource(self.mirror, rules, self.state, "fleet", automated=automated).poll(base)


@pytest.fixture(scope="session")
def robot(tmp_path_factory: pytest.TempPathFactory) -> SshKey:
    return make_ssh_key(tmp_path_factory.mktemp("robot"), "robot")


@pytest.fixture
def office(forge: Forge, mirror: Mirror, every: SignaturePolicy, keys: dict[str, SshKey], robot: SshKey) -> Office:
    path = mirror.path.with_name("automation")
    path.write_text(f"automation@hall-north {robot.public}\n")
    files = {ROLLOUT: "model: 1\n", "fleet/run.yaml": "1\n", "README.md": "a fleet\n"}
    (forge.work / "fleet").mkdir()
    (forge.work / "fleet/run.yaml").touch(mode=0o755)
    base = forge.commit(files, key=keys["ada"])
    policy = dataclasses.replace(every, automation=path)
    return Office(forge, mirror, policy, Scope(), mirror.path.with_name("state"), keys["ada"], robot, base)


def refused(outcome: PollResult, reason: str, because: str, base: Commit | None) -> None:
    assert isinstance(outcome, Kept), outcome
    assert (outcome.reason, outcome.commit) == (reason, base), outcome.message
    assert because in outcome.message


def test_a_commit_in_scope_counts_once_a_person_signed_on_top(office: Office, keys: dict[str, SshKey]) -> None:
    made = office.forge.commit({ROLLOUT: "model: 2\n"}, key=office.robot)
    refused(office.poll(office.base), "NotApproved", "no person has signed a commit on top", office.base)
    approved = office.forge.commit({"README.md": "approved\n"}, key=keys["bob"])
    outcome = office.poll(office.base)
    assert isinstance(outcome, Advanced)
    assert [(signer.name, signer.automated) for signer in outcome.signers] == [
        ("automation@hall-north", True),
        ("bob@example.org", False),
    ]
    assert outcome.commit == approved
    assert office.scope.asked[-1] == ("hall-north", {"rollout.yaml": False}, office.base, made)


def test_a_merge_by_the_forge_approves_a_proposal(office: Office, keys: dict[str, SshKey]) -> None:
    office.forge.git("checkout", "--quiet", "-b", "propose/hall-north/pump")
    office.forge.commit({ROLLOUT: "model: 2\n"}, key=office.robot)
    office.forge.git("checkout", "--quiet", "main")
    office.forge.commit({"README.md": "meanwhile\n"}, key=office.ada)
    merge = office.forge.merge("propose/hall-north/pump", key=keys["forge"])
    assert office.poll(office.base).commit == merge


def test_a_commit_on_top_of_the_person_s_needs_its_own_approval(office: Office) -> None:
    office.forge.commit({ROLLOUT: "model: 2\n"}, key=office.robot)
    office.forge.commit(key=office.ada)
    last = office.forge.commit({ROLLOUT: "model: 3\n"}, key=office.robot)
    refused(office.poll(office.base), "NotApproved", last[:12], office.base)


def test_without_a_person_a_commit_counts_only_if_both_switches_say_so(office: Office) -> None:
    made = office.forge.commit({ROLLOUT: "model: 2\n"}, key=office.robot)
    refused(office.poll(office.base, direct=True), "NotApproved", "its Contest does not say", office.base)
    office.scope.answer = ScopeDecision(None, direct=True)
    refused(office.poll(office.base, direct=False), "NotApproved", "`[automation] direct` is not set here", office.base)
    assert office.poll(office.base, direct=True).commit == made


def test_out_of_scope_is_refused_even_if_a_person_signed_on_top(office: Office) -> None:
    office.scope.answer = ScopeDecision("it changes a window", direct=True)
    made = office.forge.commit({ROLLOUT: "model: 2\n"}, key=office.robot)
    refused(office.poll(office.base, direct=True), "OutOfScope", "it changes a window", office.base)
    office.forge.commit(key=office.ada)
    refused(office.poll(office.base, direct=True), "OutOfScope", made[:12], office.base)


def test_each_commit_is_checked_separately_so_a_later_one_cannot_repair_an_earlier_one(office: Office) -> None:
    first = office.forge.commit({"README.md": "outside\n", ROLLOUT: "model: 2\n"}, key=office.robot)
    office.forge.commit({"README.md": "a fleet\n"}, key=office.robot)
    office.forge.commit(key=office.ada)
    refused(office.poll(office.base), "OutOfScope", first[:12], office.base)
    assert office.scope.asked == []


def symlink(forge: Forge) -> None:
    (forge.work / "fleet" / "link.yaml").symlink_to("rollout.yaml")


def file_becomes_symlink(forge: Forge) -> None:
    (forge.work / ROLLOUT).unlink()
    (forge.work / ROLLOUT).symlink_to("../README.md")


def rename(forge: Forge) -> None:
    forge.git("mv", ROLLOUT, "fleet/other.yaml")


def deletion(forge: Forge) -> None:
    forge.git("rm", "--quiet", ROLLOUT)


def new_mode(forge: Forge) -> None:
    (forge.work / ROLLOUT).chmod(0o755)


def new_executable(forge: Forge) -> None:
    (forge.work / "fleet" / "hook.sh").write_text("#!/bin/sh\n")
    (forge.work / "fleet" / "hook.sh").chmod(0o755)


def submodule(forge: Forge) -> None:
    forge.git("update-index", "--add", "--cacheinfo", f"160000,{forge.head()},fleet/sub")


def outside_the_folder(forge: Forge) -> None:
    (forge.work / "README.md").write_text("elsewhere\n")


def workflow(forge: Forge) -> None:
    (forge.work / ".github").mkdir()
    (forge.work / ".github" / "steal.yml").write_text("on: push\n")


def folder_with_the_same_start(forge: Forge) -> None:
    (forge.work / "fleet-2").mkdir()
    (forge.work / "fleet-2" / "rollout.yaml").write_text("model: 2\n")


def large_file(forge: Forge) -> None:
    (forge.work / ROLLOUT).write_bytes(b"#" * (MAX_FILE_BYTES + 1))


def many_files(forge: Forge) -> None:
    for number in range(MAX_FILES + 1):
        (forge.work / "fleet" / f"{number}.yaml").write_text("1\n")


def nothing(_forge: Forge) -> None:
    pass


@pytest.mark.parametrize(
    ("change", "because"),
    [
        (symlink, "not an ordinary file"),
        (file_becomes_symlink, "not an ordinary file"),
        (rename, "'fleet/rollout.yaml' is deleted"),
        (deletion, "is deleted"),
        (new_mode, "changes its mode"),
        (new_executable, "not an ordinary file"),
        (submodule, "not an ordinary file"),
        (outside_the_folder, "outside the fleet's folder"),
        (workflow, "outside the fleet's folder"),
        (folder_with_the_same_start, "outside the fleet's folder"),
        (large_file, "at most 1048576 are allowed"),
        (many_files, "17 files"),
        (nothing, "0 files"),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_a_change_that_is_not_a_few_ordinary_files_is_refused(
    office: Office, change: Callable[[Forge], None], because: str
) -> None:
    change(office.forge)
    if change is not submodule:
        office.forge.git("add", "--all")
    office.forge.git(*office.robot.signs(), "commit", "--quiet", "--allow-empty", "-m", "a proposal")
    office.forge.git(*office.ada.signs(), "commit", "--quiet", "--allow-empty", "-m", "approved")
    office.forge.push()
    refused(office.poll(office.base), "OutOfScope", because, office.base)
    assert office.scope.asked == []


def test_an_ordinary_file_of_any_mode_may_change_its_content(office: Office) -> None:
    large = "#" * MAX_FILE_BYTES
    office.forge.commit({"fleet/run.yaml": "2\n", "fleet/models/m/2/model.yaml": large}, key=office.robot)
    approved = office.forge.commit(key=office.ada)
    assert office.poll(office.base).commit == approved
    assert office.scope.asked[0][1] == {"run.yaml": False, "models/m/2/model.yaml": True}


def test_a_merge_that_a_gateway_signed_is_refused(office: Office, keys: dict[str, SshKey]) -> None:
    office.forge.git("checkout", "--quiet", "-b", "topic")
    office.forge.commit({"fleet/topic.yaml": "1\n"}, key=keys["bob"])
    office.forge.git("checkout", "--quiet", "main")
    office.forge.commit({"README.md": "meanwhile\n"}, key=office.ada)
    office.forge.merge("topic", key=office.robot)
    office.forge.commit(key=office.ada)
    refused(office.poll(office.base), "OutOfScope", "it has 2 parents", office.base)


def test_a_commit_without_a_parent_is_refused(office: Office) -> None:
    """Unrelated histories, merged by a person."""
    office.base = office.forge.commit({ROLLOUT: "model: 1\n"}, key=office.ada)
    office.forge.git("checkout", "--quiet", "--orphan", "topic")
    office.forge.commit({"fleet/other.yaml": "1\n"}, key=office.robot, push=False)
    office.forge.git("checkout", "--quiet", "main")
    office.forge.git(*office.ada.signs(), "merge", "--quiet", "--allow-unrelated-histories", "-m", "Merge", "topic")
    office.forge.push()
    refused(office.poll(office.base), "OutOfScope", "it has 0 parents", office.base)


def test_an_unsigned_commit_below_is_refused_as_ever(office: Office) -> None:
    unsigned = office.forge.commit({ROLLOUT: "model: 3\n"})
    office.forge.commit({ROLLOUT: "model: 2\n"}, key=office.robot)
    office.forge.commit(key=office.ada)
    refused(office.poll(office.base), "UnsignedCommit", unsigned[:12], office.base)


def test_a_gateway_vouches_for_nothing_below_its_commit(office: Office) -> None:
    """Where only the head must be signed, a gateway's head takes along nothing that no person signed."""
    office.scope.answer = ScopeDecision(None, direct=True)
    office.forge.commit(key=office.ada)
    made = office.forge.commit({ROLLOUT: "model: 2\n"}, key=office.robot)
    assert office.poll(office.base, direct=True, mode=SignatureMode.HEAD).commit == made
    unsigned = office.forge.commit({ROLLOUT: "model: 3\n"})
    office.forge.commit({ROLLOUT: "model: 2\n"}, key=office.robot)
    outcome = office.poll(office.base, direct=True, mode=SignatureMode.HEAD)
    refused(outcome, "UnsignedCommit", unsigned[:12], office.base)


def test_the_first_commit_that_is_enforced_must_be_a_person_s(office: Office) -> None:
    office.scope.answer = ScopeDecision(None, direct=True)
    office.forge.commit({ROLLOUT: "model: 2\n"}, key=office.robot)
    refused(office.poll(None, direct=True), "NotApproved", "must be signed by a person", None)
    approved = office.forge.commit(key=office.ada)
    assert office.poll(None, direct=True).commit == approved
    assert office.base != approved


def test_a_key_that_is_also_a_person_s_stays_limited(office: Office) -> None:
    assert office.policy.allowed_signers is not None
    office.policy.allowed_signers.write_text(
        office.policy.allowed_signers.read_text() + f'robot@example.org namespaces="git" {office.robot.public}\n'
    )
    office.forge.commit({ROLLOUT: "model: 2\n"}, key=office.robot)
    refused(office.poll(office.base), "NotApproved", "automation@hall-north", office.base)


def test_a_key_for_another_purpose_or_time_signs_nothing(office: Office) -> None:
    office.forge.commit({ROLLOUT: "model: 2\n"}, key=office.robot)
    office.forge.commit(key=office.ada)
    assert office.policy.automation is not None
    for option, reason in (('namespaces="file"', "BadSignature"), ('valid-before="20200101"', "UntrustedSigner")):
        office.policy.automation.write_text(f"hall-north {option} {office.robot.public}\n")
        assert isinstance(outcome := office.poll(office.base), Kept)
        assert outcome.reason == reason


def test_a_revoked_key_signs_nothing(office: Office, tmp_path: Path) -> None:
    revoked = tmp_path / "revoked"
    revoked.write_text(office.robot.public + "\n")
    office.forge.commit({ROLLOUT: "model: 2\n"}, key=office.robot)
    office.forge.commit(key=office.ada)
    office.policy = dataclasses.replace(office.policy, revoked_signers=revoked)
    refused(office.poll(office.base), "BadSignature", "revoked", office.base)


def test_without_a_check_of_the_scope_nothing_counts(office: Office) -> None:
    office.forge.commit({ROLLOUT: "model: 2\n"}, key=office.robot)
    source = CommitSource(office.mirror, office.policy, office.state, "fleet")
    refused(source.poll(office.base), "NotApproved", "nothing here", office.base)


def test_a_key_that_the_configuration_does_not_name_is_untrusted(office: Office, source: CommitSource) -> None:
    office.forge.commit({ROLLOUT: "model: 2\n"}, key=office.robot)
    office.forge.commit(key=office.ada)
    refused(source.poll(office.base), "UntrustedSigner", "belongs to no allowed signer", office.base)
