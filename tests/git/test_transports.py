# SPDX-License-Identifier: Apache-2.0
"""Remotes over real protocols, and their behaviour when a connection stalls."""

from __future__ import annotations

import dataclasses
import fcntl
import random
import subprocess
from pathlib import Path

import pytest

from reconciler.git.errors import (
    AuthenticationFailed,
    CertificateRefused,
    MirrorBusy,
    MirrorUnwritable,
    ProtocolRefused,
    RemoteUnavailable,
    TransferTooLarge,
)
from reconciler.git.mirror import Mirror
from reconciler.git.remote_settings import GitLimits, Remote, SshOptions, branch_ref, tag_ref
from reconciler.git.signatures import SignatureMode, SignaturePolicy
from reconciler.git.source import Advanced, CommitSource, Kept
from tests.git.forge import Forge
from tests.git.servers import HttpServer, Loopback, cut_after, git_daemon, silent

IMPATIENT = GitLimits(ask_s=0.7, transfer_s=0.7, local_s=20)


def test_git_protocol(forge: Forge, tmp_path: Path) -> None:
    head = forge.commit()
    with Loopback(git_daemon(forge.bare.parent)).running() as server:
        remote = Remote(f"git://127.0.0.1:{server.port}/origin.git")
        with Mirror(tmp_path / "m", remote, GitLimits(ask_s=20, transfer_s=20)) as mirror:
            assert mirror.tip() == head
            assert mirror.fetch() == head


def test_http(forge: Forge, tmp_path: Path) -> None:
    head = forge.commit()
    with HttpServer(forge.bare.parent).running() as server, Mirror(tmp_path / "m", http(server)) as mirror:
        assert mirror.fetch() == head == mirror.tip()


def test_http_uses_the_configured_credential_helper(forge: Forge, tmp_path: Path) -> None:
    head = forge.commit()
    store = tmp_path / "credentials"
    with HttpServer(forge.bare.parent, guard="pass").running() as server:
        store.write_text(server.url.replace("http://", "http://gateway:pass@") + "\n")
        with Mirror(tmp_path / "a", http(server)) as mirror, pytest.raises(AuthenticationFailed):
            mirror.tip()
        remote = dataclasses.replace(http(server), credential_helper=f"store --file={store}")
        with Mirror(tmp_path / "b", remote) as mirror:
            assert mirror.fetch() == head


def test_https_requires_a_certificate_of_the_configured_authority(forge: Forge, tmp_path: Path) -> None:
    head = forge.commit()
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
         "-subj", "/CN=forge", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(certificate)],
        check=True, capture_output=True,
    )  # fmt: skip
    with HttpServer(forge.bare.parent, certificate=(certificate, key)).running() as server:
        with Mirror(tmp_path / "a", http(server)) as mirror, pytest.raises(CertificateRefused):
            mirror.tip()
        with Mirror(tmp_path / "b", dataclasses.replace(http(server), ca_file=certificate)) as mirror:
            assert mirror.fetch() == head


@pytest.mark.parametrize("where", ["file:///etc", "ext::sh -c true", "git://127.0.0.1:1/x"])
def test_http_redirect_to_another_protocol_is_not_followed(where: str, forge: Forge, tmp_path: Path) -> None:
    forge.commit()
    server = HttpServer(forge.bare.parent, redirect=where)
    with server.running(), Mirror(tmp_path / "m", http(server)) as mirror, pytest.raises(ProtocolRefused):
        mirror.fetch()


def http(server: HttpServer) -> Remote:
    return Remote(f"{server.url}/origin.git")


@pytest.mark.parametrize("protocol", ["git", "http"])
def test_a_silent_server_costs_the_time_limit_and_leaves_no_process(protocol: str, tmp_path: Path) -> None:
    servers: list[Loopback] = []
    servers.append(Loopback(silent(servers)))
    with servers[0].running() as server:
        remote = Remote(f"{protocol}://127.0.0.1:{server.port}/origin.git")
        with Mirror(tmp_path / "m", remote, IMPATIENT) as mirror:
            for step in (mirror.tip, mirror.fetch):
                server.closed.clear()
                with pytest.raises(RemoteUnavailable, match="timed out after"):
                    step()
                assert server.closed.wait(60)  # the process that held the connection is gone


def test_a_transfer_that_stalls_midway_is_given_up_and_the_next_one_succeeds(forge: Forge, tmp_path: Path) -> None:
    head = forge.commit({"big": random.Random(1).randbytes(60_000).hex()})
    serve = git_daemon(forge.bare.parent)
    # The server answers the request, but the pack stops halfway.
    with Loopback(cut_after(20_000, serve)).running() as server:
        remote = Remote(f"git://127.0.0.1:{server.port}/origin.git")
        with Mirror(tmp_path / "m", remote, IMPATIENT) as mirror:
            source = CommitSource(mirror, SignaturePolicy(SignatureMode.OFF), tmp_path)
            outcome = source.poll(None)
            assert isinstance(outcome, Kept)
            assert (outcome.reason, outcome.transient) == ("RemoteUnavailable", True)
            assert "fetching: timed out after" in outcome.message
            server.serve = serve
            assert isinstance(source.poll(None), Advanced)
            assert mirror.has(head)
            assert not list(mirror.path.glob("objects/pack/tmp_*"))


