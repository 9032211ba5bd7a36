# SPDX-License-Identifier: Apache-2.0
"""Signature policies, with keys that ssh-keygen and gpg generate for the test."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from reconciler.git.errors import (
    BadSignature,
    HistoryTooLong,
    SettingsUnsafe,
    SignerExpired,
    SignersUnreadable,
    UnsignedCommit,
    UntrustedSigner,
)
from reconciler.git.mirror import Mirror
from reconciler.git.signatures import CommitSigner, CommitVerifier, SignatureMode, SignaturePolicy
from reconciler.model import Commit
from tests.git.forge import Forge, GpgKey, SshKey, run_gpg

Keys = dict[str, SshKey]


@pytest.fixture
def gpg_policy(tmp_path: Path, gpg: dict[str, GpgKey]) -> SignaturePolicy:
    path = tmp_path / "signers.asc"
    path.write_bytes(gpg["ada"].export() + gpg["forge"].export())
    return SignaturePolicy(SignatureMode.EVERY, gpg_keys=path)


def verify(
    mirror: Mirror, policy: SignaturePolicy, state: Path, base: Commit | None = None
) -> tuple[CommitSigner, ...]:
    head = mirror.fetch()
    return CommitVerifier(policy, state).verify(mirror.git, mirror.new_commits(base, head), limit_s=30)


def names(signed: tuple[CommitSigner, ...]) -> list[str]:
    return [signer.name for signer in signed]


def test_ssh_signers_are_named(
    forge: Forge, mirror: Mirror, every: SignaturePolicy, keys: Keys, tmp_path: Path
) -> None:
    base = forge.commit()
    forge.commit(key=keys["ada"])
    forge.commit(key=keys["bob"])
    signed = verify(mirror, every, tmp_path, base)
    assert names(signed) == ["ada@example.org", "bob@example.org"]
    assert all(signer.key.startswith("SHA256:") for signer in signed)


def test_an_unknown_ssh_key_is_untrusted(
    forge: Forge, mirror: Mirror, every: SignaturePolicy, keys: Keys, tmp_path: Path
) -> None:
    forge.commit(key=keys["mallory"])
    with pytest.raises(UntrustedSigner, match=r"\(SSH\) with a key that belongs to no allowed signer"):
        verify(mirror, every, tmp_path)


def test_a_signature_moved_to_another_commit_is_bad(
    forge: Forge, mirror: Mirror, every: SignaturePolicy, keys: Keys, tmp_path: Path
) -> None:
    forge.commit(key=keys["ada"])
    raw = forge.git("cat-file", "commit", "HEAD").encode() + b"\n"
    forged = forge.git("hash-object", "-t", "commit", "-w", "--stdin", data=raw.replace(b"change", b"chance"))
    forge.git("reset", "--quiet", "--hard", forged)
    forge.push("--force")
    with pytest.raises(BadSignature):
        verify(mirror, every, tmp_path)


def test_a_signature_for_another_purpose_is_untrusted(forge: Forge, mirror: Mirror, keys: Keys, tmp_path: Path) -> None:
    signers = tmp_path / "files_only"
    signers.write_text(f'ada@example.org namespaces="file" {keys["ada"].public}\n')
    forge.commit(key=keys["ada"])
    with pytest.raises(BadSignature):
        verify(mirror, SignaturePolicy(SignatureMode.EVERY, allowed_signers=signers), tmp_path)


def test_an_expired_ssh_signer_is_refused(forge: Forge, mirror: Mirror, keys: Keys, tmp_path: Path) -> None:
    signers = tmp_path / "expired"
    signers.write_text(f'ada@example.org valid-before="20200101" {keys["ada"].public}\n')
    forge.commit(key=keys["ada"])
    with pytest.raises(UntrustedSigner):
        verify(mirror, SignaturePolicy(SignatureMode.EVERY, allowed_signers=signers), tmp_path)


def test_a_revoked_ssh_key_is_refused(forge: Forge, mirror: Mirror, keys: Keys, signers: Path, tmp_path: Path) -> None:
    revoked = tmp_path / "revoked"
    revoked.write_text(keys["ada"].public + "\n")
    forge.commit(key=keys["ada"])
    with pytest.raises(BadSignature, match="revoked"):
        verify(
            mirror,
            SignaturePolicy(SignatureMode.EVERY, allowed_signers=signers, revoked_signers=revoked),
            tmp_path,
        )


def test_gpg_signers_are_named_and_others_refused(
    forge: Forge, mirror: Mirror, gpg_policy: SignaturePolicy, gpg: dict[str, GpgKey], tmp_path: Path
) -> None:
    forge.gpg_home = gpg["ada"].home
    first = forge.commit(key=gpg["ada"])
    assert names(verify(mirror, gpg_policy, tmp_path)) == ["ada@example.org"]
    forge.commit(key=gpg["mallory"])
    with pytest.raises(UntrustedSigner, match="GPG"):
        verify(mirror, gpg_policy, tmp_path, first)


def test_a_gpg_key_removed_from_the_file_is_no_longer_trusted(
    forge: Forge, mirror: Mirror, gpg_policy: SignaturePolicy, gpg: dict[str, GpgKey], tmp_path: Path
) -> None:
    forge.gpg_home = gpg["ada"].home
    forge.commit(key=gpg["ada"])
    verify(mirror, gpg_policy, tmp_path)
    assert gpg_policy.gpg_keys is not None
    gpg_policy.gpg_keys.write_bytes(gpg["forge"].export())
    with pytest.raises(UntrustedSigner):
        verify(mirror, gpg_policy, tmp_path)


def test_an_expired_gpg_key_is_refused(forge: Forge, mirror: Mirror, gpg: dict[str, GpgKey], tmp_path: Path) -> None:
    home, then = gpg["ada"].home, "20200115T000000!"
    run_gpg(home, "--faked-system-time", then, "--quick-generate-key", "old@example.org", "ed25519", "sign", "1m")
    old_gpg = tmp_path / "gpg-of-2020"
    old_gpg.write_text(f'#!/bin/sh\nexec gpg --faked-system-time {then} "$@"\n')
    old_gpg.chmod(0o755)
    forge.gpg_home = home
    forge.git("config", "gpg.program", str(old_gpg))
    forge.commit(key=GpgKey("old@example.org", home))
    keyring = tmp_path / "old.asc"
    keyring.write_bytes(GpgKey("old@example.org", home).export())
    with pytest.raises(SignerExpired):
        verify(mirror, SignaturePolicy(SignatureMode.EVERY, gpg_keys=keyring), tmp_path)


def test_gpg_is_not_started_without_gpg_keys(
    forge: Forge, mirror: Mirror, every: SignaturePolicy, gpg: dict[str, GpgKey], tmp_path: Path
) -> None:
    forge.gpg_home = gpg["ada"].home
    forge.commit(key=gpg["ada"])
    with pytest.raises(UntrustedSigner):
        verify(mirror, every, tmp_path)


def test_a_merge_signed_by_the_forge_is_accepted(
    forge: Forge, mirror: Mirror, keys: Keys, every: SignaturePolicy, gpg: dict[str, GpgKey]
) -> None:
    """Authors sign with SSH, the forge signs the merge with its own GPG key: both are verified."""
    keyring = mirror.path.with_name("forge.asc")
    keyring.write_bytes(gpg["forge"].export())
    forge.gpg_home = gpg["forge"].home
    base = forge.commit(key=keys["ada"])
    forge.git("checkout", "--quiet", "-b", "topic")
    forge.commit({"topic.yaml": "1\n"}, key=keys["bob"])
    forge.git("checkout", "--quiet", "main")
    forge.commit({"main.yaml": "1\n"}, key=keys["ada"])
    forge.merge("topic", key=gpg["forge"])
    policy = dataclasses.replace(every, gpg_keys=keyring)
    signed = names(verify(mirror, policy, mirror.path.with_name("state"), base))
    assert sorted(signed[:2]) == ["ada@example.org", "bob@example.org"]
    assert signed[2] == "forge@example.org"


def test_an_unsigned_commit_on_the_branch_side_of_a_signed_merge_is_refused(
    forge: Forge, mirror: Mirror, every: SignaturePolicy, keys: Keys, tmp_path: Path
) -> None:
    base = forge.commit(key=keys["ada"])
    forge.git("checkout", "--quiet", "-b", "topic")
    smuggled = forge.commit({"topic.yaml": "1\n"})
    forge.git("checkout", "--quiet", "main")
    forge.merge("topic", key=keys["forge"])
    with pytest.raises(UnsignedCommit, match=smuggled[:12]):
        verify(mirror, every, tmp_path, base)
    head_only = SignaturePolicy(SignatureMode.HEAD, allowed_signers=every.allowed_signers)
    assert names(verify(mirror, head_only, tmp_path, base)) == ["forge@example.org"]


def test_an_unsigned_merge_of_signed_commits_is_refused(
    forge: Forge, mirror: Mirror, every: SignaturePolicy, keys: Keys, tmp_path: Path
) -> None:
    base = forge.commit(key=keys["ada"])
    forge.git("checkout", "--quiet", "-b", "topic")
    forge.commit({"topic.yaml": "1\n"}, key=keys["bob"])
    forge.git("checkout", "--quiet", "main")
    merge = forge.merge("topic")
    with pytest.raises(UnsignedCommit, match=merge[:12]):
        verify(mirror, every, tmp_path, base)


@pytest.fixture
def head(every: SignaturePolicy, keys: Keys, tmp_path: Path) -> SignaturePolicy:
    """Verify the head, and bob's key is that of a gateway."""
    automation = tmp_path / "automation"
    automation.write_text(f"automation@hall-north {keys['bob'].public}\n")
    return dataclasses.replace(every, mode=SignatureMode.HEAD, automation=automation)


