# SPDX-License-Identifier: Apache-2.0
"""`tinyfleet keys`, from the first root key to a revocation."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from reconciler.cli import cli
from reconciler.errors import Refused, Unusable
from signing import gateway_keystore
from signing.delegation import Delegation
from signing.identifiers import vendor_id
from signing.keys import generate
from signing.rotation import Rotation, rotate

SECRET = "correct horse battery staple"  # noqa: S105 - a secret of this test alone


class Desk:
    """A working directory, and the passphrase in a private file."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.passphrase = directory / "passphrase"
        self.passphrase.touch(mode=0o600)
        self.passphrase.write_text(SECRET + "\n", encoding="ascii")

    def run(self, line: str, typed: str | None = None) -> Result:
        return CliRunner().invoke(cli, ["keys", *line.format(d=self.directory, p=self.passphrase).split()], input=typed)

    def done(self, line: str) -> str:
        result = self.run(line)
        assert result.exit_code == 0, result.output
        return result.output

    def refused(self, line: str) -> str:
        error = self.run(line).exception
        assert isinstance(error, (Refused, Unusable))
        return str(error)

    def in_force(self) -> Delegation:
        return gateway_keystore.load(self.directory / "gw", bytes).delegation


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    desk = Desk(tmp_path)
    desk.done("root init {d}/root --passphrase-file {p}")
    desk.done("gateway init {d}/gw --fleet plant")
    return desk


DELEGATE = "delegate {d}/gw/request.cose --root {d}/root --fleet plant --passphrase-file {p}"
INSTALL = "gateway install {d}/gw {d}/gw/request.cwt --root {d}/root/root.pub.pem --fleet plant"


def test_from_first_key_to_revocation(desk: Desk) -> None:
    desk.done(DELEGATE + " --not-after 2031-12-31")
    assert "epoch 1, until 2031-12-31 23:59:59 UTC" in desk.done(INSTALL)
    first = desk.in_force()

    desk.done("rotate {d}/gw --fleet plant")
    assert desk.in_force() == first  # until the new delegation is installed
    assert "epoch 2" in desk.done("revoke --root {d}/root --fleet plant --passphrase-file {p}")
    desk.done(DELEGATE)
    assert "epoch 2" in desk.done("verify {d}/gw/request.cwt --root {d}/root/root.pub.hex --fleet plant")
    desk.done(INSTALL)
    second = desk.in_force()
    assert (second.epoch, second.vendor) == (2, vendor_id("plant"))
    assert second.gateway_key != first.gateway_key


def test_show_identifies_a_file(desk: Desk) -> None:
    desk.done(DELEGATE)
    for name, kind in (
        ("root/root.pub.pem", "public key"),
        ("gw/request.cose", "request"),
        ("gw/request.cwt", "delegation"),
    ):
        assert desk.done(f"show {{d}}/{name}").splitlines()[0].split(None, 1) == ["kind", kind]
        assert json.loads(desk.done(f"show {{d}}/{name} --output json"))["kind"] == kind
    assert "its content is never shown" in desk.refused("show {d}/root/root.key")


def test_a_request_can_be_made_again(desk: Desk) -> None:
    request = desk.directory / "gw" / "request.cose"
    before = request.read_bytes()
    request.unlink()
    desk.done("gateway request {d}/gw --fleet plant")
    assert request.read_bytes() == before
    desk.done("gateway request {d}/gw --fleet plant -o {d}/again")
    assert (desk.directory / "again").read_bytes() == before


def test_verify_as_json(desk: Desk) -> None:
    desk.done(DELEGATE + " --not-after 2031-12-31")
    line = "verify {d}/gw/request.cwt --root {d}/root/root.pub.pem --fleet plant --output json"
    document = json.loads(desk.done(line))
    assert (document["epoch"], document["notAfter"]) == (1, "2031-12-31T23:59:59+00:00")


def test_verify_refuses_another_root_and_another_fleet(desk: Desk) -> None:
    desk.done(DELEGATE)
    desk.done("root init {d}/other --passphrase-file {p}")
    assert "ROOT" in desk.refused("verify {d}/gw/request.cwt --root {d}/other/root.pub.pem --fleet plant")
    assert "FLEET" in desk.refused("verify {d}/gw/request.cwt --root {d}/root/root.pub.pem --fleet harbour")


def test_a_second_init_is_refused(desk: Desk) -> None:
    assert "already exists" in desk.refused("root init {d}/root --passphrase-file {p}")
    assert "rotate" in desk.refused("gateway init {d}/gw --fleet plant")


def test_a_passphrase_that_others_can_read_is_refused(desk: Desk) -> None:
    desk.passphrase.chmod(0o644)
    assert "users other than its owner" in desk.refused(DELEGATE)


def test_passphrase_from_a_prompt_is_not_echoed(desk: Desk) -> None:
    result = desk.run("root init {d}/prompted", typed=f"{SECRET}\n{SECRET}\n")
    assert result.exit_code == 0
    assert SECRET not in result.output
    result = desk.run("revoke --root {d}/prompted --fleet plant", typed=f"{SECRET}\n")
    assert result.exit_code == 0
    assert SECRET not in result.output


