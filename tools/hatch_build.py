# SPDX-License-Identifier: Apache-2.0
"""Adds files that are generated to wheel and sdist.

Constraints: the versions of all requirements that the tests ran with. Man pages and shell completion, if `make dist`
has generated them, which needs the command with all its imports and not only what an isolated build has. A wheel that
is built without `make dist` is complete except for those.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

GENERATED = "build/share"
CONSTRAINTS = "reconciler/constraints.txt"
TESTED = ("base", "build", "learn", "functions", "dask", "remote")  # all that an installation can need
HEADER = "# What tinyfleet was tested with: pip install --constraint constraints.txt tinyfleet-*.whl\n"


def constraints(requirements: Path) -> str:
    """Return one line for each package of the files in a folder."""
    lines = {
        line
        for name in TESTED
        for line in (requirements / f"{name}.txt").read_text(encoding="utf-8").splitlines()
        if line and not line.startswith("#")
    }
    return HEADER + "".join(f"{line}\n" for line in sorted(lines, key=str.lower))


class GeneratedFiles(BuildHookInterface):  # type: ignore[type-arg]
    """Adds the generated files."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """List the files before the archive is written."""
        if version == "editable":
            return
        root = Path(self.root)
        share = root / GENERATED
        if self.target_name != "wheel":
            if share.is_dir():
                build_data["force_include"][str(share)] = GENERATED
            return
        if share.is_dir():
            build_data["shared_data"][str(share)] = "share"
        self._folder = tempfile.TemporaryDirectory()
        made = Path(self._folder.name) / "constraints.txt"
        made.write_text(constraints(root / "requirements"), encoding="utf-8")
        made.chmod(0o644)
        build_data["force_include"][str(made)] = CONSTRAINTS

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        """Remove what was made for the archive, once it is written."""
        del version, build_data, artifact_path
        if hasattr(self, "_folder"):
            self._folder.cleanup()
