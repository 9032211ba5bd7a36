# SPDX-License-Identifier: Apache-2.0
"""How files at a URL are reached, for sources of models and for the artifact store.

Each kind of URL has an implementation of its own in fsspec, with exceptions of its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import fsspec

from reconciler.compiler.errors import ToolsMissing
from reconciler.errors import FleetError, Transient, failure_of_system
from reconciler.foreign_text import printable_line

EXTRAS: Final = {"http": "http", "https": "http", "s3": "s3", "s3a": "s3"}
_SHOWN = 300


def file_system(url: str) -> tuple[Any, str]:
    """Return the implementation of a URL's kind, and the path in it; say what to install if it is missing."""
    scheme = url.partition("://")[0]
    try:
        files, path = fsspec.core.url_to_fs(url)
    except ImportError as missing:
        named = f"install tinyfleet[{EXTRAS[scheme]}]" if scheme in EXTRAS else f"install {missing.name}"
        raise ToolsMissing(f"{scheme}:// needs a package that is not installed here: {named}") from missing
    except ValueError as error:
        raise ToolsMissing(f"{scheme}:// is not supported: {printable_line(str(error))[:_SHOWN]}") from error
    return files, str(path)


@contextmanager
def failures_as(kind: type[Transient], doing: str) -> Iterator[None]:
    """Turn every error of an implementation into one that is tried again; a missing file stays a missing file."""
    try:
        yield
    except (FleetError, FileNotFoundError):
        raise
    except OSError as error:
        if error.errno is not None:
            raise failure_of_system(error, doing, kind) from error
        raise kind(f"{doing}: {describe(error)}") from error
    except Exception as error:  # the implementations derive theirs from nothing in common
        raise kind(f"{doing}: {describe(error)}") from error


def describe(error: BaseException) -> str:
    """Return the text of an error, or its kind if it has none."""
    return printable_line(str(error) or type(error).__name__)[:_SHOWN]
