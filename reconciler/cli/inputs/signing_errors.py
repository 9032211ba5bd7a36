# SPDX-License-Identifier: Apache-2.0
"""Failures of `signing`, translated for the command line."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from reconciler.errors import Refused, Unusable
from signing.key_files import KeyStoreError
from signing.verification_error import VerificationError


@contextmanager
def translated() -> Iterator[None]:
    """Turn failures of `signing` into those that the command line handles."""
    try:
        yield
    except KeyStoreError as error:
        raise Unusable(str(error)) from error
    except VerificationError as error:
        raise Refused(str(error)) from error