def test_passphrase_from_a_file_named_in_the_environment(desk: Desk) -> None:
    arguments = ["keys", "revoke", "--root", str(desk.directory / "root"), "--fleet", "plant"]
    result = CliRunner().invoke(cli, arguments, env={"TINYFLEET_PASSPHRASE_FILE": str(desk.passphrase)})
    assert result.exit_code == 0, result.output


def test_an_encrypted_gateway_key(desk: Desk) -> None:
    desk.done("gateway init {d}/locked --fleet plant --passphrase-file {p}")
    (key,) = (desk.directory / "locked").glob("*.key")
    assert b"ENCRYPTED" in key.read_bytes()
    desk.done("gateway request {d}/locked --fleet plant --passphrase-file {p}")


def test_the_program_reads_a_descriptor_and_prints_one_line(desk: Desk) -> None:
    program = Path(sys.executable).with_name("tinyfleet")
    reading, writing = os.pipe()
    os.write(writing, b"not the passphrase\n")
    os.close(writing)
    line = ["keys", "revoke", "--root", "root", "--fleet", "plant", "--passphrase-fd", str(reading)]
    done = subprocess.run(
        [program, *line], cwd=desk.directory, pass_fds=[reading], capture_output=True, text=True, check=False
    )
    os.close(reading)
    assert done.returncode == 1
    assert done.stderr == "tinyfleet: root/root.key is not a private key, or the passphrase is wrong\n"


def test_no_option_takes_a_passphrase_itself(desk: Desk) -> None:
    assert desk.run("revoke --root {d}/root --fleet plant --passphrase secret").exit_code == 2


def test_the_passphrase_of_the_environment_does_not_encrypt_a_gateway_key(desk: Desk) -> None:
    arguments = ["keys", "gateway", "init", str(desk.directory / "second"), "--fleet", "plant"]
    result = CliRunner().invoke(cli, arguments, env={"TINYFLEET_PASSPHRASE_FILE": str(desk.passphrase)})
    assert result.exit_code == 0, result.output
    assert result.stderr == ""
    assert not any(b"ENCRYPTED" in key.read_bytes() for key in (desk.directory / "second").glob("*.key"))


def test_a_passphrase_for_a_gateway_key_causes_a_warning(desk: Desk) -> None:
    result = desk.run("gateway init {d}/second --fleet plant --passphrase-file {p}")
    assert "refuses it" in result.stderr
    assert all(b"ENCRYPTED" in key.read_bytes() for key in (desk.directory / "second").glob("*.key"))


def test_every_step_is_also_json(desk: Desk) -> None:
    (granted,) = json.loads(desk.done(DELEGATE + " --output json"))
    assert (granted["kind"], granted["epoch"]) == ("delegation", 1)
    assert granted["file"].endswith("/gw/request.cwt")
    installed = json.loads(desk.done(INSTALL + " --output json"))
    assert installed["keyId"] == granted["keyId"]
    rotated = json.loads(desk.done("rotate {d}/gw --fleet plant --output json"))
    assert rotated["keyId"] != granted["keyId"]
    revoked = json.loads(desk.done("revoke --root {d}/root --fleet plant --passphrase-file {p} --output json"))
    assert revoked == {"fleet": "plant", "epoch": 2}
    made = json.loads(desk.done("root init {d}/second --passphrase-file {p} --output json"))
    assert len(made["publicKey"]) == 64


def test_from_one_root_to_the_next(desk: Desk) -> None:
    desk.done(DELEGATE)
    desk.done(INSTALL)
    desk.done("root init {d}/next --passphrase-file {p}")
    said = json.loads(desk.done("root rotate {d}/next --root {d}/root --passphrase-file {p} --output json"))
    assert (said["kind"], said["number"]) == ("rotation", 1)
    shown = json.loads(desk.done("show {d}/next/rotation.cwt --output json"))
    assert shown == {name: value for name, value in said.items() if name != "file"}
    assert "already follows" in desk.refused("root rotate {d}/next --root {d}/root --passphrase-file {p}")

    desk.done(DELEGATE.replace("d}/root", "d}/next"))
    install = INSTALL.replace("d}/root", "d}/next")
    desk.done(install + " --rotation {d}/next/rotation.cwt")
    gateway = gateway_keystore.load(desk.directory / "gw", bytes)
    assert gateway.root_id.hex() == said["keyId"]
    assert [each.hex() for each in gateway.rotations] == [said["signedBy"]]

    # A third root: its rotation has the next number, and devices with either earlier root find their way.
    desk.done("root init {d}/third --passphrase-file {p}")
    third = json.loads(desk.done("root rotate {d}/third --root {d}/next --passphrase-file {p} --output json"))
    assert (third["number"], third["signedBy"]) == (2, said["keyId"])
    desk.done(DELEGATE.replace("d}/root", "d}/third"))
    install = INSTALL.replace("d}/root", "d}/third")
    other = INSTALL.replace("d}/root", "d}/third") + " --rotation {d}/stray.cwt"
    (desk.directory / "stray.cwt").write_bytes(rotate(generate(), Rotation(generate().public_key, 1)))
    assert "leads to root" in desk.refused(other)
    desk.done(install + " --rotation {d}/third/rotation.cwt --rotation {d}/next/rotation.cwt")
    assert len(gateway_keystore.load(desk.directory / "gw", bytes).rotations) == 2
