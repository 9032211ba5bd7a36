# SPDX-License-Identifier: Apache-2.0
"""Models of other frameworks: ONNX through onnx2tf, and how to bring the others.

onnx2tf needs another TensorFlow than builds do, so it is installed in an environment of its own and run as a program.
It makes a SavedModel in float, which a build then quantizes like any other.
"""

from __future__ import annotations

import io
import subprocess
import tempfile
import zipfile
from pathlib import Path

from reconciler.compiler.errors import BuildFailed, ModelUnreadable

CONVERSION_S = 600
_ONNX = "tinyfleet pack make {stem}.onnx --onnx2tf PROGRAM"
_TORCH = "export it with torch.onnx.export to {stem}.onnx, and convert that: " + _ONNX
_HOW = {
    ".onnx": "convert it: " + _ONNX,
    ".pt": _TORCH,
    ".pth": _TORCH,
    ".pt2": _TORCH,
    ".h5": "save it again in the format of Keras, as {stem}.keras",
}
_NEEDED = ("saved_model.pb", "variables", "assets", "fingerprint.pb")


def how_to_bring(name: str) -> str | None:
    """Return what to do with a file of another framework; None: its type is not known."""
    path = Path(name)
    how = _HOW.get(path.suffix.lower())
    return None if how is None else f"{how.format(stem=path.stem)} (docs/build.md, ONNX and PyTorch)"


def saved_model_of_onnx(program: Path, name: str, data: bytes) -> bytes:
    """Convert an ONNX model, and return the SavedModel as a .zip whose bytes depend on its files only."""
    with tempfile.TemporaryDirectory(prefix="tinyfleet-onnx-") as folder:
        source, target = Path(folder) / "model.onnx", Path(folder) / "saved"
        source.write_bytes(data)
        command = [str(program.absolute()), "-i", str(source), "-o", str(target), "-osd", "-n"]
        try:
            done = subprocess.run(
                command, cwd=folder, capture_output=True, text=True, errors="replace", check=False, timeout=CONVERSION_S
            )
        except OSError as error:
            raise BuildFailed(f"{program} cannot be run: {error.strerror}") from error
        except subprocess.TimeoutExpired as error:
            raise BuildFailed(f"onnx2tf did not convert {name} within {CONVERSION_S} s") from error
        if done.returncode != 0 or not (target / "saved_model.pb").is_file():
            raise ModelUnreadable(f"onnx2tf cannot convert {name}: {_last_line(done.stderr or done.stdout)}")
        return _zipped(target)


def _zipped(folder: Path) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(folder.rglob("*")):
            inside = path.relative_to(folder)
            if path.is_file() and inside.parts[0] in _NEEDED:
                archive.writestr(zipfile.ZipInfo(inside.as_posix()), path.read_bytes(), zipfile.ZIP_DEFLATED)
    return content.getvalue()


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1][:300] if lines else "it wrote no SavedModel"
