# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from dataclasses import replace

import pytest

from signing.envelope_description import describe
from signing.verification_error import VerificationError
from tests.signing.cast import DIGEST, YEAR_2030, Cast

CAST = Cast()
INSTALL = CAST.forgery()


def test_an_install_in_words() -> None:
    text = describe(INSTALL.build())
    assert "without delegation" in text
    assert CAST.gateway.kid.hex() in text
    assert f"run the pack of 4096 bytes with SHA-256 {DIGEST.hex()}" in text
    assert "30313233-3435-3637-3839-3a3b3c3d3e3f" in text


def test_a_delegation_in_words() -> None:
    text = describe(INSTALL.build(delegated=True, epoch=5))
    assert f"root {CAST.root.kid.hex()} lets {CAST.gateway.kid.hex()} sign in epoch 5\n" in text
    assert "until 2030-01-01 00:00:00 UTC" in describe(INSTALL.build(delegated=True, not_after=YEAR_2030))


def test_a_configure_in_words() -> None:
    configure = replace(INSTALL, values={3: -5, 7: 9})
    assert "3 = -5, 7 = 9" in describe(configure.build())
    assert "all back to defaults" in describe(configure.build(values={}))


def test_noise_in_no_words() -> None:
    with pytest.raises(VerificationError, match="UNEXPECTED"):
        describe(b"noise")
