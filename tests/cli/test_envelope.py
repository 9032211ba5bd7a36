# SPDX-License-Identifier: Apache-2.0
"""`tinyfleet envelope` tells people what devices are told."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from reconciler.cli import cli
from reconciler.errors import Refused
from signing.delegation import Delegation, delegate
from signing.envelope import ConfigureOrder, InstallOrder, make
from signing.identifiers import EngineContract, target
from tests.signing.forgery import Key

ROOT, GATEWAY = Key(), Key()
PUMP = target("plant", "pump-1", EngineContract(1, frozenset({"ADD", "CONV_2D"})))
DIGEST = bytes(range(32))
CWT = delegate(ROOT, Delegation(GATEWAY.public_key, PUMP.vendor, 4, 2_000_000_000))
DEVICE = "--root {d}/root.hex --fleet plant --device pump-1 --operators CONV_2D,ADD"


@pytest.fixture
def files(tmp_path: Path) -> Path:
    (tmp_path / "root.hex").write_text(ROOT.public_key.hex(), encoding="ascii")
    (tmp_path / "held.cwt").write_bytes(CWT)
    (tmp_path / "install.suit").write_bytes(make(GATEWAY, PUMP, InstallOrder(5, DIGEST, 4096), CWT))
    (tmp_path / "configure.suit").write_bytes(make(GATEWAY, PUMP, ConfigureOrder(6, DIGEST, {0: 7})))
    return tmp_path


def _run(files: Path, line: str) -> Result:
    return CliRunner().invoke(cli, ["envelope", *line.format(d=files).split()])


def test_inspect_explains(files: Path) -> None:
    result = _run(files, "inspect {d}/install.suit")
    assert result.exit_code == 0
    assert f"run the pack of 4096 bytes with SHA-256 {DIGEST.hex()}" in result.output


def test_inspect_refuses_what_is_no_envelope(files: Path) -> None:
    assert isinstance(_run(files, "inspect {d}/root.hex").exception, Refused)


@pytest.mark.parametrize(
    ("options", "verdict"),
    [
        ("install.suit", "OK"),
        ("install.suit --slot-bytes 4096 --sequence 4", "OK"),
        ("install.suit --now 2033-05-18T03:33:20+0000", "OK"),
        ("install.suit --now 2033-05-18T03:33:21+0000", "EXPIRED"),
        ("install.suit --slot-bytes 4095", "SIZE"),
        ("install.suit --sequence 5", "SEQUENCE"),
        ("install.suit --pack-format 2", "CLASS"),
        ("configure.suit", "NO_DELEGATION"),
        ("configure.suit --held {d}/held.cwt", "MODEL"),
        (f"configure.suit --held {{d}}/held.cwt --running {DIGEST.hex()}", "OK"),
    ],
)
def test_verify_says_what_the_device_would(files: Path, options: str, verdict: str) -> None:
    result = _run(files, f"verify {{d}}/{options} {DEVICE}")
    if verdict == "OK":
        assert result.exit_code == 0
        assert "OK: the device accepts sequence number" in result.output
    else:
        assert isinstance(result.exception, Refused)
        assert str(result.exception).startswith(f"{verdict}: ")


def test_a_running_digest_that_is_no_digest_is_a_wrong_command_line(files: Path) -> None:
    assert _run(files, f"verify {{d}}/install.suit --running xyz {DEVICE}").exit_code == 2