def test_below_the_commits_of_a_gateway_one_of_a_person_is_verified(
    forge: Forge, mirror: Mirror, head: SignaturePolicy, keys: Keys, tmp_path: Path
) -> None:
    """And nothing below that one."""
    base = forge.commit()
    forge.commit()
    for key in ("ada", "bob", "bob"):
        forge.commit(key=keys[key])
    signed = verify(mirror, head, tmp_path, base)
    assert names(signed) == ["ada@example.org", "automation@hall-north", "automation@hall-north"]
    assert [signer.automated for signer in signed] == [False, True, True]


def test_commits_by_gateways_in_a_row_have_a_limit(
    forge: Forge, mirror: Mirror, head: SignaturePolicy, keys: Keys, tmp_path: Path
) -> None:
    """The commit of a person below them counts no more."""
    verifier = CommitVerifier(head, tmp_path, max_automated=2)
    made = [forge.commit(key=keys[key]) for key in ("ada", "bob", "bob")]
    mirror.fetch()
    assert names(verifier.verify(mirror.git, made[1:], limit_s=30)) == ["automation@hall-north"] * 2
    with pytest.raises(HistoryTooLong, match="more than 2 commits by gateways and none by a person"):
        verifier.verify(mirror.git, made, limit_s=30)


def test_policy_off_verifies_nothing(forge: Forge, mirror: Mirror, tmp_path: Path) -> None:
    forge.commit()
    assert verify(mirror, SignaturePolicy(SignatureMode.OFF), tmp_path) == ()


