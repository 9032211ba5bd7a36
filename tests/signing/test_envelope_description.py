# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from dataclasses import replace

import pytest

from signing.envelope_description import describe
from signing.verification_error import VerificationError
from tests.signing.parties import DIGEST, YEAR_2030, Parties

CAST = Parties()
INSTALL = CAST.forgery()


def test_an_install_order_is_described() -> None:
    text = describe(INSTALL.build())
    assert "without a delegation" in text
    assert CAST.gateway.kid.hex() in text
    assert f"run the pack of 4096 bytes with SHA-256 {DIGEST.hex()}" in text
    assert "30313233-3435-3637-3839-3a3b3c3d3e3f" in text


def test_a_delegation_is_described() -> None:
    text = describe(INSTALL.build(delegated=True, epoch=5))
    assert f"root {CAST.root.kid.hex()} lets {CAST.gateway.kid.hex()} sign in epoch 5\n" in text
    assert "until 2030-01-01 00:00:00 UTC" in describe(INSTALL.build(delegated=True, not_after=YEAR_2030))


def test_a_configure_order_is_described() -> None:
    configure = replace(INSTALL, values={3: -5, 7: 9})
    assert "3 = -5, 7 = 9" in describe(configure.build())
    assert "all reset to defaults" in describe(configure.build(values={}))


def test_random_bytes_are_not_described() -> None:
    with pytest.raises(VerificationError, match="UNEXPECTED"):
        describe(b"noise")
