# SPDX-License-Identifier: Apache-2.0
"""`tinyfleet pki device-settings`; tests/firmware/test_network.py starts a device with what it encodes."""

from __future__ import annotations

import json
import shutil
import stat
import struct
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_der_private_key

from reconciler.cli import cli
from reconciler.errors import Unusable

SECRET = "correct horse battery staple"  # noqa: S105 - a secret of these tests alone
GOOD = {
    "--broker": "broker.plant.example:8884",
    "--broker-address": "192.168.7.2",
    "--address": "192.168.7.20/24",
    "--router": "192.168.7.1",
    "--mac": "02:00:00:00:00:2A",
}
#: struct settings of firmware/network/settings.h: magic, mac, reserved, four addresses, port, four lengths
HEAD = struct.Struct("<I6s2s4s4s4s4sH4H")


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two authorities, and the files of some devices."""
    folder = tmp_path_factory.mktemp("pki")
    passphrase = folder / "passphrase"
    passphrase.touch(mode=0o600)
    passphrase.write_text(SECRET + "\n", encoding="ascii")
    secret = ["--passphrase-file", str(passphrase)]
    for authority in ("plant", "other"):
        _done(["init", str(folder / authority), "--fleet", authority, *secret])
    for authority, devices, more in (
        ("plant", ["pump-1", "pump-2"], []),
        ("plant", ["fan-1"], ["--key", "ed25519"]),
        ("other", ["pump-3"], []),
    ):
        where = ["--ca", str(folder / authority), "-o", str(folder / f"{authority}-out")]
        _done(["issue", "device", *devices, *where, *more, *secret])
    _done(["issue", "gateway", "north", "--ca", str(folder / "plant"), "-o", str(folder / "plant-out"), *secret])
    return folder


def _done(words: list[str]) -> None:
    result = CliRunner().invoke(cli, ["pki", *words])
    assert result.exit_code == 0, (result.output, result.exception)


def settings(device: str, files: Path, out: Path, changed: dict[str, str] | None = None) -> Result:
    options = [word for option in (GOOD | (changed or {})).items() for word in option]
    words = ["pki", "device-settings", device, "--files", str(files), *options, "-o", str(out), "--output", "json"]
    return CliRunner().invoke(cli, words)


def test_it_has_what_the_firmware_reads(pki: Path, tmp_path: Path) -> None:
    files, out = pki / "plant-out", tmp_path / "pump-1.bin"
    result = settings("pump-1", files, out)
    assert result.exit_code == 0, (result.output, result.exception)
    content = out.read_bytes()
    assert json.loads(result.stdout) == {"device": "pump-1", "file": str(out), "bytes": len(content)}
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    magic, mac, reserved, address, mask, router, broker, port, *lengths = HEAD.unpack_from(content)
    assert (magic, mac, reserved, port) == (0x574E4654, bytes.fromhex("02000000002a"), b"\0\0", 8884)
    assert [".".join(map(str, each)) for each in (address, mask, router, broker)] == [
        *("192.168.7.20", "255.255.255.0", "192.168.7.1", "192.168.7.2")
    ]
    parts, at = [], HEAD.size
    for length in lengths:
        parts.append(content[at : at + length])
        at += length
    assert at == len(content)
    host, authority, certificate, key = parts
    assert host == b"broker.plant.example\0"
    shown = x509.load_der_x509_certificate(certificate)
    assert shown == x509.load_pem_x509_certificate((files / "pump-1.crt").read_bytes())
    shown.verify_directly_issued_by(x509.load_der_x509_certificate(authority))
    private = load_der_private_key(key, None)
    assert isinstance(private, ec.EllipticCurvePrivateKey)
    assert private.public_key() == shown.public_key()


def test_the_port_of_mqtt_over_tls_is_the_default(pki: Path, tmp_path: Path) -> None:
    out = tmp_path / "pump-1.bin"
    assert settings("pump-1", pki / "plant-out", out, {"--broker": "broker"}).exit_code == 0
    assert HEAD.unpack_from(out.read_bytes())[7] == 8883


@pytest.mark.parametrize(
    ("device", "instead", "why"),
    [
        ("pump-9", {}, "pump-9.crt"),
        ("fan-1", {}, "is not a P-256 key"),
        ("north", {}, "is the certificate of gateway north, not of device north"),
        ("pump-1", {"pump-1.crt": "plant-out/pump-2.crt"}, "is the certificate of device pump-2, not of device pump-1"),
        ("pump-1", {"pump-1.key": "plant-out/pump-2.key"}, "is not the key of"),
        ("pump-1", {"pump-1.key": "plant-out/pump-1.crt"}, "is not a private key"),
        ("pump-1", {"ca.crt": "other/ca.crt"}, "was not issued by"),
    ],
)
def test_files_that_do_not_fit_are_refused(
    pki: Path, tmp_path: Path, device: str, instead: dict[str, str], why: str
) -> None:
    files, out = tmp_path / "files", tmp_path / "out.bin"
    shutil.copytree(pki / "plant-out", files)
    for name, other in instead.items():
        shutil.copy(pki / other, files / name)
    error = settings(device, files, out).exception
    assert isinstance(error, Unusable)
    assert why in str(error)
    assert not out.exists()


def test_a_file_is_never_overwritten(pki: Path, tmp_path: Path) -> None:
    out = tmp_path / "pump-1.bin"
    out.write_bytes(b"something")
    assert isinstance(settings("pump-1", pki / "plant-out", out).exception, Unusable)
    assert out.read_bytes() == b"something"


@pytest.mark.parametrize(
    ("option", "value", "why"),
    [
        ("--mac", "01:00:00:00:00:01", "multicast"),
        ("--mac", "020000000001", "not a MAC address"),
        ("--address", "192.168.7.20", "state the prefix"),
        ("--address", "192.168.7.300/24", "with a prefix"),
        ("--router", "192.168.8.1", "is not in the network 192.168.7.0/24"),
        ("--broker-address", "broker", "not an IPv4 address"),
        ("--broker", "broker:70000", "HOST:PORT"),
        ("--broker", "bro ker", "HOST:PORT"),
    ],
)
def test_addresses_that_can_not_work_are_refused(pki: Path, tmp_path: Path, option: str, value: str, why: str) -> None:
    result = settings("pump-1", pki / "plant-out", tmp_path / "out.bin", {option: value})
    assert result.exit_code == 2
    assert why in " ".join(result.output.split())
