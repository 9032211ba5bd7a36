# SPDX-License-Identifier: Apache-2.0
"""Adds man pages and shell completion to wheel and sdist if `make dist` has generated them.

Generating them needs the command with all its imports, which an isolated build does not have. A wheel that is built
without `make dist` is complete except for these files.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

GENERATED = "build/share"


class Share(BuildHookInterface):  # type: ignore[type-arg]
    """Adds the generated files."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """List the files before the archive is written."""
        share = Path(self.root) / GENERATED
        if version == "editable" or not share.is_dir():
            return
        if self.target_name == "wheel":
            build_data["shared_data"][str(share)] = "share"
        else:
            build_data["force_include"][str(share)] = GENERATED
