# SPDX-License-Identifier: Apache-2.0
"""Checks `.keras` files and zipped SavedModels before TensorFlow, which could run code in them, loads them."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import Any

from reconciler.compiler.errors import ModelUnreadable, OperatorUnsupported

MAX_MEMBERS = 256
MAX_UNPACKED_BYTES = 512 << 20
MAX_CONFIG_BYTES = 16 << 20
MAX_CONFIG_DEPTH = 100
CODE_LAYERS = frozenset({"Lambda", "TFSMLayer", "TorchModuleWrapper", "JaxLayer", "FlaxLayer"})
RECURRENT_LAYERS = frozenset({"LSTM", "GRU", "SimpleRNN", "RNN", "Bidirectional", "ConvLSTM1D", "ConvLSTM2D"})
# Graph operations with effects outside of the graph, which inference does not need.
OPERATIONS_WITH_EFFECTS = (
    "PyFunc", "EagerPyFunc", "ReadFile", "WriteFile", "MatchingFiles", "Reader", "Dataset", "Iterator", "LookupTable",
    "InitializeTable", "Print", "Http", "Rpc", "Recv", "Send", "Collective", "Nccl", "TPU", "XlaLaunch", "Summary",
    "GenerateVocabRemapping", "LoadAndRemap", "Debug", "Abort",
)  # fmt: skip


def open_archive(name: str, data: bytes) -> zipfile.ZipFile:
    """Open a zip archive; refuse one that is too large or could write outside of its folder."""
    try:
        archive = zipfile.ZipFile(io.BytesIO(data))
        members = archive.infolist()
    except (zipfile.BadZipFile, ValueError, NotImplementedError, EOFError) as error:
        raise ModelUnreadable(f"{name} is not a readable zip archive: {error}") from error
    if len(members) > MAX_MEMBERS:
        raise ModelUnreadable(f"{name} has {len(members)} files; the limit is {MAX_MEMBERS}")
    unpacked = sum(member.file_size for member in members)
    if unpacked > MAX_UNPACKED_BYTES:
        raise ModelUnreadable(
            f"{name} would unpack to {unpacked} bytes; the limit is {MAX_UNPACKED_BYTES}, so this may be a zip bomb"
        )
    for member in members:
        parts = Path(member.filename).parts
        if member.filename.startswith(("/", "\\")) or ".." in parts or member.external_attr >> 28 == 0xA:  # noqa: PLR2004 - a link
            raise ModelUnreadable(f"{name} has the member {member.filename!r}, which would be outside of its folder")
    return archive


def read_member(archive: zipfile.ZipFile, member: str, limit: int) -> bytes:
    """Read a member up to a limit, whatever size its header declares."""
    try:
        with archive.open(member) as stream:
            content = stream.read(limit + 1)
    except (KeyError, zipfile.BadZipFile, OSError, EOFError, RuntimeError, ValueError, NotImplementedError) as error:
        raise ModelUnreadable(f"cannot read {member}: {error}") from error
    if len(content) > limit:
        raise ModelUnreadable(f"{member} unpacks to more than {limit} bytes")
    return content


def unpack(name: str, data: bytes, folder: Path) -> None:
    """Unpack an archive into a folder, up to a limit on the bytes that it really holds."""
    archive = open_archive(name, data)
    left = MAX_UNPACKED_BYTES
    for member in archive.infolist():
        if member.is_dir():
            continue
        content = read_member(archive, member.filename, left)
        left -= len(content)
        target = folder / member.filename
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)


def check_keras(name: str, data: bytes) -> None:
    """Refuse a `.keras` file that is damaged, or has layers that carry code."""
    archive = open_archive(name, data)
    raw = read_member(archive, "config.json", MAX_CONFIG_BYTES)
    for member in archive.infolist():
        if not member.is_dir() and member.filename.endswith((".h5", ".json", ".npz", ".weights")):
            _check_member(archive, member.filename)
    try:
        config = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise ModelUnreadable(f"cannot read config.json in {name}: {error}") from error
    _check_config(name, config)


def _check_member(archive: zipfile.ZipFile, member: str) -> None:
    """Read a member to its end, to find a false size or checksum before any library reads it."""
    left = MAX_UNPACKED_BYTES
    try:
        with archive.open(member) as stream:
            while chunk := stream.read(1 << 20):
                left -= len(chunk)
                if left < 0:
                    raise ModelUnreadable(f"{member} unpacks to more than {MAX_UNPACKED_BYTES} bytes")
    except (zipfile.BadZipFile, OSError, EOFError, RuntimeError, NotImplementedError) as error:
        raise ModelUnreadable(f"cannot read {member}: {error}") from error


def _check_config(name: str, config: Any) -> None:  # noqa: ANN401 - JSON
    pending = [(config, 0)]
    while pending:
        item, depth = pending.pop()
        if depth > MAX_CONFIG_DEPTH:
            raise ModelUnreadable(f"config.json in {name} is nested more than {MAX_CONFIG_DEPTH} levels deep")
        if isinstance(item, list):
            pending += [(value, depth + 1) for value in item]
        elif isinstance(item, dict):
            _check_layer(name, item)
            pending += [(value, depth + 1) for value in item.values()]


def _check_layer(name: str, item: dict[str, Any]) -> None:
    kind, module = item.get("class_name"), item.get("module")
    if kind in CODE_LAYERS or kind == "__lambda__":
        layer = item.get("config", {})
        layer_name = layer.get("name", "?") if isinstance(layer, dict) else "?"
        raise ModelUnreadable(
            f"{name}: layer {layer_name!r} is a {kind}, which carries code, and code in models is never run. "
            "Use built-in layers, or convert the model to a quantized .tflite"
        )
    if kind in RECURRENT_LAYERS:
        raise OperatorUnsupported(
            f"{name}: the model has a layer {kind}, of which TensorFlow makes a loop that it cannot quantize: "
            "use 1-D convolutions over a window, or give a .tflite with UNIDIRECTIONAL_SEQUENCE_LSTM in full int8"
        )
    if isinstance(module, str) and isinstance(kind, str) and not module.startswith(("keras", "builtins")):
        raise ModelUnreadable(f"{name}: the class {kind} of module {module!r} is not part of Keras")


def check_operations(name: str, operations: set[str]) -> None:
    """Refuse a SavedModel whose graph has external effects."""
    found = sorted(op for op in operations if any(word in op for word in OPERATIONS_WITH_EFFECTS))
    if found:
        raise ModelUnreadable(f"{name} has graph operations with effects outside of the model: {', '.join(found[:5])}")
