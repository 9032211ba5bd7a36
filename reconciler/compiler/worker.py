# SPDX-License-Identifier: Apache-2.0
"""The build subprocess: `python -m reconciler.compiler.worker FOLDER`.

It limits itself before it reads anything, so that a hostile model can neither exhaust the machine nor
run for ever, and writes `pack` and `report.json`, or `error.json`. Lines on its output are progress.
"""

from __future__ import annotations

import json
import os
import resource
import sys
from pathlib import Path

from reconciler.compiler import errors

# What the extra `build` brings, by the package that is imported.
EXTRA = {
    "ai_edge_litert": "ai-edge-litert",
    "flatbuffers": "ai-edge-litert",
    "joblib": "scikit-learn",
    "scipy": "scikit-learn",
    "sklearn": "scikit-learn",
    "tensorflow": "TensorFlow",
}
CORE = 0
OPEN_FILES = 256


def limit(memory_bytes: int, cpu_s: int, file_bytes: int) -> None:
    """Set the limits of this process for good."""
    for what, most in (
        (resource.RLIMIT_AS, memory_bytes),
        (resource.RLIMIT_CPU, cpu_s),
        (resource.RLIMIT_FSIZE, file_bytes),
        (resource.RLIMIT_NOFILE, OPEN_FILES),
        (resource.RLIMIT_CORE, CORE),
    ):
        _, hard = resource.getrlimit(what)
        bounded = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(what, (bounded, bounded))


def work(folder: Path) -> None:
    """Run the build that lies in a folder."""
    # Imported under the limits: these bring numpy, the oracle and, if asked for, TensorFlow.
    from reconciler.compiler.build_pipeline import BuildPipeline  # noqa: PLC0415
    from reconciler.compiler.recipe import recipe_from_json  # noqa: PLC0415

    recipe = recipe_from_json((folder / "recipe.json").read_bytes())
    files = {file.sha256: (folder / "files" / file.sha256).read_bytes() for file in recipe.files()}
    built = BuildPipeline(recipe, files, _tell).build()
    (folder / "pack").write_bytes(built.pack)
    (folder / "report.json").write_bytes(built.report.to_json())


def _tell(step: str) -> None:
    sys.stdout.write(f"step {step}\n")
    sys.stdout.flush()


def main() -> int:
    """Run, and say what went wrong in a form that the parent can read."""
    folder = Path(sys.argv[1])
    settings = json.loads((folder / "settings.json").read_bytes())
    limit(settings["memory_bytes"], settings["cpu_s"], settings["file_bytes"])
    try:
        work(folder)
    except errors.BuildFailed as error:
        failure = {"kind": type(error).__name__, "message": str(error)}
    except ModuleNotFoundError as missing:
        package = EXTRA.get((missing.name or "").partition(".")[0])
        if package is None:
            raise
        failure = {
            "kind": errors.ToolsMissing.__name__,
            "message": f"models of this kind are built with {package}, which is not installed here: "
            "install tinyfleet[build], or build where it is installed and share the store",
        }
    except MemoryError:
        failure = {
            "kind": "BuildFailed",
            "message": f"the build needs more than {settings['memory_bytes']} bytes of memory",
        }
    else:
        return 0
    (folder / "error.json").write_text(json.dumps(failure))
    return 1


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    os._exit(code)  # TensorFlow's threads may take long to end; there is nothing left to do
