# SPDX-License-Identifier: Apache-2.0
"""Put man pages and shell completion into wheel and sdist, where `make dist` has generated them.

Generating them needs the command itself with all that it imports, which an isolated build does not have: a wheel that
is built without `make dist` lacks them and nothing else.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

GENERATED = "build/share"


class Share(BuildHookInterface):  # type: ignore[type-arg]
    """Adds what was generated."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Name the files before the archive is written."""
        share = Path(self.root) / GENERATED
        if version == "editable" or not share.is_dir():
            return
        if self.target_name == "wheel":
            build_data["shared_data"][str(share)] = "share"
        else:
            build_data["force_include"][str(share)] = GENERATED
