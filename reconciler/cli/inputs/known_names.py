# SPDX-License-Identifier: Apache-2.0
"""Names that do not exist are refused in the same way by every command: with the closest name, and exit code 1."""

from __future__ import annotations

from collections.abc import Iterable

from reconciler.errors import Unusable


class UnknownName(Unusable):
    """A command was given a name that does not exist."""


def unknown_name(kind: str, name: str, known: Iterable[str], *, among: str = "") -> UnknownName:
    """Return the error for a name that is not known, with a suggestion, or with the names that exist."""
    from reconciler.validation.problems import did_you_mean, quoted_list  # noqa: PLC0415 - slow to import, seldom needed

    names = sorted(known)
    help_text = did_you_mean(name, names) or f"known {among or kind + 's'}: {quoted_list(names) or 'none'}"
    return UnknownName(f"no {kind} named {name}; {help_text}")


def require_known(kind: str, name: str, known: Iterable[str]) -> None:
    """Refuse a name that is not among the known ones."""
    names = set(known)
    if name not in names:
        raise unknown_name(kind, name, names)
