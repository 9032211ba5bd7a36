# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from dataclasses import replace

import pytest

from signing.explain import explain
from signing.verdict import RefusedError
from tests.signing.cast import DIGEST, YEAR_2030, Cast

CAST = Cast()
INSTALL = CAST.forgery()


def test_an_install_in_words() -> None:
    text = explain(INSTALL.build())
    assert "without delegation" in text
    assert CAST.gateway.kid.hex() in text
    assert f"run the pack of 4096 bytes with SHA-256 {DIGEST.hex()}" in text
    assert "30313233-3435-3637-3839-3a3b3c3d3e3f" in text


def test_a_delegation_in_words() -> None:
    text = explain(INSTALL.build(delegated=True, epoch=5))
    assert f"root {CAST.root.kid.hex()} lets {CAST.gateway.kid.hex()} sign in epoch 5\n" in text
    assert "until 2030-01-01 00:00:00 UTC" in explain(INSTALL.build(delegated=True, not_after=YEAR_2030))


def test_a_configure_in_words() -> None:
    configure = replace(INSTALL, values={3: -5, 7: 9})
    assert "3 = -5, 7 = 9" in explain(configure.build())
    assert "all back to defaults" in explain(configure.build(values={}))


def test_noise_in_no_words() -> None:
    with pytest.raises(RefusedError, match="UNEXPECTED"):
        explain(b"noise")