def test_a_policy_without_signers_trusts_nobody(forge: Forge, mirror: Mirror, keys: Keys, tmp_path: Path) -> None:
    forge.commit(key=keys["ada"])
    with pytest.raises(UntrustedSigner):
        verify(mirror, SignaturePolicy(SignatureMode.EVERY), tmp_path)


def test_an_unreadable_signers_file_is_reported(forge: Forge, mirror: Mirror, keys: Keys, tmp_path: Path) -> None:
    forge.commit(key=keys["ada"])
    with pytest.raises(SignersUnreadable, match="nowhere"):
        verify(mirror, SignaturePolicy(SignatureMode.EVERY, allowed_signers=tmp_path / "nowhere"), tmp_path)


def test_a_file_without_gpg_keys_is_reported(forge: Forge, mirror: Mirror, keys: Keys, tmp_path: Path) -> None:
    forge.commit(key=keys["ada"])
    path = tmp_path / "nonsense.asc"
    path.write_text("no key\n")
    with pytest.raises(SignersUnreadable, match="gpg cannot import"):
        verify(mirror, SignaturePolicy(SignatureMode.EVERY, gpg_keys=path), tmp_path)


def test_verification_has_a_time_limit(
    forge: Forge, mirror: Mirror, every: SignaturePolicy, keys: Keys, tmp_path: Path
) -> None:
    forge.commit(key=keys["ada"])
    head = mirror.fetch()
    with pytest.raises(HistoryTooLong, match="took longer than"):
        CommitVerifier(every, tmp_path).verify(mirror.git, (head,), limit_s=0.0001)


def test_a_missing_program_is_not_reported_as_an_untrusted_signer(
    forge: Forge, mirror: Mirror, every: SignaturePolicy, keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    forge.commit(key=keys["ada"])
    head = mirror.fetch()
    monkeypatch.setenv("PATH", str(mirror.path))
    with pytest.raises(SignersUnreadable, match="ssh-keygen is not installed"):
        CommitVerifier(every, mirror.path).verify(mirror.git, (head,), limit_s=30)


def test_a_keyring_that_cannot_be_created_is_reported(
    forge: Forge, mirror: Mirror, gpg_policy: SignaturePolicy, keys: Keys, tmp_path: Path
) -> None:
    forge.commit(key=keys["ada"])
    (tmp_path / "file").touch()
    with pytest.raises(SignersUnreadable, match="keyring"):
        verify(mirror, gpg_policy, tmp_path / "file")


def test_an_anchor_must_be_a_full_commit_id() -> None:
    with pytest.raises(SettingsUnsafe):
        SignaturePolicy(anchor=Commit("abc123"))


def test_the_repository_cannot_name_its_own_signers(
    forge: Forge, mirror: Mirror, every: SignaturePolicy, keys: Keys, tmp_path: Path
) -> None:
    """An allowed_signers file in the tree, as some tools read it, changes nothing."""
    text = f"mallory@example.org {keys['mallory'].public}\n"
    forge.commit({".gitsigners": text, "allowed_signers": text, ".git-allowed-signers": text}, key=keys["mallory"])
    with pytest.raises(UntrustedSigner):
        verify(mirror, every, tmp_path)


def test_the_fingerprint_changes_with_the_files(every: SignaturePolicy, tmp_path: Path) -> None:
    before = CommitVerifier(every, tmp_path).fingerprint()
    assert every.allowed_signers is not None
    every.allowed_signers.write_text("")
    assert CommitVerifier(every, tmp_path).fingerprint() != before


def test_an_anchor_is_a_full_commit_id() -> None:
    assert SignaturePolicy(anchor=Commit("a" * 40)).anchor == "a" * 40
    for anchor in ("", "a" * 39, "a" * 41, "A" * 40, "main"):
        with pytest.raises(SettingsUnsafe):
            SignaturePolicy(anchor=Commit(anchor))