def test_a_closed_port_is_an_unavailable_remote(tmp_path: Path) -> None:
    with Loopback(lambda _: None).running() as server:
        port = server.port
    with Mirror(tmp_path / "m", Remote(f"git://127.0.0.1:{port}/x")) as mirror, pytest.raises(RemoteUnavailable):
        mirror.tip()


def test_ssh_ignores_the_users_configuration(forge: Forge, tmp_path: Path) -> None:
    """A substitute for ssh records its arguments and runs the server's command on this machine."""
    head = forge.commit()
    ssh, noted = tmp_path / "ssh", tmp_path / "arguments"
    ssh.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" > {noted}\nfor last; do :; done\nexec sh -c "$last"\n')
    ssh.chmod(0o755)
    way = SshOptions(key=tmp_path / "my key", known_hosts=tmp_path / "known hosts", program=str(ssh))
    for url in (f"ssh://git@forge.example.org{forge.bare}", f"git@forge.example.org:{forge.bare}"):
        with Mirror(tmp_path / "m", Remote(url, ssh=way)) as mirror:
            assert mirror.fetch() == head
        arguments = noted.read_text().splitlines()
        for wanted in ("BatchMode=yes", "StrictHostKeyChecking=yes", "IdentitiesOnly=yes", str(tmp_path / "my key")):
            assert wanted in arguments
        assert arguments[arguments.index("-F") + 1] == "none"
        assert f'UserKnownHostsFile="{tmp_path / "known hosts"}"' in arguments
        assert "git@forge.example.org" in arguments


def test_ssh_accepts_the_options(tmp_path: Path) -> None:
    words = SshOptions(key=tmp_path / "my key", known_hosts=tmp_path / "known hosts").command()
    shown = subprocess.run(f"{words} -G host", shell=True, capture_output=True, text=True, check=True).stdout  # noqa: S602 # as git runs it
    assert f"userknownhostsfile {tmp_path}/known hosts" in shown.replace('"', "").replace("\\", "")
    assert "stricthostkeychecking true" in shown
    assert "batchmode yes" in shown


def test_a_transfer_over_the_size_limit_is_refused(forge: Forge, tmp_path: Path, remote: Remote) -> None:
    """The server sends endless data."""
    forge.commit({"big": random.Random(1).randbytes(700_000).hex()})
    with Mirror(tmp_path / "m", remote, GitLimits(transfer_bytes=300_000)) as mirror, pytest.raises(TransferTooLarge):
        mirror.fetch()
    with Mirror(tmp_path / "m", remote, GitLimits(transfer_bytes=3_000_000)) as mirror:
        mirror.fetch()


def test_locks_of_a_killed_git_are_removed(forge: Forge, mirror: Mirror) -> None:
    forge.commit()
    mirror.fetch()
    head = forge.commit()
    (mirror.path / "shallow.lock").touch()
    (mirror.path / "refs" / "tinyfleet" / "fetched.lock").touch()
    (mirror.path / "objects" / "pack" / "tmp_pack_abc").write_bytes(b"half")
    assert mirror.fetch() == head


def test_another_process_at_the_mirror_has_its_own_reason(forge: Forge, mirror: Mirror) -> None:
    forge.commit()
    mirror.fetch()
    with mirror.path.with_name("mirror.lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(MirrorBusy):
            mirror.fetch()
    mirror.fetch()


def test_a_mirror_that_cannot_be_created_is_reported_with_its_path(remote: Remote, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with Mirror(tmp_path / "file" / "m", remote) as mirror, pytest.raises(MirrorUnwritable, match="file"):
        mirror.fetch()


def test_lightweight_and_annotated_tags_are_peeled(forge: Forge, tmp_path: Path) -> None:
    head = forge.commit()
    forge.git("tag", "light")
    forge.git("tag", "-a", "-m", "a release", "v1.0")
    forge.git("push", "--quiet", "--tags", "origin")
    for name in ("light", "v1.0"):
        with Mirror(tmp_path / name, Remote(str(forge.bare), tag_ref(name))) as mirror:
            assert mirror.tip() == mirror.fetch() == head


def test_a_branch_with_a_similar_name_is_not_used(forge: Forge, tmp_path: Path) -> None:
    head = forge.commit()
    forge.git("push", "--quiet", "origin", "HEAD:refs/heads/x/refs/heads/site")
    wanted = forge.commit(push=False)
    forge.git("push", "--quiet", "origin", "HEAD:refs/heads/site")
    with Mirror(tmp_path / "m", Remote(str(forge.bare), branch_ref("site"))) as mirror:
        assert head != wanted == mirror.tip()


def test_many_packs_are_repacked(forge: Forge, mirror: Mirror) -> None:
    for _ in range(42):
        forge.commit()
        mirror.fetch()
    assert mirror.repack_if_due()
    assert not mirror.repack_if_due()
    assert mirror.has(forge.head())
