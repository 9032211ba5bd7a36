# SPDX-License-Identifier: Apache-2.0
"""Payloads that are encoded in a process of their own."""

from __future__ import annotations

import subprocess
import sys

import pytest

from reconciler.compiler.errors import BuildFailed
from reconciler.compiler.payload.encoding_process import encode_in_process
from reconciler.compiler.payload.payload_encodings import candidates
from tests.compiler.make_vectors import good_packs


@pytest.mark.parametrize("with_base", [False, True])
def test_a_process_encodes_as_the_library_does(*, with_base: bool) -> None:
    first, second, *_ = good_packs().values()
    base = first if with_base else None
    assert encode_in_process(second, base) == tuple(candidates(second, base))


def test_a_pack_that_cannot_be_encoded_is_a_failed_build() -> None:
    with pytest.raises(BuildFailed, match=r"encoding a pack of 0 bytes failed: IndexError"):
        encode_in_process(b"", None)


def test_the_daemon_does_without_numpy() -> None:
    code = "import sys, reconciler.cli.commands.run; print('numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"
