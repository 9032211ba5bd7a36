# SPDX-License-Identifier: Apache-2.0
"""The results of a run in a file, one line each, so that a run that was interrupted can be resumed."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

from firmware.mutate.mutants import Mutant


@dataclass(frozen=True)
class Result:
    """What became of a mutant: the first thing that noticed it, or None; or it is none."""

    mutant: Mutant
    valid: bool
    noticed: str | None


class Progress:
    """Results are kept for exactly the text that they were found with; survivors are always tried again."""

    def __init__(self, path: Path, *, resume: bool) -> None:
        self._path = path
        self._known: dict[str, tuple[bool, str | None]] = {}
        if not resume:
            path.unlink(missing_ok=True)
        elif path.exists():
            for line in path.read_text(encoding="utf-8").splitlines():
                entry = json.loads(line)
                self._known[entry["key"]] = entry["valid"], entry["noticed"]

    def earlier(self, mutant: Mutant) -> Result | None:
        """Return the result that an earlier run has recorded for this mutant, unless it survived."""
        valid, noticed = self._known.get(_key(mutant), (True, None))
        return Result(mutant, valid, noticed) if noticed is not None or not valid else None

    def record(self, result: Result) -> None:
        """Append a result."""
        entry = {"mutant": result.mutant.name, "valid": result.valid, "noticed": result.noticed}
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"key": _key(result.mutant), **entry}) + "\n")


def _key(mutant: Mutant) -> str:
    return hashlib.sha256(f"{mutant.name}\n".encode() + mutant.text).hexdigest()
