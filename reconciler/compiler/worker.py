# SPDX-License-Identifier: Apache-2.0
"""The build subprocess: `python -m reconciler.compiler.worker FOLDER`.

It sets its own resource limits before it reads anything, so that a hostile model can neither exhaust the
machine nor run forever. It writes `pack` and `report.json`, or `error.json`, and reports progress on its
standard output, one step per line.
"""

from __future__ import annotations

import json
import os
import resource
import sys
from collections.abc import Callable
from pathlib import Path

from reconciler.compiler import errors

# The packages of the extra `build`, by the module that is imported.
EXTRA_PACKAGES = {
    "ai_edge_litert": "ai-edge-litert",
    "flatbuffers": "ai-edge-litert",
    "joblib": "scikit-learn",
    "scipy": "scikit-learn",
    "sklearn": "scikit-learn",
    "tensorflow": "TensorFlow",
}
CORE = 0
OPEN_FILES = 256


def set_limits(memory_bytes: int, cpu_s: int, file_bytes: int) -> None:
    """Limit the resources of this process and its children. It cannot raise the limits again."""
    for resource_id, wanted in (
        (resource.RLIMIT_AS, memory_bytes),
        (resource.RLIMIT_CPU, cpu_s),
        (resource.RLIMIT_FSIZE, file_bytes),
        (resource.RLIMIT_NOFILE, OPEN_FILES),
        (resource.RLIMIT_CORE, CORE),
    ):
        _, hard = resource.getrlimit(resource_id)
        limit = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource_id, (limit, limit))


def run_build(folder: Path) -> None:
    """Run the build whose recipe and files are in a folder."""
    # Imported after the limits are set: these import numpy, the oracle and, if needed, TensorFlow.
    from reconciler.compiler.build_pipeline import BuildPipeline  # noqa: PLC0415
    from reconciler.compiler.recipe import recipe_from_json  # noqa: PLC0415

    recipe = recipe_from_json((folder / "recipe.json").read_bytes())
    files = {file.sha256: (folder / "files" / file.sha256).read_bytes() for file in recipe.files()}
    built = BuildPipeline(recipe, files, _print_step).build()
    (folder / "pack").write_bytes(built.pack)
    (folder / "report.json").write_bytes(built.report.to_json())


def _print_step(step: str) -> None:
    sys.stdout.write(f"step {step}\n")
    sys.stdout.flush()


def main() -> int:
    """Run the build."""
    return run_limited(run_build)


def run_limited(run: Callable[[Path], None]) -> int:
    """Run something on the folder of the command line, and write a failure as JSON for the parent process."""
    folder = Path(sys.argv[1])
    settings = json.loads((folder / "settings.json").read_bytes())
    set_limits(settings["memory_bytes"], settings["cpu_s"], settings["file_bytes"])
    try:
        run(folder)
    except errors.BuildFailed as error:
        failure = {"kind": type(error).__name__, "message": str(error)}
    except ModuleNotFoundError as missing:
        package = EXTRA_PACKAGES.get((missing.name or "").partition(".")[0])
        if package is None:
            raise
        failure = {
            "kind": errors.ToolsMissing.__name__,
            "message": f"a model of this kind is built with {package}, which is not installed here: "
            "install tinyfleet[build], or build on a machine that has it and share the artifact store",
        }
    except MemoryError:
        failure = {
            "kind": "BuildFailed",
            "message": f"the build needs more memory than its limit of {settings['memory_bytes']} bytes",
        }
    else:
        return 0
    (folder / "error.json").write_text(json.dumps(failure))
    return 1


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    os._exit(code)  # does not wait for TensorFlow's threads, which may take long to end
