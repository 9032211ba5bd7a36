# SPDX-License-Identifier: Apache-2.0
"""`tinyfleet pki`; tests/system/test_broker.py runs the broker with its output."""

from __future__ import annotations

import json
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from reconciler.cli import cli
from reconciler.errors import Unusable
from signing.pki_store import CertificateStore, read_certificate

SECRET = "correct horse battery staple"  # noqa: S105 - a secret of this test alone


class Desk:
    """A working directory, and the passphrase in a private file."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.passphrase = directory / "passphrase"
        self.passphrase.touch(mode=0o600)
        self.passphrase.write_text(SECRET + "\n", encoding="ascii")

    def run(self, line: str) -> Result:
        return CliRunner().invoke(cli, ["pki", *line.format(d=self.directory, p=self.passphrase).split()])

    def done(self, line: str) -> str:
        result = self.run(line)
        assert result.exit_code == 0, (result.output, result.exception)
        return result.output

    def refused(self, line: str) -> str:
        error = self.run(line).exception
        assert isinstance(error, Unusable)
        return str(error)


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    desk = Desk(tmp_path)
    assert "certificate authority of plant" in desk.done("init {d}/ca --fleet plant --passphrase-file {p}")
    return desk


def test_show_warns_about_expiry(desk: Desk) -> None:
    issued = desk.done("issue device pump-1 pump-2 --ca {d}/ca -o {d}/out --passphrase-file {p}")
    assert [line.split(":")[0] for line in issued.splitlines()] == ["device pump-1", "device pump-2"]
    assert desk.done("show {d}/ca").count("valid") == 4
    desk.done("issue gateway north --ca {d}/ca -o {d}/out --days 20 --passphrase-file {p}")
    result = desk.run("show {d}/ca")
    assert result.exit_code == 1
    (warning,) = (line for line in result.output.splitlines() if line.startswith("expires soon"))
    assert "gateway north" in warning
    desk.done("show {d}/ca --warn-days 10")
    rows = json.loads(desk.run("show {d}/ca --output json").output)
    assert [row["state"] for row in rows if row["subject"] == "gateway north"] == ["expires soon"]
    renewed = desk.done("renew {d}/out/north.crt --ca {d}/ca --passphrase-file {p}")
    assert renewed.startswith(f"gateway north: {desk.directory}/out/north.crt, valid until ")
    assert "replaced" in desk.done("show {d}/ca")


def test_validity_periods(desk: Desk) -> None:
    desk.done("issue device pump-1 --ca {d}/ca -o {d}/out --passphrase-file {p}")
    desk.done("issue broker localhost --ca {d}/ca -o {d}/out --passphrase-file {p}")
    desk.done("issue gateway north --days 7 --ca {d}/ca -o {d}/out --passphrase-file {p}")
    assert "restart the broker" in desk.done("crl --ca {d}/ca --crl-days 10 --passphrase-file {p}")
    store, now = CertificateStore(desk.directory / "ca"), datetime.now(UTC)
    ends = {
        3650: read_certificate(desk.directory / "out" / "pump-1.crt").not_valid_after_utc,
        730: read_certificate(desk.directory / "out" / "localhost.crt").not_valid_after_utc,
        7: read_certificate(desk.directory / "out" / "north.crt").not_valid_after_utc,
        7300: store.certificate.not_valid_after_utc,
        10: store.crl().next_update_utc,
    }
    for days, end in ends.items():
        assert end is not None
        assert abs(end - now - timedelta(days=days)) < timedelta(minutes=5)


def test_a_revoked_certificate_is_shown(desk: Desk) -> None:
    desk.done("issue device pump-1 --ca {d}/ca -o {d}/out --passphrase-file {p}")
    printed = desk.done("revoke device pump-1 --ca {d}/ca --passphrase-file {p}")
    assert "revoked device pump-1" in printed
    assert "restart the broker" in printed
    assert "revoked  20" in desk.done("show {d}/ca")
    assert "has no valid certificate" in desk.refused("revoke device pump-1 --ca {d}/ca --passphrase-file {p}")


def test_a_certificate_request_keeps_the_private_key_on_the_gateway(desk: Desk) -> None:
    line = "openssl req -new -newkey ed25519 -nodes -subj /CN=x -keyout own.key -out own.csr"
    subprocess.run(line.split(), cwd=desk.directory, check=True, capture_output=True)
    printed = desk.done("issue gateway north --csr {d}/own.csr --ca {d}/ca -o {d}/out --passphrase-file {p}")
    assert "run `tinyfleet pki broker-config` again" in printed
    assert sorted(path.name for path in (desk.directory / "out").iterdir()) == ["ca.crt", "north.crt"]
    two = desk.run("issue gateway north south --csr {d}/own.csr --ca {d}/ca -o {d}/out --passphrase-file {p}")
    assert two.exit_code == 2


def test_one_invalid_name_issues_nothing(desk: Desk) -> None:
    assert "is not a valid device name" in desk.refused(
        "issue device a b/c --ca {d}/ca -o {d}/out --passphrase-file {p}"
    )
    assert not (desk.directory / "out").exists()


def test_the_broker_configuration_for_another_path(desk: Desk) -> None:
    desk.done("issue gateway north --ca {d}/ca -o {d}/out --passphrase-file {p}")
    printed = desk.done("broker-config --ca {d}/ca --broker b.plant -o {d}/new/broker --folder /etc/mosquitto/conf.d")
    folder = desk.directory / "new" / "broker"
    assert "include this file in the configuration of mosquitto" in printed
    written = sorted(path.name for path in folder.iterdir())
    assert written == ["ca.crl", "ca.crt", "tinyfleet.acl", "tinyfleet.conf"]
    configuration = (folder / "tinyfleet.conf").read_text(encoding="utf-8")
    assert "certfile /etc/mosquitto/conf.d/b.plant.crt" in configuration
    assert "user @north" in (folder / "tinyfleet.acl").read_text(encoding="utf-8")


def test_the_broker_knows_the_uplinks_of_gateways(desk: Desk) -> None:
    issued = desk.run("issue uplink north --ca {d}/ca -o {d}/cloud --passphrase-file {p}")
    assert "so that the broker knows the uplink" in issued.stderr
    desk.done("broker-config --ca {d}/ca --broker b.plant -o {d}/broker")
    assert "user ^north\n" in (desk.directory / "broker" / "tinyfleet.acl").read_text(encoding="utf-8")


def test_an_authority_key_that_others_can_read_is_refused(desk: Desk) -> None:
    (desk.directory / "ca" / "ca.key").chmod(0o644)
    message = desk.refused("issue device pump-1 --ca {d}/ca -o {d}/out --passphrase-file {p}")
    assert "users other than its owner have access" in message


def test_every_step_is_also_json(desk: Desk) -> None:
    issue = "issue device pump-1 pump-2 --ca {d}/ca -o {d}/out --passphrase-file {p} --output json"
    issued = json.loads(desk.done(issue))
    assert [each["subject"] for each in issued] == ["device pump-1", "device pump-2"]
    assert all(Path(each["file"]).is_file() for each in issued)
    (renewed,) = json.loads(desk.done("renew {d}/out/pump-1.crt --ca {d}/ca --passphrase-file {p} --output json"))
    assert renewed["subject"] == "device pump-1"
    revoked = json.loads(desk.run("revoke device pump-2 --ca {d}/ca --passphrase-file {p} --output json -q").output)
    assert [each["name"] for each in revoked] == ["pump-2"]
    wrong = desk.run("revoke device pump-3 --ca {d}/ca --passphrase-file {p}")
    assert wrong.exit_code == 1
    assert "no device named pump-3; did you mean `pump-" in str(wrong.exception)


def test_renewing_everything_that_is_due(desk: Desk) -> None:
    """What the timer runs each day; the second run finds nothing to do."""
    desk.done("issue device pump-1 pump-2 --ca {d}/ca -o {d}/out --passphrase-file {p}")
    desk.done("issue gateway north --days 20 --ca {d}/ca -o {d}/out --passphrase-file {p}")
    desk.done("crl --crl-days 20 --ca {d}/ca --passphrase-file {p}")
    everything = "renew --ca {d}/ca -o {d}/renewed --passphrase-file {p}"
    assert [row.split(":")[0] for row in desk.done(everything).splitlines()[:2]] == ["gateway north", "revocation list"]
    new, store = desk.directory / "renewed", CertificateStore(desk.directory / "ca")
    assert sorted(path.name for path in new.iterdir()) == ["ca.crl", "ca.crt", "north.crt"]
    old = read_certificate(desk.directory / "out" / "north.crt")
    renewed = store.read_issued(new / "north.crt")
    assert renewed.public_key() == old.public_key()
    assert renewed.not_valid_after_utc - old.not_valid_after_utc > timedelta(days=700)
    assert (new / "ca.crl").read_bytes() == (desk.directory / "ca" / "ca.crl").read_bytes()
    assert desk.run("show {d}/ca").exit_code == 0
    before = len(store.issued()), (new / "ca.crl").read_bytes()
    assert "nothing is due" in desk.done(everything)
    assert (len(store.issued()), (new / "ca.crl").read_bytes()) == before
    assert "gateway north" in desk.done(f"{everything} --within 800")


def test_certificates_of_one_name_in_two_roles_are_not_mixed_up(desk: Desk) -> None:
    desk.done("issue device north --days 20 --ca {d}/ca -o {d}/devices --passphrase-file {p}")
    desk.done("issue gateway north --days 20 --ca {d}/ca -o {d}/gateways --passphrase-file {p}")
    everything = "renew --ca {d}/ca -o {d}/renewed --passphrase-file {p}"
    assert "north.crt: renew them one by one" in desk.refused(everything)
    desk.done("renew {d}/devices/north.crt --ca {d}/ca --passphrase-file {p}")
    assert "gateway north" in desk.done(everything)


@pytest.mark.parametrize("extra", ["", " {d}/out/pump-1.crt -o {d}/renewed"])
def test_renewal_needs_either_files_or_a_folder(desk: Desk, extra: str) -> None:
    desk.done("issue device pump-1 --ca {d}/ca -o {d}/out --passphrase-file {p}")
    refused = desk.run("renew --ca {d}/ca --passphrase-file {p}" + extra)
    assert refused.exit_code == 2
    assert "pass either CERTIFICATES, or --out" in refused.output
